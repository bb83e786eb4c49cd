-- Every tracking plan this node has stored rows under; a row names its plan by number.
CREATE TABLE plans (
    number INTEGER PRIMARY KEY,
    tree TEXT NOT NULL UNIQUE,
    adopted_at INTEGER NOT NULL
);
