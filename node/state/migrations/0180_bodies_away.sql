-- Entries that are held without their data and cells: dropped by others, or beyond what is kept of what cannot be read.
CREATE TABLE bodies_away (
    entry BLOB PRIMARY KEY REFERENCES entries (id),
    unreadable_by INTEGER           -- the version of judgement that looked at them in vain; NULL: never seen here
) WITHOUT ROWID, STRICT;
