-- Sketches that near duplicates are found by (mailloom.thread.near). An archive that was made before there were any gets the tables
-- when it is next written, and the sketches by `mailloom doctor --repair`.

-- One row a message, until there are enough to pack. Empty for a message without words.
CREATE TABLE IF NOT EXISTS sketches (seq INTEGER PRIMARY KEY, sketch BLOB NOT NULL);

-- Some thousand messages, those of seq first to last: a row a column, so that who looks for a band reads bands. Column 0 is seqs, 1 keys,
-- 2 and more bands; messages that have bands come first.
CREATE TABLE IF NOT EXISTS sketch_packs (
  first INTEGER NOT NULL, last INTEGER NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (first, number));
