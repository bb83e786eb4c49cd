-- Where the wall clock stood against the clock of this boot, so that a restart does not make a moved clock look right.
ALTER TABLE clock_mark ADD COLUMN boot TEXT;
ALTER TABLE clock_mark ADD COLUMN offset_ms INTEGER; -- wall clock minus monotonic clock, of that boot
