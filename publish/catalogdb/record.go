package catalogdb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"spate/internal/atomicfile"
	"spate/metainfo"
	"spate/publish"
)

// recordDir contains HASH.torrent and HASH.json for each release, where HASH is the main
// info-hash, and HASH.v2 if the torrent leaves out its v2 hashes.
const recordDir = "releases"

// record holds the fields of a release that its torrent does not contain. Text with
// arbitrary bytes is encoded in base64.
type record struct {
	Slug       []byte             `json:"slug"`
	Version    string             `json:"version"`
	Variant    string             `json:"variant"`
	Group      []byte             `json:"group"`
	Notes      []byte             `json:"notes"`
	Published  time.Time          `json:"published"`
	Path       []byte             `json:"path"`
	Watched    []byte             `json:"watched"`
	Stamp      string             `json:"stamp"`
	Base       []byte             `json:"base"`
	Twin       bool               `json:"twin"`
	Paused     bool               `json:"paused"`
	Wanted     time.Time          `json:"wanted,omitzero"`
	FirstCopy  time.Duration      `json:"first_copy"`
	Signatures publish.Signatures `json:"signatures"`
	Skipped    int                `json:"skipped,omitempty"`
	Files      []recordFile       `json:"files"`
}

type recordFile struct {
	// Path is the path of the data. Records of older versions have none, because they took
	// it from the torrent.
	Path    []byte `json:"path,omitempty"`
	ModTime int64  `json:"mtime"` // nanoseconds since 1970
	Inode   uint64 `json:"inode"`
	Change  int64  `json:"ctime,omitempty"` // nanoseconds since 1970; absent if unknown, and in records of older versions
	SHA256  []byte `json:"sha256,omitempty"`
}

func (d *DB) recordPath(r *publish.Release, ext string) string {
	return filepath.Join(d.dir, recordDir, r.Hash().String()+ext)
}

// writeRecord writes the record of r. It also writes the torrent and its v2 hashes unless t is nil.
func (d *DB) writeRecord(r *publish.Release, t *publish.Torrents) error {
	rec := record{Slug: []byte(r.Slug), Version: r.Version, Variant: r.Variant, Group: []byte(r.Group), Notes: []byte(r.Notes), Published: r.Published,
		Path: []byte(r.Path), Watched: []byte(r.Watched), Stamp: r.Stamp, Base: []byte(r.Base), Twin: !r.Twin.Hash.IsZero(), Paused: r.Paused, Wanted: r.Wanted, FirstCopy: r.FirstCopy, Signatures: r.Signatures, Skipped: r.Skipped}
	text, err := rec.encode(r)
	if err != nil {
		return err
	}
	if t != nil {
		if err := d.writeTorrent(r, t); err != nil {
			return err
		}
	}
	if err := atomicfile.Write(d.recordPath(r, ".json"), text); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Join(d.dir, recordDir))
}

// encode returns the file that contains the record with the files of r. The line before the record
// is its checksum. encode adds one file after the other, because there can be a million.
func (rec record) encode(r *publish.Release) ([]byte, error) {
	rec.Files = []recordFile{}
	head, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	const sumLine, perFile = 2*sha256.Size + 1, 160
	var b bytes.Buffer
	b.Grow(sumLine + len(head) + perFile*len(r.Files))
	b.Write(make([]byte, sumLine))
	b.Write(bytes.TrimSuffix(head, []byte("]}")))
	for i := range r.Files {
		f := recordFile{Path: []byte(r.Files[i].Path), ModTime: r.Files[i].ModTime.UnixNano(), Inode: r.Files[i].Inode, Change: r.Files[i].Change}
		if r.Summed {
			f.SHA256 = r.Files[i].SHA256[:]
		}
		text, err := json.Marshal(f)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(text)
	}
	b.WriteString("]}")
	text := b.Bytes()
	sum := sha256.Sum256(text[sumLine:])
	hex.Encode(text, sum[:])
	text[sumLine-1] = '\n'
	return text, nil
}

// writeTorrent writes the torrent of r and the v2 hashes that it leaves out. It writes the hashes
// first, so that they are complete if there is a torrent.
func (d *DB) writeTorrent(r *publish.Release, t *publish.Torrents) error {
	at := d.recordPath(r, metainfo.V2HashesExtension)
	if t.V2Hashes != nil {
		if err := atomicfile.Write(at, t.V2Hashes); err != nil {
			return err
		}
	} else if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return atomicfile.Write(d.recordPath(r, ".torrent"), t.Main)
}

func (d *DB) removeRecord(r *publish.Release) error {
	for _, ext := range []string{".json", ".torrent", metainfo.V2HashesExtension} {
		if err := os.Remove(d.recordPath(r, ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// reconcile makes the records and the database agree. It fills a new database from the
// records, and otherwise changes the records to match the database. This completes or
// removes what a crash has left incomplete.
func (d *DB) reconcile(ctx context.Context, fresh bool) (warnings []error, err error) {
	dir := filepath.Join(d.dir, recordDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, e := range entries {
		have[e.Name()] = true
	}
	list, _ := d.index.List(publish.Query{All: true})
	known := map[string]bool{}
	for _, r := range list {
		stem := r.Hash().String()
		known[stem] = true
		if have[stem+".json"] && have[stem+".torrent"] {
			continue
		}
		full, err := d.Get(ctx, r.Ref())
		if err != nil {
			return nil, err
		}
		t, err := d.Torrents(ctx, r.Ref())
		if err != nil {
			return nil, err
		}
		if err := d.writeRecord(full, &t); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		stem, ext, _ := strings.Cut(e.Name(), ".")
		switch {
		case strings.HasPrefix(e.Name(), "corrupt-") || atomicfile.IsAside(e.Name()) || known[stem] && !strings.HasSuffix(ext, atomicfile.Extension):
		case fresh && ext == "torrent":
			warning, err := d.restore(ctx, filepath.Join(dir, stem))
			if warning != nil {
				warnings = append(warnings, warning)
			}
			if err != nil {
				if ctx.Err() != nil {
					return warnings, context.Cause(ctx)
				}
				warnings = append(warnings, fmt.Errorf("reading the record of release %s failed: %w; its files in %s were renamed, and the release is published again if its data is in a watched folder", stem, err, dir))
				for _, ext := range []string{".torrent", ".json", metainfo.V2HashesExtension} {
					if _, err := atomicfile.SetAside(filepath.Join(dir, stem+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
						warnings = append(warnings, err)
					}
				}
			}
		case fresh && (ext == "json" || "."+ext == metainfo.V2HashesExtension) && have[stem+".torrent"]:
		case fresh && ext == "json":
			aside, err := atomicfile.SetAside(filepath.Join(dir, e.Name()))
			warnings = append(warnings, errors.Join(fmt.Errorf("the torrent of release %s is missing: its record was moved to %s", stem, aside), err))
		default:
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return warnings, nil
}

// restore adds the release whose record has the path stem, without an extension, to the
// catalog. The warning says what it restores the release without.
func (d *DB) restore(ctx context.Context, stem string) (warning, err error) {
	torrent, err := os.ReadFile(stem + ".torrent")
	if err != nil {
		return warning, err
	}
	m, err := metainfo.Parse(torrent)
	if err != nil {
		return warning, err
	}
	b, err := os.ReadFile(stem + ".json")
	if err != nil {
		return warning, err
	}
	sum, body, ok := bytes.Cut(b, []byte("\n"))
	if want := sha256.Sum256(body); !ok || string(sum) != hex.EncodeToString(want[:]) {
		return warning, errors.New("its checksum is wrong")
	}
	var rec record
	if err := json.Unmarshal(body, &rec); err != nil {
		return warning, err
	}
	warning = addV2Hashes(m, stem+metainfo.V2HashesExtension)
	r, t, err := publish.Describe(m, string(rec.Path), rec.Twin)
	if err != nil {
		return warning, err
	}
	if r.Hash().String() != filepath.Base(stem) || len(rec.Files) != len(r.Files) {
		return warning, errors.New("it belongs to another torrent")
	}
	r.Slug, r.Version, r.Variant, r.Group, r.Notes = string(rec.Slug), rec.Version, rec.Variant, string(rec.Group), string(rec.Notes)
	r.Watched, r.Stamp, r.Base, r.Skipped = string(rec.Watched), rec.Stamp, string(rec.Base), rec.Skipped
	r.Published, r.Paused, r.Wanted, r.FirstCopy, r.Signatures, r.Summed = rec.Published, rec.Paused, rec.Wanted, rec.FirstCopy, rec.Signatures, len(r.Files) > 0
	for i, f := range rec.Files {
		if f.Path != nil {
			r.Files[i].Path = string(f.Path)
		}
		r.Files[i].ModTime, r.Files[i].Inode, r.Files[i].Change = time.Unix(0, f.ModTime), f.Inode, f.Change
		r.Summed = r.Summed && copy(r.Files[i].SHA256[:], f.SHA256) == sha256.Size
	}
	r.Reindex()
	full := r.Filled(t)
	if err := d.index.Check(full); err != nil {
		return warning, err
	}
	if err := d.tx(ctx, func(tx *sql.Tx) error { return insert(ctx, tx, full, t) }); err != nil {
		return warning, err
	}
	return warning, d.index.Add(full)
}

// addV2Hashes adds the v2 hashes in the file at path to m. It ignores a file that does not exist,
// and sets aside a file that is damaged.
func addV2Hashes(m *metainfo.MetaInfo, path string) (warning error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		m.V2Hashes, err = metainfo.ParseV2Hashes(&m.Info, b)
	}
	if err == nil {
		return nil
	}
	aside, aerr := atomicfile.SetAside(path)
	return errors.Join(fmt.Errorf("the v2 hashes of %s cannot be read: %w; the file was moved to %s, and the release has none now", m.Info.Name, err, aside), aerr)
}
