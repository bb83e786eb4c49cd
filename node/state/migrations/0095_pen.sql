-- The entry of the own log that this node wrote or adopted last: the next one stands on it.
CREATE TABLE pen (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    entry BLOB NOT NULL REFERENCES entries (id)
) STRICT;
