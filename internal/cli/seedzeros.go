package cli

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"

	"spate/maker"
	"spate/storage"
)

// explainSeed returns the reason why a torrent cannot be seeded. If the data consists of zeros,
// because another client has reserved the space and downloaded nothing yet, explainSeed prints
// which files are missing, and returns the same error as verify.
func (a *app) explainSeed(ctx context.Context, j *seedJob) error {
	if !errors.Is(j.problem, errNoPieceGood) {
		return j.problem
	}
	r, err := zerosReport(ctx, j)
	if err != nil || r == nil {
		return j.problem // the check of the torrent has read the same data
	}
	const most = 10
	for k := range r.Files[:min(most, len(r.Files))] {
		a.Notef("%s", fileLine(&r.Files[k]))
	}
	if n := len(r.Files) - most; n > 0 {
		a.Notef("and %d more files", n)
	}
	return dataError(filepath.Join(j.dir, j.name), j.file, r)
}

// zerosReport returns the report of a check of data that consists only of zeros, although no
// piece of the torrent does. It returns nil if a file has other data, or none has any. It skips
// the holes of files.
func zerosReport(ctx context.Context, j *seedJob) (*maker.Report, error) {
	info := &j.mi.Info
	pool := storage.NewPool(0)
	defer pool.Close()
	d, err := storage.OpenDir(j.dir, info, pool, storage.DirOptions{ReadOnly: true, Name: j.name, OtherPaths: j.mi.OtherPaths(false)})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if zeros, err := onlyZeros(ctx, d); err != nil || !zeros {
		return nil, err
	}
	stats, err := d.Stats()
	if err != nil {
		return nil, err
	}
	r := &maker.Report{Pieces: info.NumPieces(), Missing: info.NumPieces()}
	for i := range info.Files {
		f := &info.Files[i]
		if f.Pad() || f.Length == 0 {
			continue
		}
		fr := maker.FileReport{
			Path: f.DisplayPath(), Length: f.Length, Size: stats[i].Size, State: maker.FileIncomplete,
			Damaged: []maker.Range{{From: 0, To: f.Length}},
		}
		if info.Single() {
			fr.Path = info.Name
		}
		switch {
		case !stats[i].Exists:
			fr.State = maker.FileMissing
		case fr.Size < f.Length:
			fr.State = maker.FileDamaged
		default:
			r.Zeros = r.Pieces
		}
		r.Files = append(r.Files, fr)
	}
	if r.Zeros == 0 {
		return nil, nil
	}
	return r, nil
}

// onlyZeros reports whether all data of a torrent that is on disk consists of zeros. It stops
// at the first other byte.
func onlyZeros(ctx context.Context, d *storage.Dir) (bool, error) {
	buf, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	total := d.Layout().Len()
	for off := d.NextData(0); off < total; off = d.NextData(off) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := d.ReadAt(buf[:min(total-off, int64(len(buf)))], off)
		if n == 0 && err != nil {
			return false, err
		}
		if !bytes.Equal(buf[:n], zeros[:n]) {
			return false, nil
		}
		off += int64(n)
	}
	return true, nil
}
