package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate"
	"spate/maker"
	"spate/publish"
	"spate/signature"
	"spate/site"
	"spate/torrent"
	"spate/tracker/trackerserver"
)

// publishOptions are the flags of publish.
type publishOptions struct {
	makeFlags
	trackerFlags
	client clientFlags
	sign   signFlags
	secure tlsFlags
}

func (a *app) publishCmd() *cobra.Command {
	var opt publishOptions
	cmd := &cobra.Command{
		Use:   "publish PATH...",
		Short: "make the torrent, track it, seed it, serve its page",
		Long: `Publish files or directories until stopped: each becomes a torrent with a page,
and this process is its tracker, its first seed and its web seed. What is
fetched once is passed on by those who fetched it. Hand out the page's URL.`,
		Example: `  spate publish debian.iso
  spate publish --public-url http://files.example.org:6969 --up 2M debian.iso`,
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
	opt.sign.add(f)
	opt.secure.add(f)
	return cmd
}

// checkPaths refuses, before anything is hashed, what is not there and what
// would have one page.
func checkPaths(paths []string) error {
	seen := map[string]string{}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return err
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		name := filepath.Base(abs)
		if other, ok := seen[name]; ok {
			return usageHint("publish one of them by itself, with another --name", "%s and %s are both called %q", other, path, name)
		}
		seen[name] = path
	}
	return nil
}

// publication is a publish under way: a tracker, a session and a site.
type publication struct {
	app       *app
	opt       *publishOptions
	key       *signature.Key // or nil
	base      *url.URL
	guessed   bool
	sockets   *sockets
	secure    *secure // or nil: plain HTTP
	node      *node
	client    *client
	publisher *publish.Publisher
	site      *site.Site
}

func (a *app) publish(ctx context.Context, paths []string, opt *publishOptions) error {
	mk, err := opt.makeFlags.options()
	if err != nil {
		return err
	}
	if mk.Name != "" && len(paths) > 1 {
		return usageHint("publish them one by one", "--name is for one PATH, not %d", len(paths))
	}
	if err := opt.checkPublicURL(); err != nil {
		return err
	}
	if err := checkPaths(paths); err != nil {
		return err
	}
	key, err := opt.sign.key(ctx, a)
	if err != nil {
		return err
	}
	opt.listenFlags.bind, opt.trackerFlags.state = opt.client.bind, opt.client.state
	state := a.stateDir(opt.client.state)
	lock, err := lockFile(filepath.Join(state, "lock"), "the state directory "+state)
	if err != nil {
		return err
	}
	defer lock.Close()
	p := &publication{app: a, opt: opt, key: key}
	defer p.close()
	if err := p.open(ctx, state); err != nil {
		return err
	}
	defer a.serveRunning(state, "publish", sessionSource{p.client.session})()
	// The site answers while the data is hashed, and lists what is ready.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- p.node.run(serving, p.sockets, p.handler()) }()
	sums := make(chan error, 1)
	go func() { sums <- p.publisher.Run(serving) }()
	err = p.work(ctx, paths, mk, ended)
	p.client.stop() // "stopped" is told while the tracker still listens
	stop()
	<-sums
	return errors.Join(err, <-ended)
}

// open makes the parts and plugs them together. close undoes it.
func (p *publication) open(ctx context.Context, state string) error {
	a, opt := p.app, p.opt
	var err error
	if p.sockets, err = opt.open(ctx, "the publisher's site and tracker"); err != nil {
		return err
	}
	if p.base, p.guessed, err = publicURL(opt.publicURL, p.sockets.httpAddr()); err != nil {
		return err
	}
	if p.secure, err = a.secure(&opt.secure, state, opt.bind, p.sockets.httpAddr()); err != nil {
		return err
	}
	if p.secure != nil && opt.publicURL == "" {
		p.base.Scheme = "https"
	}
	if p.node, err = a.newNode(&opt.trackerFlags, state, trackerserver.Options{OnlyAllowed: true}, trackerserver.StatsOptions{ShowNames: true}); err != nil {
		return err
	}
	own := &ownTracker{table: p.node.table, now: a.env.Now, urls: map[string]bool{}}
	p.node.use(p.secure)
	all := announceURLs(p.base, p.sockets.udpAddr(), p.secure != nil)
	for _, tier := range all {
		for _, u := range tier {
			own.urls[u] = true
		}
	}
	p.client, err = a.newClient(&opt.client, filepath.Join(state, "publish"), func(next torrent.Announcer) torrent.Announcer {
		own.next = next
		return own
	})
	if err != nil {
		return err
	}
	origins := originAddrs(ctx, opt.bind.Addr, p.base, opt.publicURL != "", p.client.session.PeerPort())
	own.addr = origins[0]
	extra, err := tiers(opt.announce)
	if err != nil {
		return err
	}
	p.publisher, err = publish.New(publish.MakerFunc(maker.Make), seeder{p.client.session, opt.client.peers}, publish.Options{
		Tracker: &admission{node: p.node, origins: origins}, BaseURL: p.base, Trackers: append(all, extra...), Now: a.env.Now,
		Key: p.key, Log: a.log,
	})
	if err != nil {
		return err
	}
	p.site, err = site.New(p.publisher.Catalog(), site.Options{BaseURL: p.siteURL(), Swarm: p.swarm, Origin: p.origin, StatsPath: "/stats", Log: a.log})
	return err
}

// siteURL is the base of absolute links: only one that was given is the same
// for every visitor.
func (p *publication) siteURL() *url.URL {
	if p.opt.publicURL == "" {
		return nil
	}
	return p.base
}

func (p *publication) close() {
	if p.client != nil {
		p.client.stop()
	}
	if p.node != nil {
		p.node.close()
	}
	if p.sockets != nil {
		p.sockets.close()
	}
	p.secure.close()
}

func (p *publication) handler() http.Handler {
	return p.secure.always(under(p.base.Path, p.node.handler(p.site)))
}

// swarm counts the peers of a release for its page.
func (p *publication) swarm(ih spate.InfoHash) (site.Swarm, bool) {
	s, l, c, ok := p.node.table.Scrape(p.app.env.Now(), ih)
	return site.Swarm{Seeders: int(s), Leechers: int(l), Completed: int(c)}, ok
}

// origin says what this seed has sent of a release.
func (p *publication) origin(ih spate.InfoHash) (site.Sent, bool) {
	t := p.client.session.Torrent(ih)
	if t == nil {
		return site.Sent{}, false
	}
	st := t.Stats()
	return site.Sent{Bytes: st.Uploaded, Rate: st.UpRate}, true
}

// work publishes the paths, says so, and goes on until ctx or the server ends.
func (p *publication) work(ctx context.Context, paths []string, mk maker.Options, server <-chan error) error {
	if p.guessed {
		words := "guessed"
		if r := reachOf(p.base.Hostname()); r != "" {
			words += "; for " + r
		}
		p.app.notef("others reach this at %s (%s); --public-url sets another", p.base, words)
	}
	var releases []*publish.Release
	for _, path := range paths {
		r, err := p.one(ctx, path, mk)
		if err != nil {
			return err
		}
		releases = append(releases, r)
	}
	if err := p.ready(releases); err != nil {
		return err
	}
	s := p.app.newStatus(p.client.session)
	defer s.finish()
	s.more = p.more(releases)
	return s.run(ctx, func() error { return nil })
}

// one publishes what lies at path.
func (p *publication) one(ctx context.Context, path string, mk maker.Options) (*publish.Release, error) {
	bar := p.app.newProgress("hashing " + filepath.Base(path))
	defer bar.finish()
	mk.Announce = nil // the publisher's, and those of -a after them
	mk.Progress = func(g maker.Progress) { bar.updateWith(g.Done, g.Total, g.Rate, "") }
	mk.Skipped = p.app.skipped
	r, err := p.publisher.Publish(ctx, path, publish.Spec{Options: mk})
	var step *publish.StepError
	if errors.As(err, &step) && step.Step == "make" {
		return nil, hinted(fmt.Errorf("%s was not published: %w", path, step.Err), "")
	}
	return r, err
}

// skipped says what is left out of a torrent.
func (a *app) skipped(s maker.Skipped) {
	a.log.Info("left out", "path", s.Path, "why", s.Reason)
}

// ready says that everything listens, and prints what to hand out.
func (p *publication) ready(releases []*publish.Release) error {
	for i, r := range releases {
		e := readyEvent{
			Event: "ready", Name: r.Name, Path: r.Path, Magnet: r.Magnet,
			PageURL:    publish.Absolute(p.base, publish.PagePath(r.LatestRef())),
			TorrentURL: publish.Absolute(p.base, publish.TorrentPath(r.LatestRef())),
			HTTPAddr:   p.sockets.httpAddr().String(), UDPAddr: p.sockets.udpAddr(), PeerAddr: p.client.peerAddr(),
		}
		for _, tier := range r.Announce {
			e.AnnounceURLs = append(e.AnnounceURLs, tier...)
		}
		if !r.HashV1.IsZero() {
			e.InfoHashV1 = r.HashV1.String()
		}
		if !r.HashV2.IsZero() {
			e.InfoHashV2 = r.HashV2.String()
		}
		var err error
		switch {
		case p.app.json && i > 0:
			e.Event = "published"
			fallthrough
		case p.app.json:
			err = p.app.printJSON(e)
		default:
			err = p.app.printf("%s\n  page    %s\n  fetch   spate get %s\n  magnet  %s\n",
				escape(r.Name), escape(e.PageURL), escape(shellWord(e.PageURL)), escape(r.Magnet))
		}
		if err != nil {
			return err
		}
	}
	p.app.notef("seeding %s, peers on %s; Ctrl-C stops", plural(len(releases), "release"), p.client.peerAddr())
	return nil
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
		return "; swarm: " + plural(seeds, "seed") + ", " + plural(leechers, "leecher")
	}
}
