// Package catalogdb implements a [publish.Catalog] in a directory. It stores the releases
// in an SQLite database. For each release it also stores the .torrent file, and a record
// with the fields that the torrent does not contain. If the database is damaged, the
// package rebuilds it from these files.
//
// A change is durable when the method returns: neither a killed process nor a power failure
// loses it.
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

	"spate"
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

	totalMu sync.RWMutex
	total   map[spate.InfoHash]publish.Counts // sums of the history; the zero hash stands for all releases

	// write is locked by every change, so that the database, the records and the index
	// change together.
	write sync.Mutex
}

var _ publish.Catalog = (*DB)(nil)

// Open opens the catalog in dir, and creates it if it does not exist. It renames a damaged
// database to a name that starts with "corrupt-", rebuilds it from the records, and reports
// that in warnings. The caller ensures that no other process uses the directory.
func Open(ctx context.Context, dir string, now time.Time) (d *DB, warnings []error, err error) {
	if err := os.MkdirAll(filepath.Join(dir, recordDir), 0o700); err != nil {
		return nil, nil, err
	}
	d = &DB{dir: dir, index: publish.NewIndex(), cache: newCache(), total: map[spate.InfoHash]publish.Counts{}}
	path := filepath.Join(dir, dbFile)
	info, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err == nil && info.Size() == 0 {
		warnings = append(warnings, errors.New("the catalog was empty: it was rebuilt from the records of the releases"))
		fresh = true
	}
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
	if err := d.holdAddresses(ctx); err != nil {
		d.Close()
		return nil, warnings, err
	}
	return d, append(warnings, more...), nil
}

// open opens the database, updates its schema and reads the list of releases and their
// total counts.
func (d *DB) open(ctx context.Context) (err error) {
	path := filepath.Join(d.dir, dbFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // with a mode that does not depend on the umask
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
			d.index, d.total = publish.NewIndex(), map[spate.InfoHash]publish.Counts{}
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
	if err := d.load(ctx); err != nil {
		return err
	}
	if err := d.loadAddresses(ctx); err != nil {
		return err
	}
	return d.loadTotals(ctx)
}

// dsn returns the data source name of the database at path. Every commit is synced, and a
// transaction takes the write lock when it begins.
func dsn(path, mode string) string {
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "trusted_schema(0)",
	}}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	return u.String()
}

// Close closes the database.
func (d *DB) Close() error { return d.sql.Close() }

// Backup writes a copy of the database to the file at path, which must not exist. Other
// methods may be called meanwhile. To restore the catalog, replace the database by the
// copy.
func (d *DB) Backup(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // VACUUM INTO accepts an empty file
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := d.sql.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		f.Close()
		os.Remove(path)
		return fmt.Errorf("backup: %w", err)
	}
	return errors.Join(f.Sync(), atomicfile.SyncDir(filepath.Dir(path)))
}

// setAside renames a damaged database with its journal files, and returns the new name.
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
