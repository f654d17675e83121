package daemon

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate/internal/netguard"
	"spate/internal/stun"
	"spate/internal/udpmux"
	"spate/internal/webrtc"
	"spate/portmap"
	"spate/torrent"
	"spate/tracker"
)

// dataChannels is WebRTC on the UDP port of the peers. It implements [torrent.WebRTC].
type dataChannels struct{ *webrtc.Endpoint }

// Offer implements [torrent.WebRTC].
func (d dataChannels) Offer(opened func(net.Conn)) (tracker.Offer, error) {
	o, err := d.Endpoint.Offer(func(s *webrtc.Stream) { opened(s) })
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Answer implements [torrent.WebRTC].
func (d dataChannels) Answer(offer string, opened func(net.Conn)) (string, error) {
	return d.Endpoint.Answer(offer, func(s *webrtc.Stream) { opened(s) })
}

// openWebRTC carries WebRTC over a UDP port. The caller must run the port.
func (e *Env) openWebRTC(udp *udpmux.Mux, bind netip.Addr, at *channelAddr) (torrent.WebRTC, error) {
	at.bind, at.port = bind, udp.Port()
	end, err := webrtc.New(webrtc.Options{
		Send: func(b []byte, to netip.AddrPort, local netip.Addr) error {
			_, err := udp.Send([]udpmux.Packet{{Addr: to, Local: local, Data: b}})
			return err
		},
		SendBatch: func(packets []udpmux.Packet) { udp.Send(packets) },
		Addrs:     at.addrs, Reachable: at.reachable, Log: e.Log,
		MayCheck: func(a netip.Addr) bool { return mayCheck(bind, a) },
	})
	if err != nil {
		return nil, err
	}
	udp.Receive(udpmux.WebRTC, func(batch []udpmux.Packet) {
		for i := range batch {
			end.Receive(batch[i].Data, batch[i].Addr, batch[i].Local)
		}
		end.Flush()
	})
	answerSTUN(udp)
	return dataChannels{end}, nil
}

// answerSTUN answers the STUN requests of browsers and other clients on a UDP port, at a limited
// rate, so that they learn the address that others see.
func answerSTUN(udp *udpmux.Mux) {
	var server stun.Server
	var reply []byte
	udp.Receive(udpmux.STUN, func(batch []udpmux.Packet) {
		now := time.Now()
		for _, p := range batch {
			reply = server.Answer(now, reply[:0], p.Data, p.Addr)
			if len(reply) > 0 {
				udp.Queue(udpmux.Packet{Addr: p.Addr, Local: p.Local, Data: reply})
			}
		}
	})
}

// ownSignalTracker returns the URL at which the engine connects to the WebSocket tracker of this
// process: at the port of the site, on this machine. With HTTPS it is the public URL, whose name
// the certificate has.
func (p *Publisher) ownSignalTracker() string {
	at := p.sockets.httpAddr()
	if u := p.conf.PublicURL; p.secure != nil && u != nil {
		return "wss://" + u.Host + "/announce"
	}
	host := at.Addr()
	if !host.IsValid() || host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return "ws://" + netip.AddrPortFrom(host, at.Port()).String() + "/announce"
}

// mayCheck reports whether a process that is bound to an address may send checks to a candidate
// that another peer named: on loopback only to loopback, and otherwise to public addresses and
// those of private networks, as for peers that a tracker names.
func mayCheck(bind, a netip.Addr) bool {
	kind := netguard.KindOf(a)
	if bind.IsLoopback() {
		return kind == netguard.Loopback
	}
	return kind == netguard.Public || kind == netguard.Private
}

// channelAddr finds the address that descriptions of data channels name. It is safe for concurrent
// use.
type channelAddr struct {
	bind netip.Addr
	port uint16
	now  func() time.Time

	mu      sync.Mutex // guards the fields below
	session *Session   // nil until it is open
	found   []netip.AddrPort
	open    bool // others reach the address without a packet from this side first
	until   time.Time
}

// channelAddrFor is how long an address is used until it is looked up again.
const channelAddrFor = 10 * time.Second

func (c *channelAddr) addrs() []netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshLocked()
	return c.found
}

func (c *channelAddr) reachable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshLocked()
	return c.open
}

// set gives the session, which knows the router.
func (c *channelAddr) set(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.until = s, time.Time{}
}

func (c *channelAddr) refreshLocked() {
	if now := c.now(); now.After(c.until) {
		var local []netip.Addr
		if !c.bind.IsLoopback() {
			local = outwardAddrs()
		}
		var mapped netip.AddrPort
		var seen netip.Addr
		if s := c.session; s != nil {
			mapped, seen = s.mapped().Reached(portmap.UDP, c.port), s.seenAddress().addr
		}
		c.found, c.open = chooseChannelAddr(c.bind, local, mapped, seen, c.port)
		c.until = now.Add(channelAddrFor)
	}
}

// chooseChannelAddr returns the addresses to name, and whether others reach them without a packet
// from this side first. local are the addresses from which this machine reaches others, mapped is
// the one at which a router passes packets on, and seen the one that others see. An address of a
// private network is named only if no public one is known.
func chooseChannelAddr(bind netip.Addr, local []netip.Addr, mapped netip.AddrPort, seen netip.Addr, port uint16) (found []netip.AddrPort, open bool) {
	if bind.IsValid() && !bind.IsUnspecified() {
		local = slices.DeleteFunc(slices.Clone(local), func(a netip.Addr) bool { return a != bind })
		if len(local) == 0 {
			local = []netip.Addr{bind}
		}
	}
	var public, private []netip.AddrPort
	for _, a := range local {
		ap := netip.AddrPortFrom(a.Unmap().WithZone(""), port)
		switch netguard.KindOf(a) {
		case netguard.Public:
			public = append(public, ap)
		case netguard.Private, netguard.Loopback:
			private = append(private, ap)
		}
	}
	if mapped.IsValid() && !slices.Contains(public, mapped) {
		public = append(public, mapped)
	}
	switch {
	case len(public) > 0:
		return public, true
	case seen.IsValid(): // behind a router, which most often keeps the port
		return []netip.AddrPort{netip.AddrPortFrom(seen, port)}, false
	}
	return private, !slices.ContainsFunc(private, func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
}
