-- Entries of every author's log, as verified and admitted; bytes as received (PROTOCOL 2).
CREATE TABLE entries (
    author BLOB NOT NULL,
    generation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    header BLOB NOT NULL,
    signatures BLOB NOT NULL,
    data BLOB NOT NULL,
    cells BLOB,
    UNIQUE (author, generation, seq, id),
    UNIQUE (id)
);

-- One row for each slot this node answered: a release, or an abstention (PRIVACY 5, DESIGN 1.3).
CREATE TABLE slots (
    definition BLOB NOT NULL,
    window TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('release', 'abstain')),
    reason TEXT,
    release_id BLOB,
    entry BLOB NOT NULL,
    PRIMARY KEY (definition, window, outcome)
) WITHOUT ROWID;

-- What was charged, in the transaction that released: rho in 1e-9, delta in 1e-18.
CREATE TABLE charges (
    epoch TEXT NOT NULL,
    definition BLOB NOT NULL,
    window TEXT NOT NULL,
    rho_nano INTEGER NOT NULL CHECK (rho_nano >= 0),
    delta_atto INTEGER NOT NULL CHECK (delta_atto >= 0),
    entry BLOB NOT NULL,
    PRIMARY KEY (definition, window, epoch)
) WITHOUT ROWID;
CREATE INDEX charges_by_epoch ON charges (epoch);

-- Two headers that prove an author signed twice at one position.
CREATE TABLE evidence (
    author BLOB PRIMARY KEY,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;

-- Definitions by hash, as canonical bytes.
CREATE TABLE definitions (
    hash BLOB PRIMARY KEY,
    body BLOB NOT NULL
) WITHOUT ROWID;
