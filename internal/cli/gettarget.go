package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/maker"
	"spate/storage"
)

// lookAtTarget looks at what lies where j is to be written. What get or another
// client left is gone on with; verified says that nothing is missing. Something
// else is not written over unless --force is given.
func (a *app) lookAtTarget(ctx context.Context, j *getJob, opt *getOptions) (verified bool, err error) {
	known := false
	if rec, err := storage.LoadResume(j.place.resume, j.mi.Hash()); err == nil && rec != nil {
		if abs, err := filepath.Abs(j.path); err == nil && abs == filepath.Join(rec.Dir, cmp.Or(rec.Name, j.mi.Info.Name)) {
			known, j.before, j.received = true, rec.Downloaded, rec.Downloaded
		}
	}
	info, err := os.Stat(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	const hint = "move it away, or choose another directory with -o DIR"
	switch {
	case j.mi.Info.Single() && info.IsDir():
		return false, fault.New(fault.Exists, hint, "%s exists and is a directory", j.path)
	case !j.mi.Info.Single() && !info.IsDir():
		return false, fault.New(fault.Exists, hint, "%s exists and is not a directory", j.path)
	}
	if known || !targetHasData(j) {
		return false, nil
	}
	bar := a.NewProgress("checking " + j.mi.Info.Name)
	defer bar.Finish()
	report, err := verifyTarget(ctx, j, opt.within, func(p maker.Progress) { bar.Update(p.Done, p.Total) })
	switch {
	case err != nil:
		return false, err
	case report.Good == report.Pieces && report.Whole():
		return true, nil
	case report.Good == 0 && !opt.force:
		return false, fault.New(fault.Exists, "move it away, choose another directory with -o DIR, or write over it with --force", "%s exists and is not a part of this torrent", j.path)
	}
	a.Notef("%s: %d of %d pieces are there already", j.path, report.Good, report.Pieces)
	return false, nil
}

// verifyTarget checks what lies where j is to be written. Unless within is empty, it
// reads nothing outside that directory.
func verifyTarget(ctx context.Context, j *getJob, within string, progress func(maker.Progress)) (*maker.Report, error) {
	o := maker.VerifyOptions{Progress: progress}
	if within == "" {
		return maker.Verify(ctx, j.mi, j.path, o)
	}
	rel, err := filepath.Rel(within, j.path)
	if err != nil {
		return nil, err
	}
	if o.Root, err = folder.OpenRoot(within); err != nil {
		return nil, err
	}
	defer o.Root.Close()
	return maker.Verify(ctx, j.mi, rel, o)
}

// targetHasData reports whether any file of the torrent is there and not empty.
// Names are resolved inside the target only.
func targetHasData(j *getJob) bool {
	if j.mi.Info.Single() {
		info, err := os.Lstat(j.path)
		return err == nil && info.Size() > 0
	}
	root, err := folder.OpenRoot(j.path)
	if err != nil {
		return false
	}
	defer root.Close()
	for i := range j.mi.Info.Files {
		f := &j.mi.Info.Files[i]
		if f.Pad() || f.Length == 0 {
			continue
		}
		if info, err := root.Lstat(filepath.Join(f.Path...)); err == nil && info.Size() > 0 {
			return true
		}
	}
	return false
}
