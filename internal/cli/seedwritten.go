package cli

import (
	"context"
	"iter"
	"path/filepath"
	"time"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/watch"
	"spate/torrent"
)

// writtenEvery is how often seed of many torrents checks whether data is complete at last.
const writtenEvery = time.Second

// checkWriters returns a [*watch.WrittenError] if a program is still writing the data.
func (j *seedJob) checkWriters() error {
	return watch.CheckNamed(filepath.Join(j.dir, j.name), j.paths())
}

// paths yields the paths at which the files of the torrent may be, relative to the data.
func (j *seedJob) paths() iter.Seq[string] {
	return func(yield func(string) bool) {
		if j.mi.Info.Single() {
			yield("")
			return
		}
		other := j.mi.OtherPaths(false)
		for i := range j.mi.Info.Files {
			f := &j.mi.Info.Files[i]
			if f.Pad() {
				continue
			}
			for _, p := range append([]string{f.DisplayPath()}, other[i]...) {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// sayUnseeded warns that a torrent is not seeded yet because of err, the error of
// checkWriters.
func (a *app) sayUnseeded(err error) {
	a.Warnf("%v; waiting until it is complete (--force seeds it now)", err)
}

// addSeed adds the torrent of j to the session, or returns nil and leaves j.t nil if a program
// is still writing its data.
func (a *app) addSeed(c *daemon.Session, j *seedJob, opt *seedOptions) (err error) {
	if !opt.force {
		if written := j.checkWriters(); written != nil {
			if !j.waits {
				a.sayUnseeded(written)
			}
			j.waits = true
			return nil
		}
	}
	j.t, err = c.Add(j.mi, torrent.AddOptions{ResumeDir: j.claim.ResumeDir, Dir: j.dir, Name: j.name, SeedOnly: true, Peers: opt.peers.addrs})
	return fault.WithHint(err, j.file)
}

// lookAtSeed adds the torrent of j if its data is complete at last. Once the torrent is checked,
// it does what tellSeed does.
func (a *app) lookAtSeed(c *daemon.Session, j *seedJob, opt *seedOptions) error {
	if j.t == nil {
		if j.problem = a.addSeed(c, j, opt); j.problem != nil {
			j.told = true
		}
	}
	if j.t == nil {
		return nil
	}
	return a.tellSeed(j)
}

// load adds all torrents. It tries those whose data is still being written again until they are
// complete.
func (m *manySeeds) load(ctx context.Context, files []torrentFile) {
	ticker := time.NewTicker(writtenEvery)
	defer ticker.Stop()
	for say := m.app.sayUnseeded; ; say = func(error) {} { // each torrent is named only once
		if files = m.addAll(ctx, files, say); len(files) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
