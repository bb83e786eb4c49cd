-- From this second on a key opens nothing; null for one that lives until it is revoked.
ALTER TABLE tokens ADD COLUMN expires_at INTEGER;
