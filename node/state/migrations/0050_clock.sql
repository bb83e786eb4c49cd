-- The latest wall time a release round has seen: time before it means that the clock was set back.
CREATE TABLE clock_mark (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at_ms INTEGER NOT NULL
);
