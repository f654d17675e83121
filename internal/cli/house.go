package cli

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"spate"
	"spate/internal/torrentfile"
	"spate/maker"
	"spate/publish"
	"spate/signature"
	"spate/site"
	"spate/torrent"
	"spate/tracker"
	"spate/tracker/trackerserver"
	"spate/tracker/trackerstats"
)

// house is what a publisher runs: a tracker, a session and a site, in one
// process.
type house struct {
	app       *app
	opt       *publishOptions
	key       *signature.Key // or nil
	base      *url.URL
	guessed   bool
	sockets   *sockets
	secure    *secure // or nil: plain HTTP
	node      *node
	client    *client
	announce  [][]string // of every release
	publisher *publish.Publisher
	counter   *publish.Counter
	callback  *callback
	site      *site.Site
}

// houseParts are what a daemon has and a publish in the foreground does not.
type houseParts struct {
	catalog publish.Catalog // nil: in memory
	keeper  *publish.Keeper
	hosts   []string
}

// open makes the parts and plugs them together; the sockets, where there are
// none yet, too. close undoes it.
func (p *house) open(ctx context.Context, state string, parts houseParts) error {
	a, opt := p.app, p.opt
	var err error
	if p.sockets == nil {
		if p.sockets, err = opt.open(ctx, "the publisher's site and tracker"); err != nil {
			return err
		}
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
	if p.node, err = a.newNode(&opt.trackerFlags, state, trackerserver.Options{OnlyAllowed: true}, trackerstats.Options{
		ShowNames: true, Home: "./", Collectors: []prometheus.Collector{&poolMetrics{p.pools}},
	}); err != nil {
		return err
	}
	p.node.use(p.secure)
	if err := p.openClient(ctx, state); err != nil {
		return err
	}
	if p.publisher, err = publish.New(publish.MakerFunc(maker.Make), seeder{p.client.session, opt.client.peers}, publish.Options{
		Tracker: &admission{node: p.node, origins: p.origins(ctx)}, BaseURL: p.base, Trackers: p.announce, Now: a.Now,
		Catalog: parts.catalog, Keeper: parts.keeper, Key: p.key, Log: a.Log,
	}); err != nil {
		return err
	}
	options := site.Options{BaseURL: p.siteURL(), Hosts: parts.hosts, Swarm: p.swarm, Origin: p.origin, StatsPath: "/stats", Direct: p.direct, ClientAddr: p.node.server.ClientAddr, Log: a.Log}
	opt.site.apply(&options, int64(opt.client.up))
	p.counter = publish.NewCounter(p.publisher.Catalog(), publish.Sources{Completed: p.completed, Sent: p.sent, Fresh: parts.catalog == nil}, a.Now, a.Log)
	p.callback = newCallback(p.client.session)
	p.node.observe = p.announced
	p.site, err = site.New(p.publisher.Catalog(), options)
	return err
}

// openClient starts the session, which announces to the own tracker without a
// connection.
func (p *house) openClient(ctx context.Context, state string) error {
	a, opt := p.app, p.opt
	own := &ownTracker{table: p.node.table, now: a.Now, urls: map[string]bool{}}
	p.announce = announceURLs(p.base, p.sockets.udpAddr(), p.secure != nil)
	for _, tier := range p.announce {
		for _, u := range tier {
			own.urls[u] = true
		}
	}
	var err error
	p.client, err = a.newClient(&opt.client, filepath.Join(state, "publish"), func(next torrent.Announcer) torrent.Announcer {
		own.next = next
		return own
	})
	if err != nil {
		return err
	}
	own.addr = p.origins(ctx)[0]
	extra, err := torrentfile.ParseTiers("--announce", opt.makeFlags.announce)
	p.announce = append(p.announce, extra...)
	return err
}

// announced is told of what comes to the own tracker.
func (p *house) announced(o *tracker.Observation) {
	if o.Counted {
		p.counter.Completed()
	}
	if o.New && !o.Request.Seed() {
		p.callback.came(o.Request.InfoHash, o.Peer)
	}
}

// siteURL is the base of absolute links: only one that was given is the same
// for every visitor.
func (p *house) siteURL() *url.URL {
	if p.opt.publicURL == "" {
		return nil
	}
	return p.base
}

func (p *house) close() {
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

func (p *house) handler() http.Handler {
	return p.secure.always(under(p.base.Path, p.node.handler(p.site)))
}

// serve runs everything around work, which it stops after: in an order in which
// the trackers are still told that the seed stops, and what was counted last is
// written.
func (p *house) serve(ctx context.Context, work func(ctx context.Context) error) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.node.run(serving, p.sockets, p.handler()) }()
	background := []func(context.Context) error{p.publisher.Run, p.shareUplink, p.counter.Run, p.callback.Run}
	others := make(chan struct{}, len(background))
	for _, f := range background {
		go func() {
			f(serving)
			others <- struct{}{}
		}()
	}
	working, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	server := make(chan error, 1)
	go func() {
		err := <-ended
		server <- err
		if err != nil {
			failed(err)
		}
	}()
	err := work(working)
	p.counter.All(context.WithoutCancel(ctx)) // while the session still knows
	p.client.stop()                           // "stopped" is told while the tracker still listens
	p.site.Close()                            // who watches live numbers would be waited for
	stop()
	for range background {
		<-others
	}
	return errors.Join(err, <-server)
}

// origins are the addresses at which others find the seed.
func (p *house) origins(ctx context.Context) []netip.AddrPort {
	return originAddrs(ctx, p.opt.bind.Addr, p.base, p.opt.publicURL != "", p.client.session.PeerPort())
}

// swarm counts the peers of a release for its page.
func (p *house) swarm(ih spate.InfoHash) (site.Swarm, bool) {
	s, l, c, ok := p.node.table.Scrape(p.app.Now(), ih)
	return site.Swarm{Seeders: int(s), Leechers: int(l), Completed: int(c)}, ok
}

// origin says what this seed has sent of a release.
func (p *house) origin(ih spate.InfoHash) (site.Sent, bool) {
	t := p.client.session.Torrent(ih)
	if t == nil {
		return site.Sent{}, false
	}
	st := t.Stats()
	return site.Sent{Bytes: st.Uploaded, Rate: st.UpRate}, true
}

// pools returns the state of the places that strangers share. It is called once there is a
// site.
func (p *house) pools() map[string]poolState {
	downloads, live := p.site.Pools()
	handshakes, peers := p.client.session.Pools()
	return map[string]poolState{
		"downloads": poolState(downloads), "live": poolState(live), "handshakes": poolState(handshakes), "peers": poolState(peers),
		"callbacks": p.callback.pool(),
	}
}

// completed and sent are the sums that are counted by day.
func (p *house) completed(ih spate.InfoHash) int64 {
	_, _, c, _ := p.node.table.Scrape(p.app.Now(), ih)
	return int64(c)
}

func (p *house) sent(ih spate.InfoHash) (seed, http int64) {
	if s, ok := p.origin(ih); ok {
		seed = s.Bytes
	}
	return seed, p.site.Sent(ih)
}
