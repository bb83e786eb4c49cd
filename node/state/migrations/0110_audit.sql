-- What was done to this node and with its keys, by whom, in a hash chain (specs/node.md 2). No row names a person,
-- a person's id or the value of a question. `at` is in unix seconds.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    salt BLOB NOT NULL CHECK (length(salt) = 16),
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)
) STRICT;
