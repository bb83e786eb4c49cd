-- Every tracking plan this node has stored rows under; a row names its plan by number.
CREATE TABLE plans (
    number INTEGER PRIMARY KEY,
    tree TEXT NOT NULL UNIQUE
);

-- From when on a plan was in force, until the next adoption.
CREATE TABLE plan_adoptions (
    adopted_at INTEGER NOT NULL,
    plan INTEGER NOT NULL REFERENCES plans (number)
);
