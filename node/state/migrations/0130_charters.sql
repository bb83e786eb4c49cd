-- Charters after the first, verified ones and proposals, and requests to join.

CREATE TABLE charters (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    version INTEGER NOT NULL,
    is_proposal INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE join_requests (
    node BLOB PRIMARY KEY CHECK (length(node) = 32),
    body BLOB NOT NULL,
    received_s INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'refused'))
) STRICT;

CREATE TABLE invites (
    code_hash BLOB PRIMARY KEY CHECK (length(code_hash) = 32),
    made_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL
) STRICT;
