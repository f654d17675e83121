package catalogdb

import (
	"context"
	"fmt"
)

// migrations[i] holds the statements that change the schema from version i to i+1. A
// released migration never changes. Text with arbitrary bytes is stored as a BLOB.
var migrations = []string{`
CREATE TABLE releases (
  id           INTEGER PRIMARY KEY,
  slug         BLOB NOT NULL,
  version      TEXT NOT NULL,
  variant      TEXT NOT NULL,
  name         BLOB NOT NULL,
  grp          BLOB NOT NULL,
  hash_v1      BLOB NOT NULL, -- 20 bytes, zero without
  hash_v2      BLOB NOT NULL, -- 32 bytes, zero without
  format       TEXT NOT NULL,
  published    INTEGER NOT NULL, -- nanoseconds since 1970
  size         INTEGER NOT NULL,
  piece_length INTEGER NOT NULL,
  pieces       INTEGER NOT NULL,
  private      INTEGER NOT NULL,
  comment      BLOB NOT NULL,
  announce     TEXT NOT NULL, -- JSON, lists of URLs
  web_seeds    TEXT NOT NULL, -- JSON, list of URLs
  magnet       BLOB NOT NULL,
  single       INTEGER NOT NULL,
  num_files    INTEGER NOT NULL,
  torrent_size INTEGER NOT NULL,
  twin_hash    BLOB NOT NULL, -- 20 bytes, zero without
  twin_size    INTEGER NOT NULL,
  twin_magnet  BLOB NOT NULL,
  summed       INTEGER NOT NULL,
  sig_key      BLOB NOT NULL,
  sig_sums     BLOB NOT NULL,
  sig_torrent  BLOB NOT NULL,
  sig_twin     BLOB NOT NULL,
  first_copy   INTEGER NOT NULL, -- nanoseconds
  paused       INTEGER NOT NULL,
  path         BLOB NOT NULL,
  watched      BLOB NOT NULL,
  stamp        TEXT NOT NULL,
  UNIQUE (slug, version, variant)
) STRICT;
CREATE TABLE notes (
  release INTEGER PRIMARY KEY REFERENCES releases ON DELETE CASCADE,
  text    BLOB NOT NULL
) STRICT;
CREATE TABLE torrents (
  release INTEGER PRIMARY KEY REFERENCES releases ON DELETE CASCADE,
  main    BLOB NOT NULL,
  twin    BLOB
) STRICT;
CREATE TABLE files (
  release     INTEGER NOT NULL REFERENCES releases ON DELETE CASCADE,
  pos         INTEGER NOT NULL,
  path        BLOB NOT NULL,
  length      INTEGER NOT NULL,
  mtime       INTEGER NOT NULL, -- nanoseconds since 1970
  inode       INTEGER NOT NULL,
  pieces_root BLOB, -- 32 bytes
  sha256      BLOB, -- 32 bytes
  PRIMARY KEY (release, pos)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
  hash       BLOB NOT NULL,
  day        TEXT NOT NULL, -- 2006-01-02, in UTC
  completed  INTEGER NOT NULL,
  direct     INTEGER NOT NULL,
  seed_bytes INTEGER NOT NULL,
  http_bytes INTEGER NOT NULL,
  PRIMARY KEY (hash, day)
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE releases ADD COLUMN base BLOB NOT NULL DEFAULT x'';
`, `
ALTER TABLE releases ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
`, `
ALTER TABLE files ADD COLUMN ctime INTEGER NOT NULL DEFAULT 0; -- change time in nanoseconds since 1970, 0 if unknown
`, `
ALTER TABLE torrents ADD COLUMN v2_hashes BLOB; -- v2 hashes that main leaves out
ALTER TABLE releases ADD COLUMN has_v2_hashes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE releases ADD COLUMN sig_v2_hashes BLOB NOT NULL DEFAULT x'';
UPDATE releases SET has_v2_hashes = 1 WHERE format = 'v1' AND EXISTS (SELECT 1 FROM files WHERE release = id AND pieces_root IS NOT NULL)
  AND EXISTS (SELECT 1 FROM torrents WHERE release = id AND instr(main, CAST('9:v2 hashes' AS BLOB)) > 0);
`, `
ALTER TABLE releases ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0; -- when the first download began, nanoseconds since 1970, 0 if none has
`, `
CREATE TABLE addresses ( -- also those of slugs that have no release any more
  nice BLOB PRIMARY KEY,
  slug BLOB NOT NULL
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE history ADD COLUMN archives INTEGER NOT NULL DEFAULT 0; -- part of direct
`}

// NewerError is returned if a newer version of the program has written the database.
type NewerError struct{ Have, Know int }

// Error implements error.
func (e *NewerError) Error() string {
	return fmt.Sprintf("the catalog has schema %d and this program knows up to %d: a newer spate made it", e.Have, e.Know)
}

// migrate updates the schema.
func (d *DB) migrate(ctx context.Context) error {
	var have int
	if err := d.sql.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if have > len(migrations) {
		return &NewerError{have, len(migrations)}
	}
	for ; have < len(migrations); have++ {
		tx, err := d.sql.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA user_version = %d", migrations[have], have+1))
		if err == nil {
			err = tx.Commit()
		}
		if err != nil {
			tx.Rollback()
			return fmt.Errorf("schema %d: %w", have+1, err)
		}
	}
	return nil
}
