package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/running"
	"spate/internal/source"
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
	cmd := &cobra.Command{
		Use:   "get SOURCE...",
		Short: "fetch from a release page, a .torrent or its URL",
		Long: `Fetch the data of a torrent. A SOURCE is a .torrent file or its URL, the URL of a
release page, the URL of a file whose server names the torrent, a magnet link, or
an info-hash. get keeps data that is already there: run the same command again to
resume. With -o - it writes one file to standard output while it fetches it.`,
		Example: `  spate get http://files.example.org:6969/r/debian.iso
  spate get -o ~/Downloads --seed ratio=1 debian.iso.torrent
  spate get -o - release.tar.zst.torrent | tar --zstd -x`,
		Args: need(1, -1, "a SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.get(cmd.Context(), args, &opt) },
	}
	f := cmd.Flags()
	f.StringVarP(&opt.output, "output", "o", ".", "write to this `DIR`; -: standard output")
	f.StringArrayVar(&opt.sel, "select", nil, "fetch only files that match this `GLOB`; repeatable")
	f.BoolVar(&opt.inOrder, "sequential", false, "fetch in order, to use the beginning early")
	f.Var(&opt.seed, "seed", "seed afterwards: none, forever, ratio=R or time=D")
	f.DurationVar(&opt.timeout, "timeout", 10*time.Minute, "give up after this `TIME` without data; 0: never")
	f.BoolVar(&opt.force, "force", false, "write over files with other data")
	f.StringVar(&opt.key, "verify-key", "", "accept only this minisign `KEY` or key file; off: unchecked")
	f.BoolVar(&opt.tui, "tui", false, "show files, pieces, peers and rates on a screen")
	opt.sessionFlags.add(f)
	return cmd
}

// getJob is the download of one torrent.
type getJob struct {
	*daemon.Download
	src *source.Source

	began    time.Time
	active   time.Time // time at which data was last received
	received int64     // bytes received in all runs
	told     bool      // the user has read that there are no peers
	complete time.Time
	ended    bool
}

func (a *app) get(ctx context.Context, args []string, opt *getOptions) error {
	if opt.output == "-" {
		return a.getStream(ctx, args, opt)
	}
	a.resumable.Store(true)
	s, err := a.openSession(&opt.sessionFlags)
	if err != nil {
		return a.getFailed(nil, err)
	}
	defer s.Stop()
	jobs, err := a.getJobs(ctx, s, args, a.downloadState(opt.state), opt)
	for _, j := range jobs {
		defer j.Release()
	}
	if err != nil {
		return a.getFailed(nil, err)
	}
	for _, j := range jobs {
		if err := a.startJob(s, j, opt); err != nil {
			return a.getFailed(j, err)
		}
	}
	defer running.Serve(a.stateDir(opt.state), "get", running.Source(s.Session), a.Log)()
	g := &getRun{app: a, opt: opt, local: s.Local, jobs: jobs, left: len(jobs), bar: a.NewProgress("get")}
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
		err := a.Screen(ctx, "get "+strings.Join(args, " "), running.Source(s.Session), 0)
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

// getJobs finds the torrents and prepares their downloads. The caller releases the jobs, even
// after an error.
func (a *app) getJobs(ctx context.Context, s *daemon.Session, args []string, state string, opt *getOptions) ([]*getJob, error) {
	if err := outputDir(opt.output); err != nil {
		return nil, err
	}
	var jobs []*getJob
	for _, arg := range args {
		src, err := a.sources(opt.bind.Addr).Resolve(ctx, arg)
		if err != nil {
			return jobs, err
		}
		if err := a.checkSignature(ctx, src, opt.key, a.stateDir(opt.state), opt.bind.Addr); err != nil {
			return jobs, err
		}
		j, err := a.getJob(ctx, s, src, state, opt, jobs)
		if err != nil {
			return jobs, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// getJob prepares the download of a source. It returns an error if another job writes to the
// same path.
func (a *app) getJob(ctx context.Context, s *daemon.Session, src *source.Source, state string, opt *getOptions, others []*getJob) (*getJob, error) {
	mi, conf, err := a.metadata(ctx, s, src, opt)
	if err != nil {
		return nil, err
	}
	conf.State, conf.Dir, conf.Name = state, opt.output, maker.NameIn(mi, opt.output)
	for _, other := range others {
		if other.Path == filepath.Join(conf.Dir, conf.Name) {
			return nil, fault.UsageHint("fetch them one after the other, with -o DIR", "%s and %s are both called %q", other.src.Arg, src.Arg, mi.Info.Name)
		}
	}
	d, err := daemon.PrepareDownload(ctx, a.daemonEnv(), mi, conf, a.checking(mi))
	if err != nil {
		return nil, err
	}
	return &getJob{Download: d, src: src, received: d.Before}, nil
}

// checking returns a function that starts a progress display for the check of a torrent's data.
func (a *app) checking(mi *metainfo.MetaInfo) func() (update func(done, total int64), finish func()) {
	return func() (func(done, total int64), func()) {
		bar := a.NewProgress("checking " + mi.Info.Name)
		return bar.Update, bar.Finish
	}
}

// outputDir creates the directory dir if it is missing. It does not create its parents.
func outputDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.WithHint(os.Mkdir(dir, 0o777), "make it, or choose another with -o DIR")
	case err != nil:
		return err
	case !info.IsDir():
		return fault.UsageHint("the data keeps the name that the torrent gives it", "-o %s is a file; get takes a directory", dir)
	}
	return nil
}

// metadata returns the torrent of a source and the configuration of its download. It asks peers
// for the torrent of a magnet link.
func (a *app) metadata(ctx context.Context, s *daemon.Session, src *source.Source, opt *getOptions) (mi *metainfo.MetaInfo, c daemon.DownloadConfig, err error) {
	c = daemon.DownloadConfig{Sequential: opt.inOrder, Force: opt.force}
	if src.Torrent != nil {
		if mi, err = src.Parse(); err != nil {
			return nil, c, err
		}
	} else {
		link, err := metainfo.ParseMagnet(src.Magnet)
		if err != nil {
			return nil, c, err
		}
		if mi, c.Peers, err = s.FetchMetadata(ctx, link, daemon.MetadataConfig{Arg: src.Arg, Peers: opt.peers, Timeout: opt.timeout}); err != nil {
			return nil, c, err
		}
	}
	c.Peers = append(c.Peers, opt.peers...)
	return mi, c, nil
}

// startJob adds the torrent of a job to the session.
func (a *app) startJob(s *daemon.Session, j *getJob, opt *getOptions) error {
	sel, err := filesOf(j, opt.sel)
	if err != nil {
		return err
	}
	if err := j.Start(s, sel); err != nil {
		return err
	}
	j.began = a.Now()
	j.active = j.began
	return a.getEvent(j, "metadata", nil)
}

// filesOf returns a function that selects the files of a job: those that match a pattern or,
// without patterns, those that its magnet link selects. nil selects all files.
func filesOf(j *getJob, patterns []string) (func([]string) bool, error) {
	if len(patterns) > 0 {
		match, err := maker.Matcher(patterns)
		if err != nil {
			return nil, fault.Usagef("--select: %w", err)
		}
		return selected(j.MetaInfo, match)
	}
	if j.src.Magnet == "" {
		return nil, nil
	}
	link, err := metainfo.ParseMagnet(j.src.Magnet)
	if err != nil {
		return nil, err
	}
	return daemon.SelectedByLink(j.MetaInfo, link)
}

// selected converts match to a function of the path of a file. It returns an error if no file
// matches.
func selected(mi *metainfo.MetaInfo, match func(string) bool) (func([]string) bool, error) {
	name := func(path []string) string {
		if len(path) == 0 {
			return mi.Info.Name
		}
		return filepath.ToSlash(filepath.Join(path...))
	}
	for i := range mi.Info.Files {
		f := &mi.Info.Files[i]
		if !f.Pad() && match(name(f.Path)) {
			return func(path []string) bool { return match(name(path)) }, nil
		}
	}
	return nil, fault.New(fault.NotFound, "spate show lists its files", "no file of %q matches --select", mi.Info.Name)
}
