package daemon

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spate"
	"spate/internal/fault"
	"spate/internal/ratelimit"
	"spate/internal/stall"
	"spate/maker"
	"spate/publish"
	"spate/signature"
	"spate/site"
	"spate/torrent"
	"spate/tracker"
	"spate/tracker/trackerstats"
)

// PublisherConfig configures a [Publisher].
type PublisherConfig struct {
	State       string // the state directory
	Listen      ListenConfig
	PublicURL   *url.URL // nil: guessed
	NoGuess     bool     // refuse to start if the URL would be a guess
	HTTPS       HTTPSConfig
	TrackerNode TrackerNodeConfig
	Session     SessionConfig  // the publisher sets ResumeDir and WrapAnnouncer
	Site        site.Options   // Title, Hosts, Theme and DownloadRate; the publisher sets the others
	Key         *signature.Key // signs releases; nil: they are not signed
	Trackers    [][]string     // trackers of all releases, after the tracker of this process
	// PublicMetrics shows /metrics to all. Otherwise only this machine sees them while a
	// router passes requests of strangers.
	PublicMetrics bool
	// TrackerDHT makes the DHT node of the engine answer on the port of the UDP tracker too.
	// Torrents then name that port as their node.
	TrackerDHT bool
	Outputs    []os.FileInfo // files to which the standard output and error are redirected
	Settle     time.Duration // time without changes after which data is complete; 0: three seconds

	Finished func(publish.Finish) // called after downloads have finished: see [publish.Sources]; may be nil

	Catalog publish.Catalog // nil: a catalog in memory
	Keeper  *publish.Keeper // keeps older versions; may be nil
}

// resumeDir returns the directory of the resume data.
func (c *PublisherConfig) resumeDir() string { return filepath.Join(c.State, "publish") }

// Publisher is a tracker node, an engine that seeds, and a site, which run together in one
// process. It tracks, seeds and lists all releases that it publishes.
type Publisher struct {
	env     *Env
	conf    PublisherConfig
	address atomic.Pointer[publicAddress]
	own     *ownTracker
	lock    *os.File // lock of the state directory
	sockets *sockets
	secure  *secure // nil: plain HTTP

	addressHTTPS *addressHTTPS // nil: no HTTPS at the address

	trackerNode *TrackerNode
	session     *Session
	publisher   *publish.Publisher
	counter     *publish.Counter
	callback    *callback
	reach       *peerReach
	site        *site.Site
	room        uplinkRoom
	rates       rateLimits
	good        goodParts
}

// OpenPublisher locks the state directory, opens the parts of a publisher and connects them.
// [Publisher.Close] closes them.
func OpenPublisher(ctx context.Context, env *Env, c PublisherConfig) (_ *Publisher, err error) {
	p := &Publisher{env: env, conf: c}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if err := env.PrepareState(c.State); err != nil {
		return nil, err
	}
	if p.lock, err = LockFile(filepath.Join(c.State, "lock"), "the state directory "+c.State); err != nil {
		return nil, err
	}
	if p.sockets, err = p.conf.Listen.open(ctx); err != nil {
		return nil, err
	}
	if err = p.open(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// open opens all parts but the lock and the sockets.
func (p *Publisher) open(ctx context.Context) error {
	env, c := p.env, &p.conf
	var err error
	if p.secure, err = env.openHTTPS(&c.HTTPS, c.State, p.sockets.httpAddr()); err != nil {
		return err
	}
	if p.addressHTTPS, err = env.openAddressHTTPS(&c.HTTPS, c.State, c.Session.PortMap != nil && env.Out.Only() == nil && behindNAT(c.Session.Options.Bind)); err != nil {
		return err
	}
	c.TrackerNode.Server.OnlyAllowed, c.TrackerNode.Server.STUN = true, true
	c.TrackerNode.Stats = trackerstats.Options{ShowNames: true, Home: "./", Site: c.Site.Title, Collectors: []prometheus.Collector{&poolMetrics{p.pools}, &releaseMetrics{p}, &uplinkMetrics{p}, &filterMetrics{p}}}
	if c.TrackerDHT {
		c.TrackerNode.Server.DHT = p.answerDHT
	}
	c.TrackerNode.Server.Hosts = c.Site.Hosts
	if p.trackerNode, err = env.openTrackerNode(&c.TrackerNode, c.State, c.PublicURL); err != nil {
		return err
	}
	p.trackerNode.use(p.secure)
	if p.addressHTTPS != nil {
		p.addressHTTPS.at, p.addressHTTPS.base = p.httpsAddr, func() *url.URL { return p.address.Load().base }
		p.trackerNode.serveAddress(p.addressHTTPS, p.handler)
	}
	if err := p.openSession(ctx); err != nil {
		return err
	}
	p.trackerNode.strangers = func() bool { return !c.PublicMetrics && p.siteMapped() }
	p.reach = newPeerReach(env, c.PublicURL, c.Session.Options.Bind, p.session.AdvertisedPort)
	if p.publisher, err = publish.New(publish.MakerFunc(maker.Make), seeder{p.session.Session, p.conf.resumeDir(), c.Session.Peers}, publish.Options{
		Tracker: &admission{trackerNode: p.trackerNode, address: p.address.Load}, BaseURL: p.address.Load().base, Trackers: p.address.Load().announce, Now: env.Now,
		Catalog: c.Catalog, Keeper: c.Keeper, Key: c.Key, Log: env.Log, Recheck: p.recheck,
		Node: p.dhtNode, NeedsWebSeed: func(ctx context.Context) bool { return p.reach.shutOut(ctx) != "" },
	}); err != nil {
		return err
	}
	p.counter = publish.NewCounter(p.publisher.Catalog(), publish.Sources{Completed: p.completed, Sent: p.sent, Fresh: c.Catalog == nil, Finished: c.Finished}, env.Now, env.Log)
	p.callback = newCallback(p.session.Session, func() bool {
		st := p.session.Reach()
		return st.Problem != "" && !st.Confirmed
	})
	p.trackerNode.observe, p.trackerNode.line = p.observe, p.session.line
	options := c.Site
	if p.addressHTTPS == nil { // otherwise links have the scheme of the request
		options.BaseURL = c.PublicURL
	}
	options.Swarm, options.Common, options.Origin, options.State, options.StatsPath = p.Swarm, p.Common, p.origin, p.ReleaseState, "/stats"
	options.Spread, options.Sending = p.spread, p.sending
	options.Direct, options.Archive = p.direct, p.archive
	options.Open, options.Begun, options.ClientAddr, options.Log = p.openFile, p.counter.Wanted, p.trackerNode.server.ClientAddr, env.Log
	p.rates.direct = ratelimit.New(0)
	p.rates.up, p.rates.down = c.Session.Options.Up, c.Session.Options.Down
	options.Uplink, options.Paused = p.directLimit(), func() bool { return p.rates.timedLimits().Pause }
	options.WebSocketPath, options.STUNPort = "/announce", p.stunPort()
	p.site, err = site.New(p.publisher.Catalog(), options)
	return err
}

// openSession starts the engine, and waits for the router if it may change the address of the
// site. The engine calls the tracker node of this process directly.
func (p *Publisher) openSession(ctx context.Context) error {
	p.own = &ownTracker{table: p.trackerNode.table, now: p.env.Now, urls: map[string]bool{}}
	c := p.conf.Session
	p.env.useProxy(&c)
	c.Options.ResumeDir = p.conf.resumeDir()
	c.WrapAnnouncer = func(next torrent.Announcer) torrent.Announcer {
		p.own.next = next
		return p.own
	}
	c.Options.OwnTracker = p.own.has
	if !c.NoWebRTC {
		var err error
		if p.own.signals, err = openOwnSignals(p.sockets.httpAddr(), p.secure != nil); err != nil {
			return err
		}
		p.trackerNode.serveOwn(p.own.signals)
		p.own.urls[p.own.signals.url] = true
		c.Options.SignalTrackers = []string{p.own.signals.url}
		c.Options.Signals = func(ih spate.InfoHash) bool { // the tracker of this process does not track added torrents
			_, allowed := p.trackerNode.server.Note(ih)
			return allowed
		}
	}
	if c.PortMap != nil {
		ports := *c.PortMap
		ports.State, ports.rules = p.conf.State, p.siteRules()
		if len(ports.rules) > 0 {
			ports.site = p.sockets.httpAddr().Port()
		}
		c.PortMap = &ports
	}
	var err error
	if p.session, err = OpenSession(p.env, c); err != nil {
		return err
	}
	p.session.AwaitPorts(ctx)
	at := p.findAddress(ctx)
	if at.guessed && !at.mapped && p.conf.NoGuess {
		return fault.UsageHint("name it with --public-url http://HOST:6969, in a container with -e SPATE_PUBLIC_URL=http://HOST:6969; HOST is the name or address of the machine",
			"no URL is known at which others reach this: the address here, %s, may be that of a container, which others cannot connect to", at.base.Hostname())
	}
	p.use(at)
	return nil
}

// observe is called for each announce to the tracker node of this process.
func (p *Publisher) observe(o *tracker.Observation) {
	if o.Counted {
		p.counter.Completed()
	}
	if o.New && !o.Request.Seed() {
		p.counter.Wanted(o.Request.InfoHash)
		if o.Peer.IsValid() { // a WebSocket client accepts no connections
			p.callback.announced(o.Request.InfoHash, o.Peer)
		}
	}
}

// Close closes the parts that OpenPublisher opened.
func (p *Publisher) Close() {
	p.stop()
	p.unlock()
}

// stop closes all parts but the lock.
func (p *Publisher) stop() {
	if p.session != nil {
		p.session.Stop()
	}
	if p.own != nil {
		p.own.signals.close()
	}
	if p.trackerNode != nil {
		p.trackerNode.close()
	}
	if p.sockets != nil {
		p.sockets.close()
	}
	p.secure.close()
	p.addressHTTPS.close()
}

// unlock unlocks the state directory.
func (p *Publisher) unlock() {
	if p.lock != nil {
		p.lock.Close()
	}
}

// handler returns the handler of all HTTP requests.
func (p *Publisher) handler() http.Handler {
	return p.secure.always(p.reach.handler(p.trackerNode.handler(p.site)))
}

// Serve runs the publisher while work runs. It stops all parts when work returns or a part
// fails. The order of the stops makes sure that the trackers receive "stopped", and that the
// last counts are saved.
func (p *Publisher) Serve(ctx context.Context, work func(ctx context.Context) error) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.trackerNode.run(serving, p.sockets, p.handler()) }()
	background := []func(context.Context) error{p.publisher.Run, p.shareUplink, p.counter.Run, p.callback.Run, p.followStates, p.followAddress}
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
	p.counter.All(context.WithoutCancel(ctx)) // before the session deletes its counts
	p.session.Stop()                          // announces "stopped" while the tracker node still listens
	p.site.Close()                            // end live pages, because the server waits for their requests
	stop()
	for range background {
		<-others
	}
	return errors.Join(err, <-server)
}

// Catalog returns the catalog of the releases.
func (p *Publisher) Catalog() publish.Catalog { return p.publisher.Catalog() }

// BaseURL returns the URL under which clients reach the site, and whether it is a guess.
func (p *Publisher) BaseURL() (u *url.URL, guessed bool) {
	a := p.address.Load()
	return a.base, a.guessed
}

// ShutOut returns why peers cannot connect to this process although the site is reached, as far
// as it was checked for the last release, or "". The torrents of such releases name the site as
// a web seed.
func (p *Publisher) ShutOut() string { return p.reach.known() }

// Announce returns the trackers of all releases, by tier.
func (p *Publisher) Announce() [][]string { return p.address.Load().announce }

// HTTPAddr returns the address of the HTTP socket.
func (p *Publisher) HTTPAddr() string { return p.sockets.httpAddr().String() }

// stunPort returns the UDP port that answers STUN requests of browsers, or 0.
func (p *Publisher) stunPort() uint16 {
	addr, err := netip.ParseAddrPort(p.UDPAddr())
	if err != nil || !p.conf.TrackerNode.Server.STUN {
		return 0
	}
	return addr.Port()
}

// UDPAddr returns the address of the UDP tracker, or "" if there is none.
func (p *Publisher) UDPAddr() string { return p.sockets.udpAddr() }

// PeerAddr returns the address under which peers reach the seed.
func (p *Publisher) PeerAddr() string { return p.session.PeerAddr() }

// Session returns the engine.
func (p *Publisher) Session() *torrent.Session { return p.session.Session }

// SearchInDHT is [Session.SearchInDHT].
func (p *Publisher) SearchInDHT(infoHash spate.InfoHash) stall.DHT {
	return p.session.SearchInDHT(infoHash)
}

// DHTNodes is [Session.DHTNodes].
func (p *Publisher) DHTNodes() (nodes int, on bool) { return p.session.DHTNodes() }

// Reload is [TrackerNode.Reload].
func (p *Publisher) Reload() { p.trackerNode.Reload() }

// Swarm returns the number of peers of a torrent, and whether the tracker node knows it.
func (p *Publisher) Swarm(ih spate.InfoHash) (site.Swarm, bool) {
	s, l, c, ok := p.trackerNode.table.Scrape(p.env.Now(), ih)
	return site.Swarm{Seeders: int(s), Leechers: int(l), Completed: int(c)}, ok
}

// Common returns the number of peers that are in the swarms of both info-hashes, this process included.
func (p *Publisher) Common(a, b spate.InfoHash) site.Swarm {
	s, l := p.trackerNode.table.Common(p.env.Now(), a, b)
	return site.Swarm{Seeders: int(s), Leechers: int(l)}
}

// Info returns the description of a release for the owner of the publisher.
func (p *Publisher) Info(ctx context.Context, r *publish.Release) (publish.ReleaseInfo, error) {
	list, err := p.Infos(ctx, []*publish.Release{r})
	if err != nil {
		return publish.ReleaseInfo{}, err
	}
	return list[0], nil
}

// Infos returns Info of each release of list, in the same order.
func (p *Publisher) Infos(ctx context.Context, list []*publish.Release) ([]publish.ReleaseInfo, error) {
	infos, err := publish.InfosOf(ctx, p.publisher.Catalog(), p.SiteURL(), list)
	for i := range infos {
		infos[i].Path = list[i].Path
	}
	return infos, err
}

// RenderNotes returns notes as the site shows them: see [site.Site.RenderNotes].
func (p *Publisher) RenderNotes(notes string) (html string, whole bool) {
	out, whole := p.site.RenderNotes(notes)
	return string(out), whole
}

// Totals returns the numbers of downloads and bytes of a release.
func (p *Publisher) Totals(r *publish.Release) publish.Counts { return p.counter.Totals(r) }

// origin returns the number of bytes of a torrent that the seed has sent.
func (p *Publisher) origin(ih spate.InfoHash) (site.Sent, bool) {
	t := p.session.Torrent(ih)
	if t == nil {
		return site.Sent{}, false
	}
	st := t.Stats()
	return site.Sent{Bytes: st.Uploaded, Rate: st.UpRate}, true
}

// pools returns the state of the pools that limit clients, by name. Call it only after the site
// is open.
func (p *Publisher) pools() map[string]poolState {
	downloads, live := p.site.Pools()
	handshakes, peers := p.session.Pools()
	return map[string]poolState{
		"downloads": poolState(downloads), "live": poolState(live), "handshakes": poolState(handshakes), "peers": poolState(peers),
		"callbacks": p.callback.pool(),
	}
}

// completed returns the number of completed downloads of a torrent.
func (p *Publisher) completed(ih spate.InfoHash) int64 {
	_, _, c, _ := p.trackerNode.table.Scrape(p.env.Now(), ih)
	return int64(c)
}

// sent returns the bytes of a torrent that were sent to peers and over HTTP.
func (p *Publisher) sent(ih spate.InfoHash) (seed, http int64) {
	if s, ok := p.origin(ih); ok {
		seed = s.Bytes
	}
	return seed, p.site.Sent(ih)
}

// direct counts a complete download of a file over HTTP.
func (p *Publisher) direct(ih spate.InfoHash) { p.counter.Direct(context.Background(), ih) }

// archive counts a complete download of an archive of all files over HTTP.
func (p *Publisher) archive(ih spate.InfoHash) { p.counter.Archive(context.Background(), ih) }
