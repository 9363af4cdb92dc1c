-- The tables of the server profile. Each key begins with the scope ('' by default): nothing crosses scopes. docs/postgres.md tells why
-- they are as they are. Ids, names of nodes and hashes are bytea, so that they compare as the bytes that they are everywhere else.
--
-- Tables with a column `month` are partitioned by it: year * 100 + month of the date in the message's id (partitions.py), 999999 where
-- it has none. A month without a partition of its own lies in the default one.
--
-- What a sender may make as long as he likes never stands whole in an index: a B-tree takes 2,704 bytes.

-- One row a message. `body` is the whole record, JSON (mailloom.schema) in a zstd frame.
CREATE TABLE messages (
  scope text NOT NULL, month integer NOT NULL, id bytea NOT NULL, content_hash bytea NOT NULL, twin bytea NOT NULL, date bigint,
  subject text NOT NULL, base_subject text NOT NULL, sender text NOT NULL, message_id text NOT NULL, list_id text NOT NULL,
  marks text NOT NULL, charsets text NOT NULL, size bigint NOT NULL, attachments integer NOT NULL, nested integer NOT NULL,
  problems text NOT NULL, body bytea NOT NULL, sketch bytea NOT NULL, stored_at bigint NOT NULL,
  PRIMARY KEY (scope, id, month)) PARTITION BY RANGE (month);
ALTER TABLE messages ALTER body SET STORAGE EXTERNAL;
CREATE INDEX messages_message_id ON messages (scope, left(message_id, 250));

-- Messages whose processing has not run to its end: a row of its own, as a flag in `messages` would write every message twice.
CREATE TABLE unfinished (scope text NOT NULL, message bytea NOT NULL, PRIMARY KEY (scope, message));

-- One row a delivery that is stored or duplicate: where this copy of a message came from. `place` is a hash of source, path, start,
-- generation and the bytes' own.
CREATE TABLE copies (
  scope text NOT NULL, month integer NOT NULL, message bytea NOT NULL, place bytea NOT NULL, source text NOT NULL, path text NOT NULL,
  start bigint NOT NULL, generation integer NOT NULL, length bigint NOT NULL, size bigint NOT NULL, mtime_ns bigint NOT NULL,
  state text NOT NULL, raw_sha256 bytea NOT NULL, folder text NOT NULL, labels text NOT NULL, flags text NOT NULL, received_at bigint,
  trace bytea NOT NULL, reason text NOT NULL, version text NOT NULL, read_at bigint NOT NULL, stored_at bigint NOT NULL,
  PRIMARY KEY (scope, message, place, month)) PARTITION BY RANGE (month);

-- The messages inside a message and the files in it, to find them; all that is said of them is in the carrier's body.
CREATE TABLE nested (
  scope text NOT NULL, month integer NOT NULL, message bytea NOT NULL, path text NOT NULL, kind text NOT NULL, depth integer NOT NULL,
  message_id text NOT NULL, sender text NOT NULL, date bigint, subject text NOT NULL,
  PRIMARY KEY (scope, message, path, month)) PARTITION BY RANGE (month);
-- `path` is that of the nested message it is in, '' for the message itself; `number` counts from 0 in each.
CREATE TABLE attachments (
  scope text NOT NULL, month integer NOT NULL, message bytea NOT NULL, path text NOT NULL, number integer NOT NULL, part integer NOT NULL,
  name text NOT NULL, type text NOT NULL, size bigint NOT NULL, sha256 bytea NOT NULL, inline boolean NOT NULL, inside text NOT NULL,
  PRIMARY KEY (scope, message, path, number, month)) PARTITION BY RANGE (month);
CREATE INDEX attachments_sha256 ON attachments (scope, sha256);

-- How many messages show an address under a name in a role. `person` is a hash of the three.
CREATE TABLE people (
  scope text NOT NULL, person bytea NOT NULL, key text NOT NULL, name text NOT NULL, role text NOT NULL, mails bigint NOT NULL,
  PRIMARY KEY (scope, person)) WITH (fillfactor = 80);
CREATE INDEX people_key ON people (scope, left(key, 320));

-- Threads. `stated` is found by message, so its month is known; `linked` is the way back, found by key alone, so it is spread by key;
-- `links` says the same by month for those who analyse who cites whom.
CREATE TABLE stated (
  scope text NOT NULL, month integer NOT NULL, message bytea NOT NULL, body bytea NOT NULL,
  PRIMARY KEY (scope, message, month)) PARTITION BY RANGE (month);
CREATE TABLE links (
  scope text NOT NULL, month integer NOT NULL, message bytea NOT NULL, key bytea NOT NULL, kind text NOT NULL, owns boolean NOT NULL,
  detail text NOT NULL, weight integer NOT NULL, PRIMARY KEY (scope, message, key, kind, owns, month)) PARTITION BY RANGE (month);
CREATE TABLE linked (
  scope text NOT NULL, key bytea NOT NULL, message bytea NOT NULL, PRIMARY KEY (scope, key, message)) PARTITION BY HASH (key);
CREATE TABLE asks (scope text NOT NULL, clue bytea NOT NULL, message bytea NOT NULL, PRIMARY KEY (scope, clue, message));
CREATE TABLE soft (
  scope text NOT NULL, source bytea NOT NULL, target bytea NOT NULL, live boolean NOT NULL, kind text NOT NULL, weight integer NOT NULL,
  detail text NOT NULL, PRIMARY KEY (scope, source, target));
CREATE INDEX soft_target ON soft (scope, target);

CREATE SEQUENCE mark_versions;
CREATE TABLE marks (scope text NOT NULL, message bytea NOT NULL, version bigint NOT NULL, PRIMARY KEY (scope, message));
CREATE INDEX marks_version ON marks (scope, version);
CREATE TABLE leases (scope text NOT NULL, name text NOT NULL, number bigint NOT NULL, PRIMARY KEY (scope, name));
CREATE SEQUENCE feed_numbers;
CREATE TABLE feed (
  scope text NOT NULL, seq bigint NOT NULL DEFAULT nextval('feed_numbers'), at bigint NOT NULL, old bytea NOT NULL, new bytea NOT NULL,
  why text NOT NULL, PRIMARY KEY (scope, seq));
CREATE INDEX feed_old ON feed (scope, old);

-- Hand edits. inside and outside are names of nodes, 17 bytes each; edit_names is the way back from them.
CREATE TABLE edits (
  scope text NOT NULL, number integer NOT NULL, kind text NOT NULL, message bytea NOT NULL, target bytea NOT NULL, inside bytea NOT NULL,
  outside bytea NOT NULL, at bigint NOT NULL, undone bigint, PRIMARY KEY (scope, number));
CREATE TABLE edit_names (
  scope text NOT NULL, name bytea NOT NULL, number integer NOT NULL, inside boolean NOT NULL, PRIMARY KEY (scope, name, number));

-- What readers see: the conversation that each message is in. `moves` holds the roots of pools that were about to be hung below another:
-- whoever sees one brings the rows that name it up to date, and says there to which conversation.
CREATE TABLE conversations (
  scope text NOT NULL, message bytea NOT NULL, conversation bytea NOT NULL, PRIMARY KEY (scope, message)) WITH (fillfactor = 90);
CREATE INDEX conversations_members ON conversations (scope, conversation, message);
CREATE TABLE moves (
  scope text NOT NULL, message bytea NOT NULL, at timestamptz NOT NULL DEFAULT now(), target bytea, PRIMARY KEY (scope, message));
CREATE INDEX moves_at ON moves (scope, at);

CREATE TABLE messages_rest PARTITION OF messages DEFAULT;
CREATE TABLE copies_rest PARTITION OF copies DEFAULT;
CREATE TABLE nested_rest PARTITION OF nested DEFAULT;
CREATE TABLE attachments_rest PARTITION OF attachments DEFAULT;
CREATE TABLE stated_rest PARTITION OF stated DEFAULT;
CREATE TABLE links_rest PARTITION OF links DEFAULT;
DO $$ BEGIN FOR n IN 0..15 LOOP
  EXECUTE format('CREATE TABLE linked_%s PARTITION OF linked FOR VALUES WITH (MODULUS 16, REMAINDER %s)', lpad(n::text, 2, '0'), n);
END LOOP; END $$;
