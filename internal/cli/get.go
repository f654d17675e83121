package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/fault"
	"spate/internal/running"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/maker"
	"spate/metainfo"
	"spate/torrent"
)

// getOptions are the flags of get.
type getOptions struct {
	clientFlags
	output  string
	seed    seedWhen
	sel     []string
	timeout time.Duration
	force   bool
	key     string // --verify-key
	inOrder bool
	tui     bool

	plainSeed bool // do not super-seed

	// into says where a torrent's data goes; nil: into output, under its name.
	into func(*metainfo.MetaInfo) (dir, name string, err error)
	// read reads an argument, a .torrent; nil: it is any SOURCE.
	read func(arg string) ([]byte, error)
	// within is a directory that the data has to be in, whatever links somebody else
	// makes there; "": it may be anywhere.
	within string
}

// sourceOf finds the torrent that an argument stands for.
func (a *app) sourceOf(ctx context.Context, arg string, opt *getOptions) (*source.Source, error) {
	if opt.read == nil {
		return a.sources(opt.bind.Addr).Resolve(ctx, arg)
	}
	b, err := opt.read(arg)
	return &source.Source{Arg: arg, Torrent: b}, err
}

func (a *app) getCmd() *cobra.Command {
	var opt getOptions
	cmd := &cobra.Command{
		Use:   "get SOURCE...",
		Short: "fetch from a release page, a .torrent or its URL",
		Long: `Fetch what a torrent describes. A SOURCE is a .torrent file or its URL, the URL
of a release page, or of the file itself where its server names the torrent, a
magnet link, or an info-hash. What is there already is kept: the same command
goes on where it was stopped.
With -o - the one file goes to standard output while it is fetched.`,
		Example: `  spate get http://files.example.org:6969/r/debian.iso
  spate get -o ~/Downloads --seed ratio=1 debian.iso.torrent
  spate get -o - release.tar.zst.torrent | tar --zstd -x`,
		Args: need(1, -1, "a SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.get(cmd.Context(), args, &opt) },
	}
	f := cmd.Flags()
	f.StringVarP(&opt.output, "output", "o", ".", "write to this `DIR`; -: to standard output")
	f.StringArrayVar(&opt.sel, "select", nil, "only the files that match this `GLOB`, whatever a magnet link chooses; repeatable")
	f.BoolVar(&opt.inOrder, "sequential", false, "fetch in order, so that the beginning can be used while the rest comes")
	f.Var(&opt.seed, "seed", "seed afterwards: none, forever, ratio=R or time=D")
	f.DurationVar(&opt.timeout, "timeout", 10*time.Minute, "give up after so long without data; 0: never")
	f.BoolVar(&opt.force, "force", false, "write over files that are something else")
	f.StringVar(&opt.key, "verify-key", "", "only what is signed with this minisign `KEY`, or the key in this file; off: whatever it is signed with")
	f.BoolVar(&opt.tui, "tui", false, "show it on a terminal screen: files, pieces, peers, rates; q stops")
	opt.clientFlags.add(f)
	return cmd
}

// getJob is one torrent that is fetched.
type getJob struct {
	src      *source.Source
	mi       *metainfo.MetaInfo
	peers    []netip.AddrPort // who gave the metadata of a magnet link
	dir      string           // that the data goes into
	name     string           // of the data in dir
	path     string           // of both, as the person would write it
	verified bool             // the data is there and whole
	place    place
	t        *torrent.Torrent

	began    time.Time
	active   time.Time // when data came last
	before   int64     // bytes received in earlier runs
	received int64     // bytes received in all
	told     bool      // that there are no peers
	complete time.Time
	ended    bool
}

func (a *app) get(ctx context.Context, args []string, opt *getOptions) error {
	if opt.output == "-" {
		return a.getStream(ctx, args, opt)
	}
	a.resumable.Store(true)
	state := filepath.Join(a.stateDir(opt.state), "get")
	c, err := a.newClient(&opt.clientFlags, state, nil)
	if err != nil {
		return a.getFailed(nil, err)
	}
	defer c.stop()
	jobs, err := a.getJobs(ctx, c, args, state, opt)
	for _, j := range jobs {
		defer j.place.leave()
	}
	if err != nil {
		return a.getFailed(nil, err)
	}
	for _, j := range jobs {
		if err := a.addJob(c, j, opt); err != nil {
			return a.getFailed(j, err)
		}
	}
	defer running.Serve(a.stateDir(opt.state), "get", running.Source(c.session), a.Log)()
	g := &getRun{app: a, opt: opt, local: c.local, jobs: jobs, left: len(jobs), bar: a.NewProgress("get")}
	if len(jobs) == 1 {
		g.bar = a.NewProgress(jobs[0].mi.Info.Name)
	}
	if opt.tui && a.HasScreen() && !a.JSON {
		return a.getOnScreen(ctx, c, g, args)
	}
	return g.run(ctx)
}

// getOnScreen is g.run with a screen: who quits it stops as by Ctrl-C.
func (a *app) getOnScreen(ctx context.Context, c *client, g *getRun, args []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	shown := make(chan error, 1)
	go func() {
		err := a.Screen(ctx, "get "+strings.Join(args, " "), running.Source(c.session), 0)
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

// getJobs finds the torrents and looks at what lies in their place. The jobs
// hold their locks, also when an error is returned.
func (a *app) getJobs(ctx context.Context, c *client, args []string, state string, opt *getOptions) ([]*getJob, error) {
	if err := outputDir(opt.output); err != nil {
		return nil, err
	}
	var jobs []*getJob
	for _, arg := range args {
		src, err := a.sourceOf(ctx, arg, opt)
		if err != nil {
			return jobs, err
		}
		if err := a.checkSignature(ctx, src, opt.key, a.stateDir(opt.state), opt.bind.Addr); err != nil {
			return jobs, err
		}
		mi, peers, err := a.metadata(ctx, c, src, opt)
		if err != nil {
			return jobs, err
		}
		j := &getJob{src: src, mi: mi, peers: peers, dir: opt.output, name: mi.Info.Name}
		if opt.into != nil {
			if j.dir, j.name, err = opt.into(mi); err != nil {
				return jobs, err
			}
		}
		j.path = filepath.Join(j.dir, j.name)
		for _, other := range jobs {
			if other.path == j.path {
				return jobs, fault.UsageHint("fetch them one after the other, with -o DIR", "%s and %s are both called %q", other.src.Arg, arg, mi.Info.Name)
			}
		}
		if j.place, err = takePlace(state, j.dir, j.name, mi.Hash(), true); err != nil {
			return jobs, err
		}
		jobs = append(jobs, j)
		if j.verified, err = a.lookAtTarget(ctx, j, opt); err != nil {
			return jobs, err
		}
	}
	return jobs, nil
}

// outputDir makes sure that dir is a directory: its last element is made when
// it is missing.
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

// metadata returns the torrent of a source. That of a magnet link comes from
// peers, who are returned too.
func (a *app) metadata(ctx context.Context, c *client, src *source.Source, opt *getOptions) (*metainfo.MetaInfo, []netip.AddrPort, error) {
	if src.Torrent != nil {
		mi, err := src.Parse()
		return mi, nil, err
	}
	link, err := metainfo.ParseMagnet(src.Magnet)
	if err != nil {
		return nil, nil, err
	}
	nobody := func(also string) error {
		return fault.New(fault.NoPeers, "name one with --peer IP:PORT, or give the .torrent file",
			"%s: it names no tracker to ask for peers%s", termsafe.Clip(src.Arg, 70), also)
	}
	timeout := opt.timeout
	unnamed := len(link.Trackers)+len(link.Peers)+len(opt.peers) == 0
	switch {
	case unnamed && !c.local:
		return nil, nil, nobody("")
	case unnamed && (timeout == 0 || timeout > localSearch):
		timeout = localSearch
	}
	mctx, cancel := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		mctx, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	name := link.Name
	if name == "" {
		name = link.Hash().String()
	}
	a.Notef("%s: asking peers for the torrent", termsafe.Clip(name, 70))
	mi, peers, err := c.session.FetchMetadata(mctx, link, torrent.MetadataOptions{Peers: opt.peers})
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && unnamed:
		return nil, nil, nobody(nobodyLocal)
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, nil, fault.New(fault.NoPeers, "try again later, or name a peer with --peer IP:PORT; --timeout 0 waits for ever",
			"%s: no peer gave the torrent in %s", termsafe.Clip(name, 70), units.Duration(opt.timeout))
	case errors.Is(err, torrent.ErrMetadata):
		return nil, nil, &fault.Error{Code: fault.BadData, Err: err}
	}
	return mi, peers, err
}

func (a *app) addJob(c *client, j *getJob, opt *getOptions) error {
	add := torrent.AddOptions{
		ResumeDir: j.place.resume, Within: opt.within, Verified: j.verified, PlainSeed: opt.plainSeed, Sequential: opt.inOrder, Force: opt.force, Peers: append(j.peers, opt.peers...),
	}
	var err error
	if add.Dir, err = filepath.Abs(j.dir); err != nil {
		return err
	}
	if j.name != j.mi.Info.Name {
		add.Name = j.name
	}
	if len(opt.sel) > 0 {
		match, err := maker.Matcher(opt.sel)
		if err != nil {
			return fault.Usagef("--select: %w", err)
		}
		if add.Select, err = selected(j.mi, match); err != nil {
			return err
		}
	} else if add.Select, err = selectedByLink(j); err != nil {
		return err
	}
	if j.t, err = c.session.Add(j.mi, add); err != nil {
		return err
	}
	j.began = a.Now()
	j.active = j.began
	return a.getEvent(j, "metadata", nil)
}

// selected turns match into the function that a session wants, and refuses a
// choice of nothing.
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

// selectedByLink is selected for what a magnet link chooses (BEP 53); nil when j did
// not come by a link that does.
func selectedByLink(j *getJob) (func([]string) bool, error) {
	if j.src.Magnet == "" {
		return nil, nil
	}
	link, err := metainfo.ParseMagnet(j.src.Magnet)
	if err != nil || link.Select == nil {
		return nil, err
	}
	chosen := map[string]bool{}
	for i := range j.mi.Info.Files {
		if f := &j.mi.Info.Files[i]; !f.Pad() && link.Selected(i) {
			chosen[strings.Join(f.Path, "/")] = true
		}
	}
	if len(chosen) == 0 {
		return nil, fault.New(fault.NotFound, "--select GLOB chooses others", "the link chooses no file of %q", j.mi.Info.Name)
	}
	return func(path []string) bool { return chosen[strings.Join(path, "/")] }, nil
}
