package catalogdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"spate"
	"spate/publish"
)

// Put implements [publish.Catalog].
func (d *DB) Put(ctx context.Context, r *publish.Release, t publish.Torrents) error {
	full := r.Filled(t)
	d.write.Lock()
	defer d.write.Unlock()
	if err := d.index.Check(full); err != nil {
		return err
	}
	if err := d.writeRecord(full, &t); err != nil {
		return err
	}
	err := d.tx(ctx, func(tx *sql.Tx) error {
		if err := insert(ctx, tx, full, t); err != nil {
			return err
		}
		return storeAddress(ctx, tx, publish.NiceAddress(full.Slug), full.Slug)
	})
	if err != nil {
		return errors.Join(err, d.removeRecord(full))
	}
	if err := d.index.Add(full); err != nil {
		return err
	}
	d.index.HoldAddress(full.Slug)
	return nil
}

// Address implements [publish.Catalog].
func (d *DB) Address(slug string) string { return d.index.Address(slug) }

// tx runs f in a transaction.
func (d *DB) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if err = f(tx); err == nil {
		err = tx.Commit()
	}
	if err != nil {
		tx.Rollback()
		return fmt.Errorf("catalog: %w", err)
	}
	return nil
}

// exact returns the release with exactly the reference ref.
func (d *DB) exact(ref string) (*publish.Release, error) {
	r, err := d.index.Resolve(ref)
	if err == nil && r.Ref() != ref {
		err = fmt.Errorf("%w: %q", publish.ErrNotFound, ref)
	}
	return r, err
}

// Delete implements [publish.Catalog].
func (d *DB) Delete(ctx context.Context, ref string) error {
	d.write.Lock()
	defer d.write.Unlock()
	r, err := d.exact(ref)
	if err != nil {
		return err
	}
	err = d.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM releases"+where, key(r)...)
		return err
	})
	if err != nil {
		return err
	}
	d.index.Remove(ref)
	d.cache.drop(ref)
	return d.removeRecord(r)
}

// rewrite lists the parts of a release that change, besides its row and its notes.
type rewrite struct {
	files    bool
	torrents *publish.Torrents // nil: unchanged
}

// change replaces a release by the result of f.
func (d *DB) change(ctx context.Context, ref string, w rewrite, f func(*publish.Release) (*publish.Release, error)) error {
	d.write.Lock()
	defer d.write.Unlock()
	short, err := d.exact(ref)
	if err != nil {
		return err
	}
	r, err := d.full(ctx, short)
	if err != nil {
		return err
	}
	if r, err = f(r); err != nil {
		return err
	}
	if err := d.tx(ctx, func(tx *sql.Tx) error { return update(ctx, tx, r, w) }); err != nil {
		return err
	}
	d.index.Replace(r)
	d.cache.drop(ref)
	return d.writeRecord(r, w.torrents)
}

// Update implements [publish.Catalog].
func (d *DB) Update(ctx context.Context, ref string, c publish.Change) error {
	w := rewrite{files: c.Location != nil}
	if c.Links != nil {
		w.torrents = &c.Links.Torrents
	}
	return d.change(ctx, ref, w, func(r *publish.Release) (*publish.Release, error) { return r.With(c) })
}

// SetSums implements [publish.Catalog].
func (d *DB) SetSums(ctx context.Context, ref string, ih spate.InfoHash, sums [][32]byte) error {
	return d.change(ctx, ref, rewrite{files: true}, func(r *publish.Release) (*publish.Release, error) { return r.WithSums(ih, sums) })
}

// Get implements [publish.Catalog].
func (d *DB) Get(ctx context.Context, ref string) (*publish.Release, error) {
	short, err := d.index.Resolve(ref)
	if err != nil {
		return nil, err
	}
	exact := short.Ref()
	r, gen := d.cache.get(exact)
	if r != nil {
		return r, nil
	}
	r, err = d.full(ctx, short)
	if errors.Is(err, sql.ErrNoRows) { // deleted meanwhile
		return nil, fmt.Errorf("%w: %q", publish.ErrNotFound, ref)
	}
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	d.cache.put(exact, r, gen)
	return r, nil
}

// Torrents implements [publish.Catalog].
func (d *DB) Torrents(ctx context.Context, ref string) (t publish.Torrents, err error) {
	r, err := d.index.Resolve(ref)
	if err != nil {
		return t, err
	}
	err = d.sql.QueryRowContext(ctx, "SELECT main, twin, v2_hashes FROM torrents JOIN releases ON release = id"+where, key(r)...).Scan(&t.Main, &t.Twin, &t.V2Hashes)
	if errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("%w: %q", publish.ErrNotFound, ref)
	}
	return t, err
}

// Find implements [publish.Catalog].
func (d *DB) Find(_ context.Context, ih spate.InfoHash) (*publish.Release, error) {
	return d.index.Find(ih)
}

// Family implements [publish.Catalog].
func (d *DB) Family(_ context.Context, slug string) ([]*publish.Release, error) {
	return d.index.Family(slug)
}

// List implements [publish.Catalog].
func (d *DB) List(_ context.Context, q publish.Query) ([]*publish.Release, int, error) {
	list, total := d.index.List(q)
	return list, total, nil
}

// Revision implements [publish.Catalog].
func (d *DB) Revision() uint64 { return d.index.Revision() }

// Groups implements [publish.Catalog].
func (d *DB) Groups(context.Context) ([]publish.GroupCount, error) { return d.index.Groups(), nil }
