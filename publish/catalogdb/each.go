package catalogdb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"spate/internal/units"
	"spate/publish"
)

// Limits of a batch of Each. A batch contains at least one release.
const (
	batchReleases = 256
	batchFiles    = 20_000
	batchTorrents = 16 << 20 // bytes
)

// Each implements [publish.Catalog]. It reads the releases in batches with two statements for
// each batch, because a statement for each release is a large part of the time of a restart.
func (d *DB) Each(ctx context.Context, f func(*publish.Release, publish.Torrents) error) error {
	list, _ := d.index.List(publish.Query{All: true})
	for len(list) > 0 {
		n := batchOf(list)
		batch, err := d.batch(ctx, list[:n])
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("catalog: %w", err)
		}
		for _, b := range batch {
			if err := f(b.r, b.t); err != nil {
				return err
			}
		}
		list = list[n:]
	}
	return nil
}

// batchOf returns how many releases at the start of list are one batch.
func batchOf(list []*publish.Release) int {
	files, torrents := 0, 0
	for i, r := range list {
		files, torrents = files+r.NumFiles, torrents+r.TorrentSize+r.Twin.TorrentSize
		if i > 0 && (i == batchReleases || files > batchFiles || torrents > batchTorrents) {
			return i
		}
	}
	return len(list)
}

// whole is a release with its files, notes and torrents.
type whole struct {
	id int64
	r  *publish.Release
	t  publish.Torrents
}

// batch reads the releases of list that still exist.
func (d *DB) batch(ctx context.Context, list []*publish.Release) ([]*whole, error) {
	d.write.Lock() // so that the rows of both statements and the index belong together
	defer d.write.Unlock()
	var keys []any
	byRef := map[string]*whole{}
	var out []*whole
	for _, old := range list {
		short, err := d.exact(old.Ref())
		if err != nil {
			continue // deleted meanwhile
		}
		r := *short
		w := &whole{r: &r}
		out, byRef[r.Ref()], keys = append(out, w), w, append(keys, key(short)...)
	}
	if len(out) == 0 {
		return nil, nil
	}
	rows, err := d.sql.QueryContext(ctx, "SELECT id, slug, version, variant, text, main, twin, v2_hashes FROM releases JOIN notes ON notes.release = id JOIN torrents ON torrents.release = id "+
		"WHERE (slug, version, variant) IN (VALUES (?, ?, ?)"+strings.Repeat(", (?, ?, ?)", len(out)-1)+")", keys...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byID := make(map[int64]*whole, len(out))
	var ids []any
	for rows.Next() {
		var id int64
		var ref publish.Ref
		var notes string
		var t publish.Torrents
		if err := rows.Scan(&id, &ref.Slug, &ref.Version, &ref.Variant, &notes, &t.Main, &t.Twin, &t.V2Hashes); err != nil {
			return nil, err
		}
		if w := byRef[ref.String()]; w != nil {
			w.id, w.r.Notes, w.t = id, notes, t
			byID[id], ids = w, append(ids, id)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(ids) < len(out) {
		return nil, fmt.Errorf("the database has %s", units.PartOf(len(ids), len(out), "release"))
	}
	return out, d.batchFiles(ctx, ids, byID)
}

// batchFiles reads the files of the releases with the given ids.
func (d *DB) batchFiles(ctx context.Context, ids []any, byID map[int64]*whole) error {
	rows, err := d.sql.QueryContext(ctx, "SELECT release, "+fileColumns+" FROM files WHERE release IN (?"+strings.Repeat(", ?", len(ids)-1)+") ORDER BY release, pos", ids...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		f, err := scanFile(rows, &id)
		if err != nil {
			return err
		}
		r := byID[id].r
		if r.Files == nil {
			r.Files = slices.Grow(r.Files, r.NumFiles)
		}
		r.Files = append(r.Files, f)
	}
	for _, w := range byID {
		w.r.Reindex()
	}
	return rows.Err()
}
