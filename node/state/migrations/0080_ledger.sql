-- Room that standing metrics keep in an epoch, made with the epoch's record; a row goes when its slot is answered.
CREATE TABLE reservations (
    epoch TEXT NOT NULL,
    definition BLOB NOT NULL,
    window TEXT NOT NULL,
    rho_nano INTEGER NOT NULL CHECK (rho_nano >= 0),
    delta_atto INTEGER NOT NULL CHECK (delta_atto >= 0),
    PRIMARY KEY (definition, window)
) WITHOUT ROWID;
CREATE INDEX reservations_by_epoch ON reservations (epoch);

-- What the ledger refused, in four parts, for the operator; the slot has abstained `budget`.
CREATE TABLE refusals (
    definition BLOB NOT NULL,
    window TEXT NOT NULL,
    epoch TEXT NOT NULL,
    rule TEXT NOT NULL,
    deficit INTEGER NOT NULL,
    returns TEXT NOT NULL,
    nearest TEXT NOT NULL,
    PRIMARY KEY (definition, window)
) WITHOUT ROWID;
