package classic

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/running"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/internal/torrentfile"
	"spate/internal/watch"
	"spate/maker"
	"spate/metainfo"
)

// Limits of a directory of torrents.
const (
	launchDepth = 16
	launchMost  = 100_000 // .torrent files
)

// launched is a .torrent file in the directory.
type launched struct {
	path string // path of the .torrent file
	size int64
	time time.Time // time of the last change
	job  *job      // nil if the file could not be added
	err  error     // why the file could not be added
}

// launcher downloads and seeds every .torrent in a directory. One goroutine calls scan; the
// others hold mu to read all.
type launcher struct {
	*run
	dir     string // other users may write to it
	follow  bool   // follow links that lead out of dir
	plan    plan   // settings of all downloads
	session *daemon.Session

	mu  sync.Mutex
	all map[string]*launched // by path
}

// launchMany runs btlaunchmany and btlaunchmanycurses.
func (r *run) launchMany(ctx context.Context) error {
	dir, err := source.LocalPath(r.args[0], r.tool.Name+" takes a directory of .torrent files", "btdownloadheadless downloads one torrent")
	if err != nil {
		return err
	}
	if info, err := os.Stat(dir); err != nil {
		return err
	} else if !info.IsDir() {
		return r.usage("%s is not a directory", dir)
	}
	if style := r.v.Int("saveas_style"); style < 1 || style > 3 {
		return r.usage("--saveas_style %d: the value must be 1, 2 or 3", style)
	}
	l := &launcher{run: r, dir: dir, all: map[string]*launched{}}
	if l.follow, err = r.FollowLinks(); err != nil {
		return err
	}
	c, state, err := r.sessionConfig()
	if err != nil {
		return err
	}
	if l.session, err = daemon.OpenSession(r.Daemon, c); err != nil {
		return err
	}
	l.plan = newPlan(&c, state)
	defer l.close()
	defer l.session.Stop()
	defer running.Serve(state, r.tool.Name, running.Source(l.session.Session, l.session.Uplink, l.session.Reach, l.session.SearchInDHT), r.Log)()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { l.watch(ctx) })
	if r.tool.Name == "btlaunchmanycurses" {
		if r.HasScreen() {
			return r.Screen(ctx, r.tool.Name+" "+dir, running.Source(l.session.Session, l.session.Uplink, l.session.Reach, l.session.SearchInDHT), 0)
		}
		r.Notef("%s: standard output is not a terminal: printing status lines", r.tool.Name)
	}
	tick := time.NewTicker(time.Duration(max(0.1, r.v.Float("display_interval")) * float64(time.Second)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil // the next run resumes the downloads
		case <-tick.C:
			if err := r.Print(l.lines()); err != nil {
				return err
			}
		}
	}
}

// close releases the directories of all downloads.
func (l *launcher) close() {
	for _, t := range l.all {
		if t.job != nil {
			t.job.Release()
		}
	}
}

// say prints a line about a .torrent file in the layout of btlaunchmany.
func (l *launcher) say(format string, args ...any) {
	line := "### " + termsafe.Line(fmt.Sprintf(format, args...))
	if l.tool.Name == "btlaunchmanycurses" {
		l.Line(line) // the screen uses standard output
		return
	}
	l.Print(line + "\n")
}

// watch scans the directory when it changes and every --parse_dir_interval.
func (l *launcher) watch(ctx context.Context) {
	every := time.Duration(max(1, l.v.Float("parse_dir_interval")) * float64(time.Second))
	const settle = 200 * time.Millisecond // wait for further files and for the end of writes
	watch.Run(ctx, watch.RunOptions{Settle: settle, Every: every}, func(d *watch.Dirs) {
		if err := l.scan(ctx, d); err != nil && ctx.Err() == nil {
			l.say("FAILURE: %v", err)
		}
	})
}

// open opens the directory.
func (l *launcher) open() (*folder.Folder, error) {
	return folder.Open(l.dir, folder.Options{FollowLinks: l.follow})
}

// find returns the .torrent files, and adds their directories to d.
func (l *launcher) find(d *watch.Dirs) (map[string]fs.FileInfo, error) {
	in, err := l.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	found := map[string]fs.FileInfo{}
	err = in.Walk(".", func(_ *folder.Folder, rel string, info fs.FileInfo, err error) error {
		hidden := rel != "" && strings.HasPrefix(info.Name(), ".")
		switch {
		case err != nil && rel == "":
			return err
		case err != nil: // skip this entry only
		case info.IsDir() && (hidden || strings.Count(rel, string(filepath.Separator)) >= launchDepth):
			return fs.SkipDir
		case info.IsDir():
			d.Add(in.Path(rel))
		case hidden || !strings.EqualFold(filepath.Ext(rel), ".torrent"):
		case len(found) == launchMost:
			return fmt.Errorf("%s has more than %d .torrent files", l.dir, launchMost)
		default:
			if target, err := in.Stat(rel); err == nil {
				info = target // of a symbolic link
			}
			found[in.Path(rel)] = info
		}
		return nil
	})
	return found, err
}

// read returns the content of the .torrent file at path, which is in the directory.
func (l *launcher) read(path string) ([]byte, error) {
	in, err := l.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	rel, err := filepath.Rel(l.dir, path)
	if err != nil {
		return nil, err
	}
	return torrentfile.ReadIn(in, rel)
}

// scan drops the torrents whose files were removed or changed, and adds new torrents.
func (l *launcher) scan(ctx context.Context, d *watch.Dirs) error {
	found, err := l.find(d)
	if err != nil {
		return err
	}
	for path, t := range l.all {
		if info, ok := found[path]; ok && info.Size() == t.size && info.ModTime().Equal(t.time) {
			continue
		}
		l.mu.Lock()
		delete(l.all, path)
		l.mu.Unlock()
		if t.job != nil {
			l.say("dropped %q", path)
			l.session.Remove(t.job.Torrent.InfoHash())
			t.job.Release()
		}
	}
	for path, info := range found {
		if l.all[path] != nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t := &launched{path: path, size: info.Size(), time: info.ModTime()}
		t.job, t.err = l.add(ctx, path)
		if t.err == nil {
			l.say("added %q", path)
		} else if ctx.Err() == nil {
			l.say("FAILURE: %s: %s", path, fault.Message(t.err))
		}
		l.mu.Lock()
		l.all[path] = t
		l.mu.Unlock()
	}
	return nil
}

// add starts the download of the .torrent at path.
func (l *launcher) add(ctx context.Context, path string) (*job, error) {
	b, err := l.read(path)
	if err != nil {
		return nil, err
	}
	p := l.plan
	p.into = func(mi *metainfo.MetaInfo) (string, string, error) { return l.dataPath(path, mi) }
	if l.v.Text("saveas") == "" && !l.follow {
		p.within = l.dir
	}
	j, err := l.prepare(ctx, l.session, &source.Source{Arg: path, Path: path, Torrent: b}, p)
	if err != nil {
		return nil, hintSaveAs(err)
	}
	if err := j.Start(l.session, nil); err != nil {
		j.Release()
		return nil, hintSaveAs(err)
	}
	return j, nil
}

// dataPath returns where the data of the .torrent at path goes, according to --saveas_style.
func (l *launcher) dataPath(path string, mi *metainfo.MetaInfo) (dir, name string, err error) {
	if dir = l.v.Text("saveas"); dir == "" {
		dir = filepath.Dir(path)
	} else if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", "", err
	}
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	switch l.v.Int("saveas_style") {
	case 2:
		return dir, maker.NameIn(mi, dir), nil
	case 3:
		dir = filepath.Join(dir, base)
		return dir, mi.Info.Name, l.makeDir(dir)
	}
	if !l.v.Given("saveas_style") {
		_, err := os.Lstat(filepath.Join(dir, base))
		name := maker.NameIn(mi, dir)
		inside, ierr := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) && ierr == nil && inside.IsDir() != mi.Info.Single() {
			return dir, name, nil
		}
	}
	return dir, base, nil
}

// makeDir creates the directory at path. Without --saveas, path is in the directory of the
// .torrent files, and a link out of that directory is an error.
func (l *launcher) makeDir(path string) error {
	if l.follow || l.v.Text("saveas") != "" {
		return os.MkdirAll(path, 0o777)
	}
	in, err := l.open()
	if err != nil {
		return err
	}
	defer in.Close()
	rel, err := filepath.Rel(l.dir, path)
	if err != nil {
		return err
	}
	err = in.Root().MkdirAll(rel, 0o777)
	if _, serr := in.Stat(rel); err != nil && folder.Escapes(serr) {
		err = serr // the error that names the link
	}
	return err
}

// lines returns the status lines of all torrents.
func (l *launcher) lines() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	b.WriteString("\n")
	n := 0
	for _, path := range slices.Sorted(maps.Keys(l.all)) {
		t := l.all[path]
		if t.job == nil {
			continue
		}
		n++
		s := statusOf(t.job.Torrent, t.job.Path, true)
		name := s.Name
		if l.v.Int("display_path") != 0 {
			name = termsafe.Line(path)
		}
		b.WriteString(s.Line(name))
	}
	if n == 0 {
		b.WriteString("### no torrents\n")
	}
	return b.String()
}
