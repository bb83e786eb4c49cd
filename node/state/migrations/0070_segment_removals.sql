-- Segment files that must go (specs/vault.md 3.9). Rewriting puts the new segments here before it makes their files and
-- the old ones in the transaction that switches; a start removes what a crash left. No record here is about rows.
CREATE TABLE segment_removals (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    epoch TEXT NOT NULL REFERENCES epochs (epoch)
) STRICT;
