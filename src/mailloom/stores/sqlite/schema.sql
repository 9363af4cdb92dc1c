-- archive.sqlite, version 2. Each table's first key column is the scope ('' by default): nothing crosses scopes.
-- docs/schema.md tells the same to users, with what is stable.

CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- One row a message. seq is the order of storing and the row of bodies and words.
CREATE TABLE messages (
  seq INTEGER PRIMARY KEY, scope TEXT NOT NULL, id BLOB NOT NULL, content_hash BLOB NOT NULL, twin BLOB NOT NULL,
  date INTEGER, subject TEXT NOT NULL, base_subject TEXT NOT NULL, sender TEXT NOT NULL, message_id TEXT NOT NULL,
  list_id TEXT NOT NULL, marks TEXT NOT NULL, charsets TEXT NOT NULL, size INTEGER NOT NULL, attachments INTEGER NOT NULL,
  nested INTEGER NOT NULL, problems TEXT NOT NULL, finished INTEGER NOT NULL);
CREATE UNIQUE INDEX messages_id ON messages (scope, id);
CREATE INDEX messages_message_id ON messages (scope, message_id);

-- The whole record, JSON (mailloom.schema), one zstd frame.
CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- Full text. Contentless: snippets are cut from the record.
CREATE VIRTUAL TABLE words USING fts5 (
  subject, sender, recipients, new, old, names, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');

CREATE TABLE people (
  scope TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, mails INTEGER NOT NULL,
  PRIMARY KEY (scope, key, name, role)) WITHOUT ROWID;

-- One row a delivery: what came, from where, and what became of it. A stored or duplicate one is a copy of its message.
-- generation counts how often a place was found with other content.
CREATE TABLE deliveries (
  scope TEXT NOT NULL, source INTEGER NOT NULL, path TEXT NOT NULL, start INTEGER NOT NULL, generation INTEGER NOT NULL,
  length INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, state TEXT NOT NULL, message BLOB,
  raw_sha256 BLOB, folder TEXT NOT NULL, labels TEXT NOT NULL, flags TEXT NOT NULL, received_at INTEGER, trace BLOB NOT NULL,
  reason TEXT NOT NULL, version TEXT NOT NULL, read_at INTEGER NOT NULL, stored_at INTEGER NOT NULL,
  PRIMARY KEY (scope, source, path, start, generation)) WITHOUT ROWID;
CREATE INDEX deliveries_message ON deliveries (scope, message);
CREATE INDEX deliveries_rejected ON deliveries (scope, source) WHERE state = 'rejected';

CREATE TABLE sources (id INTEGER PRIMARY KEY, scope TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (scope, name));

-- How far a file that holds many mails was read. fingerprint tells a grown one from a rewritten one.
CREATE TABLE containers (
  scope TEXT NOT NULL, source INTEGER NOT NULL, path TEXT NOT NULL, generation INTEGER NOT NULL, size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL, read_to INTEGER NOT NULL, complete INTEGER NOT NULL, fingerprint BLOB NOT NULL,
  PRIMARY KEY (scope, source, path)) WITHOUT ROWID;

-- Where raw bytes are in raw/*.zst.
CREATE TABLE raws (
  sha256 BLOB PRIMARY KEY, pack INTEGER NOT NULL, frame INTEGER NOT NULL, size INTEGER NOT NULL, start INTEGER NOT NULL,
  length INTEGER NOT NULL) WITHOUT ROWID;

-- Threads: the union-find with each key's item in the same row.
CREATE TABLE nodes (
  scope TEXT NOT NULL, name BLOB NOT NULL, parent BLOB NOT NULL, conv BLOB, dead INTEGER NOT NULL, owners BLOB NOT NULL,
  senders BLOB NOT NULL, subjects BLOB NOT NULL, asked INTEGER NOT NULL, PRIMARY KEY (scope, name)) WITHOUT ROWID;
CREATE INDEX nodes_parent ON nodes (scope, parent) WHERE parent <> name;
CREATE INDEX nodes_conv ON nodes (scope, conv) WHERE conv IS NOT NULL;
CREATE TABLE stated (scope TEXT NOT NULL, message BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (scope, message)) WITHOUT ROWID;
CREATE TABLE links (scope TEXT NOT NULL, key BLOB NOT NULL, message BLOB NOT NULL, PRIMARY KEY (scope, key, message)) WITHOUT ROWID;
CREATE TABLE clues (
  scope TEXT NOT NULL, name BLOB NOT NULL, owners BLOB NOT NULL, asked INTEGER NOT NULL, PRIMARY KEY (scope, name)) WITHOUT ROWID;
CREATE TABLE asks (scope TEXT NOT NULL, clue BLOB NOT NULL, message BLOB NOT NULL, PRIMARY KEY (scope, clue, message)) WITHOUT ROWID;
CREATE TABLE soft (
  scope TEXT NOT NULL, source BLOB NOT NULL, target BLOB NOT NULL, live INTEGER NOT NULL, kind TEXT NOT NULL,
  weight INTEGER NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (scope, source, target)) WITHOUT ROWID;
CREATE INDEX soft_target ON soft (scope, target);
CREATE TABLE marks (scope TEXT NOT NULL, message BLOB NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (scope, message)) WITHOUT ROWID;
CREATE TABLE feed (seq INTEGER PRIMARY KEY, scope TEXT NOT NULL, at INTEGER NOT NULL, old BLOB NOT NULL, new BLOB NOT NULL, why TEXT NOT NULL);

-- The Parquet files that hold the messages up to a seq: written first, named here, so that a file nobody names is rubbish.
CREATE TABLE files (name TEXT PRIMARY KEY, month TEXT NOT NULL, mails INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;

-- Since version 2: what an archive of version 1 gets when it is opened to write, and what it is read as having, empty. Tables only.

-- Hand edits. inside and outside are names of nodes, 17 bytes each; edit_names is the way back from them.
CREATE TABLE edits (
  scope TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, message BLOB NOT NULL, target BLOB NOT NULL,
  inside BLOB NOT NULL, outside BLOB NOT NULL, at INTEGER NOT NULL, undone INTEGER, PRIMARY KEY (scope, number)) WITHOUT ROWID;
CREATE TABLE edit_names (
  scope TEXT NOT NULL, name BLOB NOT NULL, number INTEGER NOT NULL, inside INTEGER NOT NULL,
  PRIMARY KEY (scope, name, number)) WITHOUT ROWID;
