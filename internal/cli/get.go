package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/atomicfile"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/reach"
	"spate/internal/running"
	"spate/internal/source"
	"spate/internal/stall"
	"spate/internal/torrentfile"
	"spate/maker"
	"spate/metainfo"
)

// getOptions are the flags of get.
type getOptions struct {
	sessionFlags
	output  string
	seed    seedWhen
	sel     []string
	timeout time.Duration
	force   bool
	key     string // --verify-key
	inOrder bool
	tui     bool
}

func (a *app) getCmd() *cobra.Command {
	var opt getOptions
	var byDaemon bool
	cmd := &cobra.Command{
		Use:   "get SOURCE...",
		Short: "fetch from a release page, a .torrent or its URL",
		Long: `Fetch the data of a torrent. A SOURCE is a .torrent file or its URL, the URL of a
release page, the URL of a file whose server names the torrent, a Metalink, a magnet
link, or an info-hash; - is standard input. get keeps data that is already there:
run the same command again to resume. It copies files that are in DIR under other
names, if the torrent has v2 hashes. If no data arrives, get says why.

-o DIR/ writes into a directory, which get creates; the slash can be left out if the
directory exists or the torrent has several files. -o FILE writes that file if the
torrent has one file and no directory has that name. With -o - get writes one file
to standard output while it fetches it. HOST:6969/r/NAME is tried as http:// and
https://.`,
		Example: `  spate get http://files.example.org:6969/r/debian.iso
  spate get -o ~/Downloads --seed ratio=1 debian.iso.torrent
  spate get -o - release.tar.zst.torrent | tar --zstd -x`,
		Args: need(1, -1, "a SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if byDaemon {
				return a.getByDaemon(cmd.Context(), args, &opt, cmd.Flags().Changed("seed"))
			}
			return a.get(cmd.Context(), args, &opt)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&opt.output, "output", "o", ".", "write to this `DIR` or file; -: standard output")
	f.StringArrayVar(&opt.sel, "select", nil, "fetch only files that match this `GLOB`; repeatable")
	f.BoolVar(&opt.inOrder, "sequential", false, "fetch in order, to use the beginning early")
	f.Var(&opt.seed, "seed", "seed afterwards: none, forever, ratio=R or time=D")
	f.DurationVar(&opt.timeout, "timeout", 10*time.Minute, "give up after this `TIME` without data; 0: never")
	f.BoolVar(&opt.force, "force", false, "write over files with other data")
	verifyKeyFlag(f, &opt.key)
	f.BoolVar(&byDaemon, "daemon", false, "let a running spate serve fetch, and show progress")
	f.BoolVar(&opt.tui, "tui", false, "show files, pieces, peers and rates on a screen")
	opt.sessionFlags.add(f)
	return cmd
}

// getJob is the download of one torrent.
type getJob struct {
	*daemon.Download
	src *source.Source
	sel func(path []string) bool // selects files; nil: all

	began    time.Time
	active   time.Time            // time at which data was last received
	received int64                // bytes received in all runs
	why      stall.Reason         // why no data arrives, if none does
	stalled  bool                 // no data has arrived for some time
	told     map[stall.Cause]bool // the causes of a stall that the user has read
	direct   string               // URL of the data at the page's server, as a last resort; "" if none or if it is used already
	complete time.Time
	ended    bool
}

func (a *app) get(ctx context.Context, args []string, opt *getOptions) error {
	if opt.output == "-" {
		return a.getStream(ctx, args, opt)
	}
	a.resumable.Store(true)
	if err := a.daemonEnv().PrepareState(a.stateDir(opt.state)); err != nil {
		return err
	}
	s, err := a.openSession(&opt.sessionFlags, func(st reach.Status) { a.Log.Info("reachable", "status", st.String()) })
	if err != nil {
		return a.getFailed(nil, err)
	}
	defer s.Stop()
	daemon.PruneClaims(a.downloadState(opt.state), a.Now())
	defer running.Serve(a.stateDir(opt.state), "get", running.Source(s.Session, s.Uplink, s.Reach, s.SearchInDHT), a.Log)() // top shows searches for metadata too
	jobs, err := a.getJobs(ctx, s, args, a.downloadState(opt.state), opt)
	for _, j := range jobs {
		defer j.Release()
	}
	if err != nil {
		return a.getFailed(nil, err)
	}
	for _, j := range jobs {
		if err := a.startJob(s, j); err != nil {
			return a.getFailed(j, err)
		}
	}
	g := &getRun{app: a, opt: opt, session: s, jobs: jobs, left: len(jobs), bar: a.NewProgress("get")}
	if len(jobs) == 1 {
		g.bar = a.NewProgress(jobs[0].MetaInfo.Info.Name)
	}
	if opt.tui && a.HasScreen() && !a.JSON {
		return a.getOnScreen(ctx, s, g, args)
	}
	return g.run(ctx)
}

// getOnScreen runs g with a screen. Quitting the screen stops the run, like Ctrl-C.
func (a *app) getOnScreen(ctx context.Context, s *daemon.Session, g *getRun, args []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	shown := make(chan error, 1)
	go func() {
		err := a.Screen(ctx, "get "+strings.Join(args, " "), running.Source(s.Session, s.Uplink, s.Reach, s.SearchInDHT), 0)
		cancel(cmp.Or[error](err, context.Canceled))
		shown <- err
	}()
	err := g.run(ctx)
	cancel(nil)
	if serr := <-shown; serr != nil {
		return serr
	}
	return err
}

// getJobs finds the torrents and prepares their downloads. It reads existing data only after
// all sources, the selection and the directory are known to be good. The caller releases the
// jobs, even after an error.
func (a *app) getJobs(ctx context.Context, s *daemon.Session, args []string, state string, opt *getOptions) ([]*getJob, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	found, err := a.findTorrents(ctx, s, args, opt)
	if err != nil {
		return nil, err
	}
	dir, name, err := outputOf(opt.output, found)
	if err != nil {
		return nil, err
	}
	if err := makeOutputDir(dir, name, found); err != nil {
		return nil, err
	}
	var jobs []*getJob
	for _, f := range found {
		f.conf.State, f.conf.Dir, f.conf.Name = state, dir, cmp.Or(name, maker.NameIn(f.mi, dir))
		f.conf.Reuse = f.sel
		if f.sel == nil {
			f.conf.Reuse = func([]string) bool { return true }
		}
		d, err := daemon.PrepareDownload(ctx, a.daemonEnv(), f.mi, f.conf, a.checking(f.mi))
		if err != nil {
			return jobs, err
		}
		j := &getJob{Download: d, src: f.src, sel: f.sel, received: d.Before}
		if !slices.Contains(f.mi.WebSeeds, f.src.Direct) {
			j.direct = f.src.Direct
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// check returns errors of the flags that do not depend on the torrents.
func (o *getOptions) check() error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	if _, err := maker.Matcher(o.sel); err != nil {
		return fault.Usagef("--select: %w", err)
	}
	if o.key != "" && !strings.EqualFold(o.key, "off") {
		if _, err := publicKeyOf(o.key, nil); err != nil {
			return err
		}
	}
	return nil
}

// foundTorrent is the torrent of a source.
type foundTorrent struct {
	src  *source.Source
	mi   *metainfo.MetaInfo
	conf daemon.DownloadConfig
	sel  func(path []string) bool // selects files; nil: all
}

// findTorrents returns the torrents of all sources. It returns an error if two torrents have
// the same name.
func (a *app) findTorrents(ctx context.Context, s *daemon.Session, args []string, opt *getOptions) (list []*foundTorrent, err error) {
	for _, arg := range args {
		f := &foundTorrent{}
		if f.src, err = a.sources(opt.bind.Addr).Resolve(ctx, arg); err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	for _, f := range list {
		if err := a.checkSignature(ctx, f.src, &sourceFlags{bind: opt.bind, key: opt.key, state: opt.state}); err != nil {
			return nil, err
		}
	}
	unmatched := slices.Compact(slices.Sorted(slices.Values(opt.sel)))
	for i, f := range list {
		if f.mi, f.conf, err = a.metadata(ctx, s, f.src, opt); err != nil {
			return nil, err
		}
		named := slices.ContainsFunc(f.mi.AnnounceList, func(tier []string) bool { return slices.Contains(tier, f.src.Signals) })
		if f.src.Signals != "" && !named && !f.mi.Info.Private {
			f.mi.AnnounceList = append(slices.Clip(f.mi.AnnounceList), []string{f.src.Signals})
		}
		if f.sel, err = filesOf(f, opt.sel); err != nil {
			return nil, err
		}
		unmatched = slices.DeleteFunc(unmatched, func(p string) bool { return matchesFile(f.mi, p) })
		for _, other := range list[:i] {
			if other.mi.Info.Name == f.mi.Info.Name {
				return nil, fault.UsageHint("fetch them one after the other, with -o DIR/", "%s and %s are both called %q", other.src.Arg, f.src.Arg, f.mi.Info.Name)
			}
		}
	}
	for _, p := range unmatched {
		var names []string
		for _, f := range list {
			names = append(names, f.mi.Info.Name)
		}
		a.warnPattern("--select", p, "selects no file", names...)
	}
	return list, nil
}

// checking returns a function that starts a progress display for the check of a torrent's data.
func (a *app) checking(mi *metainfo.MetaInfo) func() (update func(done, total int64), finish func()) {
	return func() (func(done, total int64), func()) {
		bar := a.NewProgress("checking " + mi.Info.Name)
		return bar.Update, bar.Finish
	}
}

// checkOutput returns an error if path is neither a directory nor a file, and cannot be created.
func checkOutput(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err := atomicfile.Probe(filepath.Dir(filepath.Clean(path)))
		return fault.WithHint(err, "make it, or choose another with -o DIR/")
	case err != nil:
		return err
	case !info.IsDir() && !info.Mode().IsRegular():
		return fault.UsageHint("choose another with -o", "-o %s is neither a file nor a directory", path)
	}
	return nil
}

// outputOf returns the directory and the name of the data that the value path of --output stands
// for. name is "" if the data keeps its name.
func outputOf(path string, found []*foundTorrent) (dir, name string, err error) {
	one := len(found) == 1 && found[0].mi.Info.Single()
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir() && !one:
		return "", "", fault.UsageHint("choose a directory with -o DIR/", "-o %s is a file, but the data is more than one file", path)
	case err == nil && !info.IsDir(), err != nil && one && !namesDir(path):
		return filepath.Dir(path), filepath.Base(path), nil
	}
	return filepath.Clean(path), "", nil
}

// namesDir reports whether a path at which nothing exists can only be that of a directory.
func namesDir(path string) bool {
	base := filepath.Base(path)
	return os.IsPathSeparator(path[len(path)-1]) || base == "." || base == ".."
}

// makeOutputDir creates the directory dir if it is missing, but not its parents. It returns an
// error if data of the torrents cannot be created there. name is the name of the data, or "" if it
// keeps its name.
func makeOutputDir(dir, name string, torrents []*foundTorrent) error {
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.WithHint(err, "choose another with -o DIR/")
	}
	var paths []string
	for _, t := range torrents {
		path := filepath.Join(dir, cmp.Or(name, t.mi.Info.Name))
		paths = append(paths, path)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			continue // existing data can be complete
		}
		if err := atomicfile.Probe(dir); err != nil {
			return fault.WithSetting(err, "output")
		}
	}
	return errors.Join(torrentfile.CheckTargets(paths)...)
}

// metadata returns the torrent of a source and the configuration of its download. It asks peers
// for the torrent of a magnet link if no URL in the link has it.
func (a *app) metadata(ctx context.Context, s *daemon.Session, src *source.Source, opt *getOptions) (mi *metainfo.MetaInfo, c daemon.DownloadConfig, err error) {
	c = daemon.DownloadConfig{Sequential: opt.inOrder, Force: opt.force}
	if err := a.sources(opt.bind.Addr).FetchTorrent(ctx, src); err != nil {
		return nil, c, err
	}
	if src.Torrent != nil {
		if mi, err = src.Parse(); err != nil {
			return nil, c, err
		}
		a.sources(opt.bind.Addr).AddV2Hashes(ctx, src, mi)
		c.Peers = src.Peers(mi)
	} else {
		link, err := metainfo.ParseMagnet(src.Magnet)
		if err != nil {
			return nil, c, err
		}
		if mi, c.Peers, err = s.FetchMetadata(ctx, link, daemon.MetadataConfig{
			Arg: src.Arg, Peers: opt.peers.addrs, Timeout: opt.timeout,
			Waiting: func(name string, why stall.Reason) { a.tellStall(link.Hash().String(), name, "no torrent yet", why) },
		}); err != nil {
			return nil, c, err
		}
	}
	a.saveMemoryFor(len(mi.Info.Files))
	c.Peers = append(c.Peers, opt.peers.addrs...)
	return mi, c, nil
}

// startJob adds the torrent of a job to the session.
func (a *app) startJob(s *daemon.Session, j *getJob) error {
	if err := j.Start(s, j.sel); err != nil {
		return err
	}
	j.began = a.Now()
	j.active = j.began
	a.noteRenames(j.MetaInfo)
	return a.getEvent(j, "metadata", nil)
}

// filesOf returns a function that selects the files of a torrent: those that match a pattern or,
// without patterns, those that its magnet link selects. nil selects all files.
func filesOf(t *foundTorrent, patterns []string) (func([]string) bool, error) {
	if len(patterns) > 0 {
		match, err := maker.Matcher(patterns)
		if err != nil {
			return nil, fault.Usagef("--select: %w", err)
		}
		return selected(t.mi, match)
	}
	if t.src.Magnet == "" {
		return nil, nil
	}
	link, err := metainfo.ParseMagnet(t.src.Magnet)
	if err != nil {
		return nil, err
	}
	return daemon.SelectedByLink(t.mi, link)
}

// selected converts match to a function of the path of a file. It returns an error if no file
// matches.
func selected(mi *metainfo.MetaInfo, match func(string) bool) (func([]string) bool, error) {
	if anyFile(mi, match) {
		return func(path []string) bool { return match(filePath(&mi.Info, &metainfo.File{Path: path})) }, nil
	}
	return nil, fault.New(fault.NotFound, "spate show lists its files", "no file of %q matches --select", mi.Info.Name)
}

// anyFile reports whether match is true for the path of a file of mi.
func anyFile(mi *metainfo.MetaInfo, match func(string) bool) bool {
	return slices.ContainsFunc(mi.Info.Files, func(f metainfo.File) bool { return !f.Pad() && match(filePath(&mi.Info, &f)) })
}

// matchesFile reports whether a valid pattern matches a file of mi.
func matchesFile(mi *metainfo.MetaInfo, pattern string) bool {
	match, err := maker.Matcher([]string{pattern})
	return err == nil && anyFile(mi, match)
}
