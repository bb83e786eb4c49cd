-- Epochs, their segments and the windows that closed (specs/vault.md 2, 5; DESIGN 5). Times are unix seconds, hours are
-- hours since 1970-01-01T00Z. The keys themselves are files under DATA/epochs, never here.

-- One row, written at the first start and never moved: what counts as history and what as live.
CREATE TABLE vault_start (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    length TEXT NOT NULL CHECK (length IN ('day', 'week', 'month')),
    backfill_from_hour INTEGER,      -- null: no history is taken in
    live_from_hour INTEGER NOT NULL, -- windows from here on close by the clock; history ends here
    finished_hour INTEGER,           -- history before this hour is finished
    started_at INTEGER NOT NULL
) STRICT;

CREATE TABLE epochs (
    epoch TEXT PRIMARY KEY,          -- 2026-11-01/P1D
    length TEXT NOT NULL CHECK (length IN ('day', 'week', 'month')),
    start_hour INTEGER NOT NULL UNIQUE,
    end_hour INTEGER NOT NULL,
    cap_rho_nano INTEGER NOT NULL CHECK (cap_rho_nano >= 0),
    cap_delta_atto INTEGER NOT NULL CHECK (cap_delta_atto >= 0),
    backfill INTEGER NOT NULL CHECK (backfill IN (0, 1)),
    keyless INTEGER NOT NULL CHECK (keyless IN (0, 1)), -- 1: nothing was ever stored, no key was ever made
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    pseudonym_destroyed_at INTEGER,  -- set before the key file is overwritten, so that no crash brings it back
    data_destroyed_at INTEGER
) STRICT;

CREATE TABLE segments (
    number INTEGER PRIMARY KEY,      -- order of creation
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    epoch TEXT NOT NULL REFERENCES epochs (epoch),
    slots INTEGER NOT NULL CHECK (slots BETWEEN 0 AND 16),
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'cut')), -- cut: ended by a crash, without a footer
    frames INTEGER,                  -- null while open
    bytes INTEGER                    -- null while open; end of the known range
) STRICT;

CREATE INDEX segments_by_epoch ON segments (epoch);

CREATE TABLE closed_windows (
    window TEXT PRIMARY KEY,         -- 2026-11-01T05/PT1H
    kind TEXT NOT NULL CHECK (kind IN ('hour', 'day', 'week', 'month')),
    start_hour INTEGER NOT NULL,
    closed_at INTEGER NOT NULL
) STRICT;
