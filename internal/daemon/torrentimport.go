package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"spate/internal/fault"
	"spate/internal/takeover"
	"spate/internal/units"
	"spate/metainfo"
	"spate/storage"
)

// ImportRequest asks for a torrent of another program: see [Torrents.Import].
type ImportRequest struct {
	AddRequest
	Kept takeover.Kept
}

// Imported is the result of [Torrents.Import].
type Imported struct {
	TorrentInfo
	Check int64    `json:"check"` // bytes of existing data that are hashed when the torrent starts
	Notes []string `json:"notes,omitempty"`
}

// Import adds a torrent with what another program knows of its data, so that only data that changed
// since is hashed. It gives incomplete files their final names. The request names the directory of
// the data. A torrent whose data is gone is added as paused, so that it is not downloaded again before
// the user says so. Only callers of this machine may import, because they vouch for data.
func (t *Torrents) Import(ctx context.Context, q ImportRequest) (Imported, error) {
	if q.Remote {
		return Imported{}, fault.UsageHint("run spate import on the machine of the daemon", "only programs on the machine of the daemon can import torrents")
	}
	if err := q.TorrentOptions.Check(); err != nil {
		return Imported{}, err
	}
	if err := absolute(q.Dir); err != nil {
		return Imported{}, err
	}
	q.Dir = filepath.Clean(q.Dir)
	r, b, err := t.recordOf(ctx, &q.AddRequest)
	if err != nil {
		return Imported{}, err
	}
	if err := t.checkNew(r); err != nil {
		return Imported{}, err
	}
	var out Imported
	switch _, err := os.Stat(q.Dir); {
	case err == nil:
		if err := t.folders.checkLocal(q.Dir); err != nil {
			return Imported{}, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return Imported{}, err
	case b != nil:
		r.Paused = true
		out.Notes = append(out.Notes, q.Dir+" does not exist: the torrent is paused")
	}
	r.Dir = q.Dir
	r.keep(&q.Kept, t.env.Now())
	if b != nil {
		if err := t.importData(r, b, &q.Kept, &out); err != nil {
			return Imported{}, err
		}
	}
	e, err := t.enter(r, b)
	if err != nil {
		return Imported{}, errors.Join(err, t.forgetImport(r))
	}
	t.tell("added", e)
	t.wake()
	t.mu.Lock()
	defer t.mu.Unlock()
	out.TorrentInfo = t.infoLocked(e)
	return out, nil
}

// forgetImport removes the resume data of a torrent that could not be entered, unless another request
// has added it at the same time.
func (t *Torrents) forgetImport(r *torrentRecord) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[r.InfoHash] != nil || t.entering[r.InfoHash] {
		return nil
	}
	return storage.RemoveResume(t.store.dir, r.InfoHash)
}

// keep records the counts of another program.
func (r *torrentRecord) keep(k *takeover.Kept, now time.Time) {
	if !k.Added.IsZero() && k.Added.Before(now) {
		r.Added = k.Added
	}
	r.Uploaded, r.Downloaded, r.Seeded = max(k.Uploaded, 0), max(k.Downloaded, 0), max(k.Seeded, 0)
}

// importData finds the data of the torrent b, and writes the resume data from which the engine starts.
func (t *Torrents) importData(r *torrentRecord, b []byte, k *takeover.Kept, out *Imported) error {
	mi, err := metainfo.Parse(b)
	if err != nil {
		return &fault.Error{Code: fault.BadData, Err: err}
	}
	if err := k.Check(mi); err != nil {
		return &fault.Error{Code: fault.BadData, Err: err}
	}
	skip, err := r.skipped(mi, r.Magnet)
	if err != nil {
		return err
	}
	renamed, err := k.EndPartial(mi, r.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return TransferError(err)
	}
	if renamed > 0 {
		out.Notes = append(out.Notes, units.Plural(renamed, "incomplete file")+" renamed: the ending "+k.Partial+" is gone")
	}
	m, err := k.Match(mi, r.Dir, skip)
	if err != nil {
		return TransferError(err)
	}
	r.DataName, r.Paths = m.Name, k.Paths
	r.Length, r.Done, r.Completed = m.Total, m.Done, m.Record.Completed
	out.Check = m.Unsure
	out.Notes = append(out.Notes, matchNotes(m, r.Dir)...)
	r.Paused = r.Paused || m.Gone > 0
	return storage.SaveResume(t.store.dir, m.Record)
}

// matchNotes says which data is gone.
func matchNotes(m *takeover.Match, dir string) []string {
	if m.Gone == 0 {
		return nil
	}
	return []string{"the data of " + units.Plural(m.Gone, "complete file") + " is not in " + dir + ": the torrent is paused, because spate resume downloads it again"}
}

// TryImport returns what [Torrents.Import] would find, and changes nothing.
func TryImport(b []byte, magnet, dir string, o TorrentOptions, k takeover.Kept) (Imported, error) {
	out := Imported{TorrentInfo: TorrentInfo{Dir: dir, Magnet: magnet, TorrentOptions: o}}
	if b == nil {
		link, err := metainfo.ParseMagnet(magnet)
		if err != nil {
			return out, &fault.Error{Code: fault.BadData, Err: err}
		}
		out.InfoHash, out.Name = link.Hash().String(), link.Name
		return out, nil
	}
	mi, err := metainfo.Parse(b)
	if err == nil {
		err = k.Check(mi)
	}
	if err != nil {
		return out, &fault.Error{Code: fault.BadData, Err: err}
	}
	skip, err := o.skipped(mi, magnet)
	if err != nil {
		return out, err
	}
	m, err := k.Match(mi, dir, skip)
	if err != nil {
		return out, TransferError(err)
	}
	out.InfoHash, out.Name, out.Path = mi.Hash().String(), mi.Info.Name, filepath.Join(dir, m.Name)
	out.TotalLength, out.Done, out.Check = m.Total, m.Done, m.Unsure
	out.Notes = matchNotes(m, dir)
	if m.Partial > 0 {
		out.Notes = append(out.Notes, units.Plural(m.Partial, "incomplete file")+" will lose the ending "+k.Partial)
	}
	return out, nil
}
