-- A write key bound to origins is a browser key: anyone may read it in a page, and it says less in its answers.
ALTER TABLE tokens ADD COLUMN origins TEXT NOT NULL DEFAULT '';
