-- Private choices of this node (specs/privacy.md 4.8): written with their charge, told after, never sent.
CREATE TABLE choices (
    definition BLOB NOT NULL,
    window TEXT NOT NULL,
    chosen TEXT NOT NULL,
    PRIMARY KEY (definition, window)
) WITHOUT ROWID;
