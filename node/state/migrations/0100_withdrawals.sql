-- What persons withdrew, each sealed under its epoch's pseudonym key (specs/vault.md 9): unreadable once that is gone.
CREATE TABLE withdrawals (
    number INTEGER PRIMARY KEY,      -- order of coming
    epoch TEXT NOT NULL REFERENCES epochs (epoch),
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX withdrawals_by_epoch ON withdrawals (epoch);
