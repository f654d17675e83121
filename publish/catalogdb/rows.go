package catalogdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"spate/publish"
)

// columns lists the columns of a release without files and notes.
var columns = []string{"slug", "version", "variant", "name", "grp", "hash_v1", "hash_v2", "format", "published", "size", "piece_length", "pieces",
	"private", "comment", "announce", "web_seeds", "magnet", "single", "num_files", "torrent_size", "twin_hash", "twin_size", "twin_magnet",
	"summed", "sig_key", "sig_sums", "sig_torrent", "sig_twin", "first_copy", "paused", "path", "watched", "stamp", "base", "skipped", "has_v2_hashes", "sig_v2_hashes", "wanted"}

// values returns the values of r for columns.
func values(r *publish.Release) ([]any, error) {
	announce, err := json.Marshal(r.Announce)
	if err != nil {
		return nil, err
	}
	seeds, err := json.Marshal(r.WebSeeds)
	if err != nil {
		return nil, err
	}
	return []any{[]byte(r.Slug), r.Version, r.Variant, []byte(r.Name), []byte(r.Group), r.HashV1[:], r.HashV2[:], r.Format, r.Published.UnixNano(),
		r.Size, r.PieceLength, r.Pieces, r.Private, []byte(r.Comment), string(announce), string(seeds), []byte(r.Magnet), r.Single, r.NumFiles,
		r.TorrentSize, r.Twin.Hash[:], r.Twin.TorrentSize, []byte(r.Twin.Magnet), r.Summed, []byte(r.Signatures.PublicKey),
		[]byte(r.Signatures.Sums), []byte(r.Signatures.Torrent), []byte(r.Signatures.Twin), int64(r.FirstCopy), r.Paused, []byte(r.Path), []byte(r.Watched), r.Stamp, []byte(r.Base), r.Skipped, r.HasV2Hashes, []byte(r.Signatures.V2Hashes), nanoseconds(r.Wanted)}, nil
}

// nanoseconds returns the time in nanoseconds since 1970, or 0 for the zero time.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// scan reads a row of columns.
func scan(row interface{ Scan(...any) error }) (*publish.Release, error) {
	var r publish.Release
	var v1, v2, twin []byte
	var announce, seeds string
	var published, first, wanted int64
	err := row.Scan(&r.Slug, &r.Version, &r.Variant, &r.Name, &r.Group, &v1, &v2, &r.Format, &published, &r.Size, &r.PieceLength, &r.Pieces,
		&r.Private, &r.Comment, &announce, &seeds, &r.Magnet, &r.Single, &r.NumFiles, &r.TorrentSize, &twin, &r.Twin.TorrentSize, &r.Twin.Magnet,
		&r.Summed, &r.Signatures.PublicKey, &r.Signatures.Sums, &r.Signatures.Torrent, &r.Signatures.Twin, &first, &r.Paused, &r.Path, &r.Watched, &r.Stamp, &r.Base, &r.Skipped,
		&r.HasV2Hashes, &r.Signatures.V2Hashes, &wanted)
	if err != nil {
		return nil, err
	}
	copy(r.HashV1[:], v1)
	copy(r.HashV2[:], v2)
	copy(r.Twin.Hash[:], twin)
	r.Published, r.FirstCopy = time.Unix(0, published).UTC(), time.Duration(first)
	if wanted != 0 {
		r.Wanted = time.Unix(0, wanted).UTC()
	}
	if err := json.Unmarshal([]byte(announce), &r.Announce); err != nil {
		return nil, err
	}
	return &r, json.Unmarshal([]byte(seeds), &r.WebSeeds)
}

// load reads all releases into the index.
func (d *DB) load(ctx context.Context) error {
	rows, err := d.sql.QueryContext(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM releases ORDER BY published")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return err
		}
		if err := d.index.Add(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

const where = " WHERE slug = ? AND version = ? AND variant = ?"

// key returns the values that identify r in the condition where.
func key(r *publish.Release) []any { return []any{[]byte(r.Slug), r.Version, r.Variant} }

// insert writes a release with its files, notes and torrents.
func insert(ctx context.Context, tx *sql.Tx, r *publish.Release, t publish.Torrents) error {
	vals, err := values(r)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, "INSERT INTO releases ("+strings.Join(columns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")", vals...)
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO notes VALUES (?, ?)", id, []byte(r.Notes)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO torrents VALUES (?, ?, ?, ?)", id, append([]byte{}, t.Main...), t.Twin, t.V2Hashes); err != nil {
		return err
	}
	return insertFiles(ctx, tx, id, r.Files)
}

func insertFiles(ctx context.Context, tx *sql.Tx, id int64, files []publish.File) error {
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer stmt.Close()
	for i := range files {
		f := &files[i]
		if _, err := stmt.ExecContext(ctx, id, i, []byte(f.Path), f.Length, f.ModTime.UnixNano(), int64(f.Inode), sum(&f.PiecesRoot), sum(&f.SHA256), f.Change); err != nil {
			return err
		}
	}
	return nil
}

// sum returns a hash as the value of a column: NULL for the zero hash.
func sum(h *[32]byte) any {
	if *h == ([32]byte{}) {
		return nil
	}
	return h[:]
}

// update writes the row and the notes of r, and the other parts that w selects.
func update(ctx context.Context, tx *sql.Tx, r *publish.Release, w rewrite) error {
	vals, err := values(r)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE releases SET "+strings.Join(columns, " = ?, ")+" = ?"+where, append(vals, key(r)...)...); err != nil {
		return err
	}
	var id int64
	if err := tx.QueryRowContext(ctx, "SELECT id FROM releases"+where, key(r)...).Scan(&id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE notes SET text = ? WHERE release = ?", []byte(r.Notes), id); err != nil {
		return err
	}
	if t := w.torrents; t != nil {
		if _, err := tx.ExecContext(ctx, "UPDATE torrents SET main = ?, twin = ?, v2_hashes = ? WHERE release = ?", t.Main, t.Twin, t.V2Hashes, id); err != nil {
			return err
		}
	}
	if !w.files {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM files WHERE release = ?", id); err != nil {
		return err
	}
	return insertFiles(ctx, tx, id, r.Files)
}

// full returns a copy of short with its files and notes.
func (d *DB) full(ctx context.Context, short *publish.Release) (*publish.Release, error) {
	r := *short
	var id int64
	if err := d.sql.QueryRowContext(ctx, "SELECT id, text FROM releases JOIN notes ON release = id"+where, key(short)...).Scan(&id, &r.Notes); err != nil {
		return nil, err
	}
	rows, err := d.sql.QueryContext(ctx, "SELECT "+fileColumns+" FROM files WHERE release = ? ORDER BY pos", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	r.Files = slices.Grow(r.Files, r.NumFiles)
	for rows.Next() {
		f, err := scanFile(rows)
		if err != nil {
			return nil, err
		}
		r.Files = append(r.Files, f)
	}
	r.Reindex()
	return &r, rows.Err()
}

// fileColumns lists the columns that scanFile reads.
const fileColumns = "path, length, mtime, inode, ctime, pieces_root, sha256"

// scanFile reads a row of fileColumns. The columns before them go to more.
func scanFile(rows *sql.Rows, more ...any) (f publish.File, err error) {
	var mtime, inode int64
	var root, sum sql.RawBytes
	if err := rows.Scan(append(more, &f.Path, &f.Length, &mtime, &inode, &f.Change, &root, &sum)...); err != nil {
		return f, err
	}
	f.ModTime, f.Inode = time.Unix(0, mtime), uint64(inode)
	copy(f.PiecesRoot[:], root)
	copy(f.SHA256[:], sum)
	return f, nil
}
