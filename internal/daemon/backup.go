package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/atomicfile"
	"spate/internal/fault"
)

// errNoCatalog is returned by a process that keeps its catalog in memory.
var errNoCatalog = fault.New(fault.NotFound, "start spate serve, which keeps a catalog", "spate publish keeps no catalog on the disk")

// Backup writes a copy of the catalog to the absolute path.
func (d *Daemon) Backup(ctx context.Context, path string) error {
	if err := absolute(path); err != nil {
		return err
	}
	if d.db == nil {
		return errNoCatalog
	}
	err := d.db.Backup(ctx, path)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Exists, "name another file", "%s exists already", path)
	}
	return err
}

// OpenBackup returns a copy of the catalog and its size in bytes, for a client that writes it to a file
// which the user of this process may not be able to write, or in its sandbox not even to see. The caller
// closes the copy, which also deletes it.
func (d *Daemon) OpenBackup(ctx context.Context) (io.ReadCloser, int64, error) {
	if d.db == nil {
		return nil, 0, errNoCatalog
	}
	dir, err := atomicfile.MkdirTemp(d.State())
	if err != nil {
		return nil, 0, err
	}
	c := &catalogCopy{dir: dir}
	path := filepath.Join(dir, "catalog.db")
	if err := d.db.Backup(ctx, path); err != nil {
		return nil, 0, errors.Join(err, c.Close())
	}
	if c.File, err = os.Open(path); err != nil {
		return nil, 0, errors.Join(err, c.Close())
	}
	info, err := c.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, c.Close())
	}
	return c, info.Size(), nil
}

// catalogCopy is an open copy of the catalog in a directory of its own.
type catalogCopy struct {
	*os.File // nil if it is not open
	dir      string
}

// Close closes the copy and deletes it.
func (c *catalogCopy) Close() error {
	var err error
	if c.File != nil {
		err = c.File.Close()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}
