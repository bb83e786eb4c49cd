-- Proofs that members signed twice, several of one author, and which members acknowledged them.
CREATE TABLE evidence_documents (
    number INTEGER PRIMARY KEY,
    author BLOB NOT NULL,
    body BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE evidence_told (
    digest BLOB NOT NULL,            -- SHA-256 of the body
    peer BLOB NOT NULL,
    PRIMARY KEY (digest, peer)
) WITHOUT ROWID, STRICT;

INSERT INTO evidence_documents (author, body) SELECT author, body FROM evidence;
DROP TABLE evidence;
