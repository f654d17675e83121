package daemon

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"spate"
	"spate/dht"
	"spate/discovery"
	"spate/internal/atomicfile"
	"spate/internal/netguard"
	"spate/internal/stall"
	"spate/internal/udpmux"
	"spate/metainfo"
	"spate/torrent"
)

// publicBootstrap lists well-known nodes of the public DHT. They are asked only if no other node
// leads into the network.
var publicBootstrap = []string{
	"router.bittorrent.com:6881", "dht.transmissionbt.com:6881", "router.utorrent.com:6881", "dht.libtorrent.org:25401",
}

// The file in the directory of the resume data that holds nodes of the DHT for the next start.
const (
	dhtFile    = "dht.nodes"
	maxDHTFile = 64 << 10

	saveDHTEvery = 10 * time.Minute

	maxNodesOfTorrent = 32 // nodes of a torrent or a magnet link that are asked
	maxAddrsOfName    = 4  // addresses of one host name that are asked
	resolveTimeout    = 10 * time.Second
)

// dhtSource is the DHT node of an engine, on the UDP port of the peers.
type dhtSource struct {
	env       *Env
	node      *dht.Node
	announcer *dht.Announcer
	path      string      // file of saved nodes
	local     bool        // the session is bound to loopback
	names     chan string // nodes of torrents as HOST:PORT whose host names are not resolved yet
	resolver  *net.Resolver
}

// openDHT returns the DHT node of an engine, or nil if it is disabled, if there is no UDP port,
// or if the engine is bound to loopback and no bootstrap node is given.
func (e *Env) openDHT(c *SessionConfig, s *torrent.Session, udp *udpmux.Mux) (*dhtSource, error) {
	bind, bootstrap := c.Options.Bind, c.DHTBootstrap
	if c.NoDHT || udp == nil || bind.IsLoopback() && len(bootstrap) == 0 {
		return nil, nil
	}
	if len(bootstrap) == 0 {
		bootstrap = publicBootstrap
	}
	d := &dhtSource{env: e, path: filepath.Join(c.Options.ResumeDir, dhtFile), local: bind.IsLoopback(), names: make(chan string, maxNodesOfTorrent), resolver: c.Options.Resolver}
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	opt := dht.Options{
		Send: sender(udp), Bootstrap: bootstrap, Log: e.Log,
		IPv4: !bind.IsValid() || bind.Unmap().Is4(), IPv6: !bind.IsValid() || bind.Unmap().Is6(),
	}
	err := atomicfile.Load(d.path, maxDHTFile, func(b []byte) (err error) {
		opt.Saved = b
		d.node, err = dht.New(opt)
		return err
	})
	if d.node == nil {
		var damaged *atomicfile.DamagedError
		if errors.As(err, &damaged) {
			e.Warnf("%v", err)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			e.Warnf("starting the DHT without the nodes of the last run: %v", err)
		}
		opt.Saved = nil
		if d.node, err = dht.New(opt); err != nil {
			return nil, err
		}
	}
	var swarms discovery.Swarms = s
	if c.NoDHTAnnounce {
		swarms = unannounced{s}
	}
	d.announcer = dht.NewAnnouncer(d.node, swarms)
	s.SetDHT(udp.Port(), func(a netip.AddrPort) { d.node.AddNode(a) })
	udp.Receive(udpmux.DHT, withoutDialBacks(s, receiver(d.node)))
	return d, nil
}

// unannounced is a client that finds peers, but has no port to announce.
type unannounced struct{ *torrent.Session }

// AdvertisedPort implements [discovery.Swarms].
func (unannounced) AdvertisedPort() uint16 { return 0 }

// receiver returns a function that passes packets of a UDP port to a DHT node. Its calls must not
// overlap.
func receiver(n *dht.Node) func([]udpmux.Packet) {
	var batch []dht.Packet
	return func(packets []udpmux.Packet) {
		batch = batch[:0]
		for _, p := range packets {
			batch = append(batch, dht.Packet(p))
		}
		n.Receive(batch)
	}
}

// sender returns a function that sends the packets of a DHT node on a UDP port.
func sender(udp *udpmux.Mux) func([]dht.Packet) {
	return func(packets []dht.Packet) {
		for _, p := range packets {
			udp.Queue(udpmux.Packet(p))
		}
		udp.Flush()
	}
}

// Add adds a torrent to the engine, and its nodes (BEP 5) to those that the DHT node asks.
func (s *Session) Add(mi *metainfo.MetaInfo, opt torrent.AddOptions) (*torrent.Torrent, error) {
	if !mi.Info.Private {
		s.addNodes(mi.Nodes)
	}
	return s.Session.Add(mi, opt)
}

// addNodes passes addresses that a torrent or a magnet link names to the DHT node. The addresses of
// host names follow when they are resolved; a name is dropped while many others wait.
func (s *Session) addNodes(addrs []string) {
	if s.nodes == nil {
		return
	}
	for _, text := range addrs[:min(len(addrs), maxNodesOfTorrent)] {
		if a, err := netip.ParseAddrPort(text); err == nil {
			s.nodes.add(a)
			continue
		}
		select {
		case s.nodes.names <- text:
		default:
		}
	}
}

// add passes an address that a stranger chose to the DHT node. It ignores local addresses unless
// the session is bound to loopback.
func (d *dhtSource) add(a netip.AddrPort) {
	ip := a.Addr().Unmap()
	if d.local || ip.IsGlobalUnicast() && !ip.IsPrivate() {
		d.node.AddNode(a)
	}
}

// addNeighbour passes the address of a client on the local network to the DHT node. Most clients have
// their node on the port of the peers. A link-local address is no address of a node, because messages
// of the DHT cannot name its interface.
func (d *dhtSource) addNeighbour(a netip.AddrPort) {
	if !a.Addr().IsLinkLocalUnicast() {
		d.node.AddNode(a)
	}
}

// resolve passes the addresses of the names in d.names to the DHT node until ctx is done. A session
// on loopback asks the resolver of the system only for localhost, as the engine does.
func (d *dhtSource) resolve(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-d.names:
			d.resolveOne(ctx, name)
		}
	}
}

func (d *dhtSource) resolveOne(ctx context.Context, name string) {
	host, text, err := net.SplitHostPort(name)
	port, perr := strconv.ParseUint(text, 10, 16)
	if err != nil || perr != nil || netguard.CheckHost(host) != nil || d.local && d.resolver == net.DefaultResolver && !netguard.LocalHost(host) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		d.env.Log.Debug("finding the address of a DHT node of a torrent", "node", name, "err", err)
	}
	for _, a := range addrs[:min(len(addrs), maxAddrsOfName)] {
		d.add(netip.AddrPortFrom(a.Unmap(), uint16(port)))
	}
}

// SearchInDHT returns the state of the search for the peers of a torrent in the DHT and on the local
// network.
func (s *Session) SearchInDHT(infoHash spate.InfoHash) stall.DHT {
	nodes, on := s.DHTNodes()
	return stall.DHT{Proxy: s.env.Proxy(), OnlyWeb: s.env.OnlyWeb(), On: on, Local: s.Local, Nodes: nodes, Searched: on && s.nodes.announcer.Searched(infoHash)}
}

// DHTNodes returns the number of nodes of the DHT that answer this process, and whether it takes
// part in the DHT.
func (s *Session) DHTNodes() (nodes int, on bool) {
	if s.nodes == nil {
		return 0, false
	}
	for _, f := range s.nodes.node.Status().Families {
		nodes += f.Good
	}
	return nodes, true
}

// run takes part in the DHT until ctx is done, and saves nodes for the next start.
func (d *dhtSource) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { d.announcer.Run(ctx) })
	wg.Go(func() { d.resolve(ctx) })
	wg.Go(func() {
		tick := time.NewTicker(saveDHTEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				d.save()
			case <-ctx.Done():
				return
			}
		}
	})
	d.node.Run(ctx)
	wg.Wait()
	d.save()
}

// save writes the nodes that the node knows, if it has found its place in the network.
func (d *dhtSource) save() {
	select {
	case <-d.node.Ready():
	default:
		return
	}
	if err := atomicfile.Write(d.path, d.node.Save()); err != nil {
		d.env.Log.Warn("saving nodes of the DHT", "err", err)
	}
}
