-- Slots this node never answered in which somebody with its key did: what a recovery took back, and the abstention
-- that says so. Not in `slots`: the node may still release them once.
CREATE TABLE taken_back (
    definition BLOB NOT NULL,
    window TEXT NOT NULL,
    entry BLOB NOT NULL,
    PRIMARY KEY (definition, window)
) WITHOUT ROWID;
