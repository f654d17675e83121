package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate/internal/fault"
	"spate/internal/running"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/maker"
	"spate/publish"
	"spate/site"
)

// publishOptions are the flags of publish.
type publishOptions struct {
	makeFlags
	trackerFlags
	client clientFlags
	sign   signFlags
	secure tlsFlags
	site   siteFlags

	release    releaseFlags
	foreground bool
}

func (a *app) publishCmd() *cobra.Command {
	var opt publishOptions
	cmd := &cobra.Command{
		Use:   "publish PATH...",
		Short: "make the torrent, track it, seed it, serve its page",
		Long: `Publish files or directories until stopped: each becomes a torrent with a page,
and this process is its tracker, its first seed and its web seed. What is
fetched once is passed on by those who fetched it. Hand out the page's URL.

Where spate serve runs with the same --state, it is handed over to that and this
returns once it is listed. With --release, several PATHs are variants of one
release, on one page.`,
		Example: `  spate publish debian.iso
  spate publish --public-url http://files.example.org:6969 --up 2M debian.iso
  spate publish --release debian --release-version 12.4 debian-amd64.iso debian-arm64.iso`,
		Args: need(1, -1, "a file or a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opt.secure.prepare(&opt.listenFlags, &opt.publicURL, cmd.Flags().Changed("listen")); err != nil {
				return err
			}
			return a.publish(cmd.Context(), args, &opt)
		},
	}
	f := cmd.Flags()
	opt.trackerFlags.add(f)
	opt.client.add(f)
	opt.makeFlags.add(f)
	opt.release.add(f)
	f.BoolVar(&opt.foreground, "foreground", false, "do not hand over to a spate serve that runs with this --state")
	opt.sign.add(f)
	opt.secure.add(f)
	opt.site.add(f, "--theme")
	return cmd
}

// publication is a publish in the foreground.
type publication struct{ house }

func (a *app) publish(ctx context.Context, paths []string, opt *publishOptions) error {
	mk, err := opt.makeFlags.options()
	if err != nil {
		return err
	}
	if mk.Name != "" && len(paths) > 1 {
		return fault.UsageHint("publish them one by one", "--name is for one PATH, not %d", len(paths))
	}
	if err := opt.trackerFlags.check(); err != nil {
		return err
	}
	if err := opt.site.check(); err != nil {
		return err
	}
	if err := opt.release.prepare(paths); err != nil {
		return err
	}
	opt.listenFlags.bind, opt.trackerFlags.state = opt.client.bind, opt.client.state
	state := a.stateDir(opt.client.state)
	if done, err := a.handOver(ctx, state, paths, opt, mk); done || err != nil {
		return err
	}
	key, err := opt.sign.key(ctx, a)
	if err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(state, "lock"), "the state directory "+state)
	if err != nil {
		return err
	}
	defer lock.Close()
	p := &publication{house: house{app: a, opt: opt, key: key}}
	defer p.close()
	if err := p.open(ctx, state, houseParts{}); err != nil {
		return err
	}
	defer running.Serve(state, "publish", running.Source(p.client.session), a.Log)()
	// The site answers while the data is hashed, and lists what is ready.
	return p.serve(ctx, func(ctx context.Context) error { return p.work(ctx, paths, mk) })
}

// work publishes the paths, says so, and goes on until ctx or the server ends.
func (p *publication) work(ctx context.Context, paths []string, mk maker.Options) error {
	p.sayGuessed()
	var releases []*publish.Release
	for i, path := range paths {
		r, err := p.one(ctx, path, p.opt.release.spec(mk, i))
		if err != nil {
			return err
		}
		releases = append(releases, r)
		if p.opt.release.slug != "" {
			p.opt.release.version = r.Version // of the other variants too
		}
	}
	if err := p.ready(releases); err != nil {
		return err
	}
	s := p.app.newStatus(p.client.session)
	defer s.finish()
	s.more = p.more(releases)
	return s.run(ctx, func() error { return nil })
}

// sayGuessed says where others reach the site, where nobody did.
func (p *house) sayGuessed() {
	if !p.guessed {
		return
	}
	words := "guessed"
	if r := reachOf(p.base.Hostname()); r != "" {
		words += "; for " + r
	}
	p.app.Notef("others reach this at %s (%s); --public-url sets another", p.base, words)
}

// one publishes what lies at path.
func (p *publication) one(ctx context.Context, path string, spec publish.Spec) (*publish.Release, error) {
	bar := p.app.NewProgress("hashing " + filepath.Base(path))
	defer bar.Finish()
	spec.Announce = nil // the publisher's, and those of -a after them
	spec.Progress = func(g maker.Progress) { bar.UpdateWith(g.Done, g.Total, g.Rate, "") }
	spec.Skipped = p.app.skipped
	r, err := p.publisher.Publish(ctx, path, spec)
	if err == nil {
		p.counter.All(ctx) // before anybody can have finished
	}
	return r, publishError(path, err)
}

// publishError is err in the words of the command line.
func publishError(path string, err error) error {
	var step *publish.StepError
	var same *publish.SameError
	switch {
	case errors.As(err, &same):
		return fault.New(fault.Exists, "", "%s was not published: %w", path, err)
	case errors.As(err, &step) && step.Step == "make":
		return fault.WithHint(fmt.Errorf("%s was not published: %w", path, step.Err), "")
	case errors.Is(err, publish.ErrLabel):
		return fault.UsageHint("--release, --release-version and --variant have no ~ and no slashes, and the last two at most 64 bytes", "%s: %w", path, err)
	case errors.Is(err, publish.ErrExists):
		return fault.New(fault.Exists, "--release-version makes it another version, --release another release", "%s was not published: there is a release of that name%w", path, fault.Quiet(err))
	}
	return err
}

// skipped says what is left out of a torrent.
func (a *app) skipped(s maker.Skipped) {
	a.Log.Info("left out", "path", s.Path, "why", s.Reason)
}

// ready says that everything listens, and prints what to hand out.
func (p *publication) ready(releases []*publish.Release) error {
	for i, r := range releases {
		what := "ready"
		if i > 0 {
			what = "published"
		}
		e, err := p.event(what, r)
		if err != nil {
			return err
		}
		if err := p.app.printPublished(e); err != nil {
			return err
		}
	}
	p.app.Notef("seeding %s, peers on %s; Ctrl-C stops", units.Plural(len(releases), "release"), p.client.peerAddr())
	return nil
}

// event describes a release that is published or withdrawn.
func (p *house) event(what string, r *publish.Release) (releaseEvent, error) {
	i, err := publish.InfoOf(context.Background(), p.publisher.Catalog(), p.base, r)
	i.Path = r.Path
	return releaseEvent{
		Event: what, ReleaseInfo: i.Summary(),
		HTTPAddr: p.sockets.httpAddr().String(), UDPAddr: p.sockets.udpAddr(), PeerAddr: p.client.peerAddr(),
	}, err
}

// printPublished prints what to hand out of a release.
func (a *app) printPublished(e releaseEvent) error {
	if a.JSON {
		return a.PrintJSON(e)
	}
	return a.Printf("%s\n  page    %s\n  fetch   spate get %s\n  magnet  %s\n",
		termsafe.Line(e.Name), termsafe.Line(e.PageURL), termsafe.Line(term.ShellWord(e.PageURL)), termsafe.Line(e.Magnet))
}

// more counts the swarms of the releases for the status line.
func (p *publication) more(releases []*publish.Release) func() string {
	return func() string {
		var seeds, leechers int
		for _, r := range releases {
			// Who knows both hashes of a hybrid announces both: the larger swarm
			// holds about everybody.
			var all site.Swarm
			for _, ih := range r.Hashes() {
				s, _ := p.swarm(ih)
				all.Seeders, all.Leechers = max(all.Seeders, s.Seeders), max(all.Leechers, s.Leechers)
			}
			seeds, leechers = seeds+all.Seeders, leechers+all.Leechers
		}
		return "; swarm: " + units.Plural(seeds, "seed") + ", " + units.Plural(leechers, "leecher")
	}
}
