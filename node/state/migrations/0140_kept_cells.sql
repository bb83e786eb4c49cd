-- Sets of per-person cells kept as a cache beside the segments (specs/vault.md 3.11). A set is of one window and one query
-- (SHA-256 of its SQL), made from the epoch's rows as `source` (SHA-256 over ids and frames of its segments) names them.
CREATE TABLE kept_cells (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    epoch TEXT NOT NULL REFERENCES epochs (epoch),
    window TEXT NOT NULL,
    query BLOB NOT NULL CHECK (length(query) = 32),
    source BLOB NOT NULL CHECK (length(source) = 32),
    frames INTEGER NOT NULL CHECK (frames > 0),
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    UNIQUE (window, query)
) STRICT;
