-- Where copies lie, each place once: what `in:` looks through, of which there are few where copies are many. `place` is a hash of the three;
-- the index finds the copies of a place, and takes some 8 bytes a copy, as equal keys are kept once. Triggers bring places in,
-- so that workers of the version before do too. While the index is built, workers wait, or give their mail back and come again.
CREATE TABLE folders (
  scope text NOT NULL, place bigint NOT NULL, source text NOT NULL, folder text NOT NULL, labels text NOT NULL, PRIMARY KEY (scope, place));

-- In the order of keys, so that two workers with the same new places wait for each other and not in a circle.
CREATE FUNCTION keep_folders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO folders
    SELECT DISTINCT ON (scope, place) scope, place, source, folder, labels
    FROM (SELECT scope, hashtextextended(source || E'\x01' || folder || E'\x01' || labels, 0) AS place, source, folder, labels FROM changed) AS c
    ORDER BY scope, place
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER copies_come AFTER INSERT ON copies REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION keep_folders();
CREATE TRIGGER copies_change AFTER UPDATE ON copies REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION keep_folders();

CREATE INDEX copies_place ON copies (scope, hashtextextended(source || E'\x01' || folder || E'\x01' || labels, 0));
INSERT INTO folders
  SELECT DISTINCT ON (1, 2) scope, hashtextextended(source || E'\x01' || folder || E'\x01' || labels, 0), source, folder, labels FROM copies
  ON CONFLICT DO NOTHING;
