package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/reach"
	"spate/internal/running"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/internal/torrentfile"
	"spate/internal/units"
	"spate/maker"
	"spate/publish"
)

// publishOptions are the flags of publish.
type publishOptions struct {
	makeFlags
	trackerFlags
	session sessionFlags
	sign    signFlags
	secure  tlsFlags
	site    siteFlags

	release       releaseFlags
	publicMetrics bool
	noGuess       bool
	trackerDHT    bool
	foreground    bool
	force         bool
	dryRun        bool
	trackers      [][]string // --announce
}

func (a *app) publishCmd() *cobra.Command {
	var opt publishOptions
	cmd := &cobra.Command{
		Use:   "publish PATH...",
		Short: "make the torrent, track it, seed it, serve its page",
		Long: `Publish files or directories until stopped. Each becomes a torrent with a page, and
this process is its tracker and its first seed. Downloaders pass on what they have
fetched, and browsers fetch the data from the page. Hand out the URL of the page.
publish waits for files that a program is still writing.

If a spate serve or publish runs with the same --state, it publishes the paths, and
this command returns once they are listed. With --release several PATHs are variants
of one release, on one page; without --variant the variants are the parts in which
the names differ.`,
		Example: `  spate publish debian.iso
  spate publish --public-url http://files.example.org:6969 --up 2M debian.iso
  spate publish --release debian --release-version 12.4 debian-amd64.iso debian-arm64.iso`,
		Args: need(1, -1, "a file or a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opt.secure.prepare(&opt.listenFlags, &opt.publicURL, cmd.Flags().Changed); err != nil {
				return err
			}
			return a.publish(cmd.Context(), args, &opt)
		},
	}
	f := cmd.Flags()
	opt.trackerFlags.add(f)
	opt.session.add(f)
	opt.makeFlags.addForSite(f)
	opt.release.add(f)
	opt.addTracker(f)
	f.BoolVar(&opt.foreground, "foreground", false, "publish here, even if a spate serve or publish runs")
	f.BoolVar(&opt.force, "force", false, "publish files that a program is still writing")
	f.BoolVar(&opt.dryRun, "dry-run", false, "only print what it would publish, and hash nothing")
	opt.sign.add(f)
	opt.secure.add(f)
	opt.site.add(f, "--theme")
	return cmd
}

// addTracker adds the flags of the tracker that only publish and serve have.
func (opt *publishOptions) addTracker(f *pflag.FlagSet) {
	f.BoolVar(&opt.publicMetrics, "public-metrics", false, "show /metrics to all when the router opens the site")
	f.BoolVar(&opt.trackerDHT, "tracker-dht", false, "answer the DHT on the UDP tracker's port too")
	f.BoolVar(&opt.noGuess, "no-guess", false, "do not start with a guessed --public-url")
}

// publisherConfig converts the flags to the configuration of a publisher. state is the state
// directory.
func (a *app) publisherConfig(opt *publishOptions, state string) (c daemon.PublisherConfig, err error) {
	opt.listenFlags.bind = opt.session.bind
	c = daemon.PublisherConfig{State: state, Trackers: opt.trackers, Outputs: a.OutputFiles()}
	if c.PublicURL, err = opt.url(); err != nil {
		return c, err
	}
	if c.Listen, err = opt.listenFlags.config("the publisher's site and tracker"); err != nil {
		return c, err
	}
	if c.TrackerNode, err = a.trackerNode(&opt.trackerFlags, state); err != nil {
		return c, err
	}
	if c.Session, err = opt.session.config(""); err != nil {
		return c, err
	}
	if c.HTTPS, err = opt.secure.config(opt.session.bind.Addr); err != nil {
		return c, err
	}
	if opt.trackerDHT && (c.Session.NoDHT || c.Listen.NoUDP) {
		return c, fault.Usagef("--tracker-dht needs the DHT and the UDP tracker, which --no-dht and --udp off turn off")
	}
	c.PublicMetrics, c.NoGuess, c.TrackerDHT = opt.publicMetrics, opt.noGuess, opt.trackerDHT
	c.Site, err = opt.site.options(int64(opt.session.up.rateValue))
	return c, err
}

func (a *app) publish(ctx context.Context, paths []string, opt *publishOptions) error {
	req, err := a.publishRequest(paths, opt)
	if err != nil {
		return err
	}
	state := a.stateDir(opt.session.state)
	c, err := a.publisherConfig(opt, state)
	if err != nil {
		return err
	}
	a.hintVersions(paths, opt)
	if opt.dryRun {
		return a.publishDryRun(ctx, state, req)
	}
	if done, err := a.handOver(ctx, state, req, opt); done || err != nil {
		return err
	}
	req.Make.Written = torrentfile.Written(a.OutputFiles(), state)
	asked := req
	skipped, left := a.leftOut()
	req.Skipped = func(_ string, s maker.Skipped) { skipped(s) }
	if err := req.Measure(ctx); err != nil {
		return err
	}
	a.warnLeftOut(left)
	a.saveMemoryFor(req.NumFiles())
	if c.Key, err = opt.sign.key(ctx, a); err != nil {
		return err
	}
	news := &reachNews{app: a}
	c.Session.OnReach, c.Finished = news.told, news.finished
	p, err := daemon.OpenPublisher(ctx, a.daemonEnv(), c)
	if errors.Is(err, daemon.ErrLocked) && !opt.foreground { // that process may have started just now
		if done, jerr := a.join(ctx, state, asked, opt); done || jerr != nil {
			return jerr
		}
	}
	if err != nil {
		return err
	}
	defer p.Close()
	defer running.Serve(state, "publish", running.Source(p.Session(), p.Uplink, p.Reach, p.SearchInDHT), a.Log)()
	// The site answers during hashing, and lists the releases that are complete.
	return p.Serve(ctx, func(ctx context.Context) error {
		defer a.answerAPI(ctx, p, state, news)()
		return a.publishAll(ctx, p, req, news)
	})
}

// answerAPI answers the API in the state directory until stop is called. It returns once the socket
// listens. A failure to listen is logged, because publish works without it.
func (a *app) answerAPI(ctx context.Context, p *daemon.Publisher, state string, news *reachNews) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		err := p.AnswerAPI(ctx, filepath.Join(state, api.SocketName), answerAPI(a.Log, nil), &publishView{a, p, news}, func() { close(ready) })
		if err != nil && ctx.Err() == nil {
			a.Log.Info("other processes cannot use this one", "err", err)
		}
	}()
	select {
	case <-ready:
	case <-ended:
	}
	return func() {
		cancel()
		<-ended
	}
}

// publishView prints the releases that other processes publish in or withdraw from this one. It
// implements [daemon.Observer].
type publishView struct {
	app  *app
	p    *daemon.Publisher
	news *reachNews
}

// Ready and Show are not called for a publisher.
func (v *publishView) Ready() error { return nil }

// Show implements [daemon.Observer].
func (v *publishView) Show(context.Context) error { return nil }

// Changed prints that a release was published or withdrawn. With --json it prints an event, but only
// after the event "ready".
func (v *publishView) Changed(what string, r *publish.Release) {
	e, err := eventOf(v.p, what, r)
	if err != nil {
		v.app.Log.Warn("cannot describe a release", "event", what, "release", r.Ref(), "err", err)
		return
	}
	v.news.mu.Lock()
	defer v.news.mu.Unlock()
	switch {
	case v.app.JSON && v.news.ready:
		v.app.PrintJSON(e)
	case !v.app.JSON:
		v.app.Notef("%s %s  %s", what, r.Ref(), e.PageURL)
	}
}

// publishRequest converts the flags and the paths to a request.
func (a *app) publishRequest(paths []string, opt *publishOptions) (daemon.PublishRequest, error) {
	mk, err := opt.makeFlags.options()
	if err != nil {
		return daemon.PublishRequest{}, err
	}
	opt.trackers, mk.Announce = mk.Announce, nil
	if paths, err = dataPaths("spate publish", paths); err != nil {
		return daemon.PublishRequest{}, err
	}
	r := daemon.PublishRequest{
		Paths: paths, Make: mk, Slug: opt.release.slug, Version: opt.release.version, Variants: opt.release.variants, Group: opt.release.group,
		NoTwin: opt.release.noTwin, Force: opt.force, Waiting: a.sayWaiting,
		Unmatched: func(u maker.Unmatched) { a.warnUnmatched(u, paths...) },
	}
	if r.Notes, err = opt.release.readNotes(); err != nil {
		return r, err
	}
	return r, r.Check()
}

// publishAll publishes the paths, prints the releases, and shows the status until ctx ends.
func (a *app) publishAll(ctx context.Context, p *daemon.Publisher, req daemon.PublishRequest, news *reachNews) error {
	a.sayGuessed(p)
	bars := &hashingBars{app: a}
	defer bars.finish()
	req.Progress = func(path string, g maker.Progress) { bars.update(path, g.Done, g.Total, g.Rate) }
	var releases []*publish.Release
	if err := p.Publish(ctx, req, func(_ string, r *publish.Release) error {
		bars.finish()
		releases = append(releases, r)
		return nil
	}); err != nil {
		return publishHint(err)
	}
	p.AwaitHTTPS(ctx)
	for i, r := range releases {
		what := "ready"
		if i > 0 {
			what = "published"
		}
		e, err := eventOf(p, what, r)
		if err == nil {
			e.Warnings, err = p.Exceeded(ctx, r) // the log has told these warnings
		}
		if err != nil {
			return err
		}
		if err := news.print(p.Reach(), func(s *reach.Status) error {
			e.Reachable = s
			if i == 0 && len(releases) > 1 {
				if err := a.printTogether(e); err != nil {
					return err
				}
			}
			return a.printPublished(e)
		}); err != nil {
			return err
		}
	}
	a.Notef("seeding %s%s; Ctrl-C stops", units.Plural(len(releases), "release"), peersOn(p.PeerAddr()))
	s := a.newStatus(p.Session())
	defer s.finish()
	s.story = p.Story
	return s.run(ctx, func() error { return nil })
}

// hashingBars shows the progress of several paths, one after the other.
type hashingBars struct {
	app  *app
	path string
	bar  *term.Progress // nil before the first update and after finish
}

func (b *hashingBars) update(path string, done, total int64, rate float64) {
	if b.bar == nil || path != b.path {
		b.finish()
		b.path, b.bar = path, b.app.NewProgress("hashing "+filepath.Base(path))
	}
	b.bar.UpdateWith(done, total, rate, "")
}

func (b *hashingBars) finish() {
	if b.bar != nil {
		b.bar.Finish()
		b.bar = nil
	}
}

// publishHint adds a hint to an error about an existing release. err may come from the API.
func publishHint(err error) error {
	if fault.CodeOf(err) == fault.Exists && strings.HasPrefix(fault.HintOf(err), "choose another version") {
		return fault.WithHint(err, "choose another version with --release-version, or another release with --release")
	}
	return err
}

// sayWaiting prints a note that the data at path is not complete yet.
func (a *app) sayWaiting(path string) {
	a.Notef("%s is still being written; waiting until it is complete (--force publishes it now)", termsafe.Line(path))
}

// sayGuessed prints a note if the URL of the site is a guess.
func (a *app) sayGuessed(p *daemon.Publisher) {
	base, guessed := p.BaseURL()
	if !guessed {
		return
	}
	words := "guessed"
	if r := daemon.Reach(base.Hostname()); r != "" {
		words += "; for " + r
	}
	a.Notef("others reach this at %s (%s); --public-url sets another URL", base, words)
}

// skipped logs a path that is not part of a torrent.
func (a *app) skipped(s maker.Skipped) {
	a.Log.Info("left out", "path", s.Path, "why", s.Reason)
}

// eventOf returns the event about a release of a publisher.
func eventOf(p *daemon.Publisher, what string, r *publish.Release) (releaseEvent, error) {
	i, err := p.Info(context.Background(), r)
	return releaseEvent{
		Event: what, ReleaseInfo: i.Summary(), HTTPAddr: p.HTTPAddr(), UDPAddr: p.UDPAddr(), PeerAddr: p.PeerAddr(), Reachable: knownReach(p.Reach()),
	}, err
}

// printPublished prints the links of a release.
func (a *app) printPublished(e releaseEvent) error {
	if a.JSON {
		e.Warnings = append(e.Warnings, a.takeWarnings()...)
		return a.PrintJSON(e)
	}
	return a.Printf("%s\n  page    %s\n  fetch   spate get %s\n  magnet  %s\n",
		termsafe.Line(e.Name), termsafe.Line(e.PageURL), termsafe.Line(term.ShellWord(e.PageURL)), termsafe.Line(e.Magnet))
}

// TorrentChanged is not called for a publisher, which downloads no torrents.
func (v *publishView) TorrentChanged(string, *daemon.TorrentInfo) {}
