// Package catalogdb is a [publish.Catalog] in a directory: an SQLite database,
// and beside it for each release its .torrent and a record of what the torrent
// does not say, from which a database that is damaged is made anew.
//
// What a method has returned from is on the disk: a process that is killed, or a
// machine whose power fails, loses nothing of it.
package catalogdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"spate/internal/atomicfile"
	"spate/publish"
)

const dbFile = "catalog.db"

// DB is a catalog on disk. It is safe for concurrent use by one process.
type DB struct {
	dir   string
	sql   *sql.DB
	index *publish.Index
	cache *cache

	// write is held by whoever changes something, so that the database, the
	// records and the index change together.
	write sync.Mutex
}

var _ publish.Catalog = (*DB)(nil)

// Open opens the catalog in dir, which it makes if need be. What is damaged is
// set aside under a name that starts with "corrupt-", made anew as far as the
// records tell, and reported in warnings. The caller makes sure that no other
// process has the directory.
func Open(ctx context.Context, dir string, now time.Time) (d *DB, warnings []error, err error) {
	if err := os.MkdirAll(filepath.Join(dir, recordDir), 0o700); err != nil {
		return nil, nil, err
	}
	d = &DB{dir: dir, index: publish.NewIndex(), cache: newCache()}
	path := filepath.Join(dir, dbFile)
	_, err = os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	err = d.open(ctx)
	var newer *NewerError
	if errors.As(err, &newer) {
		return nil, nil, err
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		old := salvage(ctx, path)
		aside, moveErr := setAside(path, now)
		if moveErr != nil {
			return nil, nil, errors.Join(err, moveErr)
		}
		warnings = append(warnings, fmt.Errorf("the catalog was damaged (%w): it was moved to %s and rebuilt from the records of the releases", err, aside))
		if err := d.open(ctx); err != nil {
			return nil, warnings, err
		}
		fresh = true
		if err := d.restoreHistory(ctx, old); err != nil {
			warnings = append(warnings, fmt.Errorf("reading the counters of the damaged catalog failed: %w", err))
		}
	}
	more, err := d.reconcile(ctx, fresh)
	if err != nil {
		d.Close()
		return nil, warnings, err
	}
	return d, append(warnings, more...), nil
}

// open opens the database, brings its schema up to date and reads the list.
func (d *DB) open(ctx context.Context) (err error) {
	path := filepath.Join(d.dir, dbFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would ask the umask
	if err != nil {
		return err
	}
	f.Close()
	if d.sql, err = sql.Open("sqlite", dsn(path, "rw")); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.sql.Close()
		}
	}()
	d.sql.SetMaxOpenConns(4)
	d.sql.SetMaxIdleConns(4)
	var state string
	if err := d.sql.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&state); err != nil {
		return err
	}
	if state != "ok" {
		return errors.New(state)
	}
	if err := d.migrate(ctx); err != nil {
		return err
	}
	return d.load(ctx)
}

// dsn names the database at path to the driver: synced at every commit, with
// transactions that take the lock for writing at once.
func dsn(path, mode string) string {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "trusted_schema(0)",
	}}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	return u.String()
}

// Close closes the database.
func (d *DB) Close() error { return d.sql.Close() }

// Backup writes a copy of the whole catalog to the file at path, where nothing
// may be, while others go on. The copy is a database that Open would open.
func (d *DB) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "backup", Path: path, Err: fs.ErrExist}
	}
	if _, err := d.sql.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return errors.Join(f.Chmod(0o600), f.Sync(), atomicfile.SyncDir(filepath.Dir(path)))
}

// setAside renames a damaged database, with what belongs to it, and returns its
// new name.
func setAside(path string, now time.Time) (string, error) {
	dir, name := filepath.Split(path)
	for n := 0; ; n++ {
		aside := filepath.Join(dir, fmt.Sprintf("corrupt-%s-%d-%s", now.UTC().Format("20060102-150405"), n, name))
		if _, err := os.Lstat(aside); err == nil {
			continue
		}
		if err := os.Rename(path, aside); err != nil {
			return "", err
		}
		for _, suffix := range []string{"-wal", "-shm"} {
			if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
		return aside, atomicfile.SyncDir(dir)
	}
}
