package portmap

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// pmp asks a router by PCP or NAT-PMP, which share a port.
type pmp struct {
	net    network
	port   uint16
	waits  []time.Duration
	key    []byte
	natpmp bool // the router does not understand PCP

	epoch   epoch
	lost    bool       // the epoch has shown that the router lost its mappings
	address netip.Addr // external address in the last reply
}

// Waiting times between the copies of a request. RFC 6886 begins with 250 ms and doubles.
var pmpWaits = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second}

// errSilent is the error if a router does not answer.
var errSilent = errors.New("the router does not answer")

// detectPMP returns the way to ask a router by PCP or, if it does not understand that, by
// NAT-PMP. It sends a PCP request first, and then requests of both protocols.
func (m *Mapper) detectPMP(ctx context.Context, n network) (way, error) {
	p := &pmp{net: n, port: m.pmpPort, waits: m.pmpWaits, key: m.opt.Key}
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	announce := appendAddr16([]byte{pcpVersion, 0, 0, 0, 0, 0, 0, 0}, p.net.local) // opcode ANNOUNCE (RFC 6887, section 14.1)
	address := appendNATPMPAddress(nil)
	found := false
	err = p.exchange(ctx, conn, func(try int) [][]byte {
		if try == 0 || n.gateway.Is6() {
			return [][]byte{announce}
		}
		return [][]byte{announce, address}
	}, func(b []byte) bool {
		if len(b) >= pcpHeaderLen && b[0] == pcpVersion && b[1]&pcpReply != 0 {
			found = true
			return true
		}
		r, err := parseNATPMP(b)
		p.natpmp = err == nil && n.gateway.Is4() && (r.result == pcpUnsupportedVersion || r.operation == natpmpAddress)
		found = p.natpmp
		return found
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// dial opens a socket that receives packets of the router only.
func (p *pmp) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.net.local, 0))}
	return d.DialContext(ctx, "udp", netip.AddrPortFrom(p.net.gateway, p.port).String())
}

// exchange sends packets until accept returns true for a reply. It repeats them after the times
// in p.waits. packets returns the packets of the try with that number.
func (p *pmp) exchange(ctx context.Context, conn net.Conn, packets func(try int) [][]byte, accept func([]byte) bool) error {
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, maxPMPPacket+1)
	for try, wait := range p.waits {
		for _, b := range packets(try) {
			if _, err := conn.Write(b); err != nil {
				return err
			}
		}
		conn.SetReadDeadline(time.Now().Add(wait))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for range 100 { // ignores a limited number of other packets
			n, err := conn.Read(buf)
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				break
			}
			if err != nil {
				return err // the router refuses the packet (ICMP)
			}
			if accept(buf[:n]) {
				return nil
			}
		}
	}
	return errSilent
}

// send sends one request and waits for its reply.
func (p *pmp) send(ctx context.Context, b []byte, accept func([]byte) bool) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return p.exchange(ctx, conn, func(int) [][]byte { return [][]byte{b} }, accept)
}

// way implements [way].
func (p *pmp) way() Way {
	if p.natpmp {
		return NATPMP
	}
	return PCP
}

// leastPCP is the smallest internal port that is asked for by PCP where NAT-PMP is understood too.
// miniupnpd, the program of most routers, answers nobody any more after a PCP request for a port that its
// rules forbid, which are usually those below 1024.
const leastPCP = 1024

// errOnlyPCP is the error for a NAT-PMP request to a router that understands only PCP.
var errOnlyPCP = errors.New("the router does not understand NAT-PMP")

// add implements [way].
func (p *pmp) add(ctx context.Context, q request, _ grant) (grant, error) {
	if p.natpmp {
		return p.addNATPMP(ctx, q)
	}
	if !mayUsePCP(q, p.net) {
		g, err := p.addNATPMP(ctx, q)
		if !errors.Is(err, errOnlyPCP) {
			return g, err
		}
	}
	return p.addPCP(ctx, q)
}

// mayUsePCP reports whether a router that speaks both protocols may be asked by PCP for a mapping.
func mayUsePCP(q request, n network) bool { return q.internal >= leastPCP || !n.gateway.Is4() }

// nonceOf returns the nonce of a mapping. It is the same for each renewal, and after a restart
// with the same key, because a router refuses to renew a mapping with another nonce.
func (p *pmp) nonceOf(q request) (n nonce) {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte{byte(q.protocol), byte(q.internal >> 8), byte(q.internal)})
	mac.Write(p.net.gateway.AsSlice())
	copy(n[:], mac.Sum(nil))
	return n
}

func (p *pmp) addPCP(ctx context.Context, q request) (grant, error) {
	ask := pcpRequest{client: p.net.local, lifetime: q.lease, nonce: p.nonceOf(q), protocol: q.protocol, internal: q.internal, suggested: netip.AddrPortFrom(netip.Addr{}, q.external)}
	if q.lease == 0 {
		ask.suggested = netip.AddrPort{}
	}
	var r pcpResponse
	if err := p.send(ctx, ask.append(nil), func(b []byte) bool {
		var err error
		r, err = parsePCP(b)
		return err == nil && (r.answers(&ask) || r.result == pcpUnsupportedVersion && len(b) < pcpMapLen)
	}); err != nil {
		return grant{}, err
	}
	if r.result != 0 {
		return grant{}, &ResultError{PCP, int(r.result)}
	}
	p.observe(r.epoch)
	p.address = r.external.Addr()
	return grant{external: r.external.Port(), address: p.address, lease: max(r.lifetime, time.Second)}, nil
}

func (p *pmp) addNATPMP(ctx context.Context, q request) (grant, error) {
	external := q.external
	if q.lease == 0 {
		external = 0
	}
	r, err := p.askNATPMP(ctx, appendNATPMPMap(nil, q.protocol, q.internal, external, q.lease), natpmpOperation(q.protocol), q.internal)
	if err != nil {
		return grant{}, err
	}
	return grant{external: r.external, lease: max(r.lifetime, time.Second)}, nil
}

// askNATPMP sends a request of NAT-PMP. internal is the port of a request for a mapping.
func (p *pmp) askNATPMP(ctx context.Context, b []byte, operation byte, internal uint16) (natpmpResponse, error) {
	var r natpmpResponse
	onlyPCP := false
	if err := p.send(ctx, b, func(b []byte) bool {
		onlyPCP = len(b) >= natpmpErrorLen && b[0] == pcpVersion // RFC 6887, section 9
		var err error
		r, err = parseNATPMP(b)
		return onlyPCP || err == nil && r.operation == operation && (r.result != 0 || r.internal == internal)
	}); err != nil {
		return r, err
	}
	if onlyPCP {
		return r, errOnlyPCP
	}
	if r.result != 0 {
		return r, &ResultError{NATPMP, int(r.result)}
	}
	if p.natpmp { // otherwise the epoch is that of PCP, which may count from another time
		p.observe(r.epoch)
	}
	return r, nil
}

// observe checks the epoch of a reply.
func (p *pmp) observe(seconds uint32) {
	if !p.epoch.next(time.Now(), seconds) {
		p.lost = true
	}
}

// remove implements [way].
func (p *pmp) remove(ctx context.Context, q request, _ grant) error {
	q.lease = 0
	_, err := p.add(ctx, q, grant{})
	return err
}

// check implements [way]. PCP tells the external address only in replies about a mapping, so
// that check renews one.
func (p *pmp) check(ctx context.Context, held []mapped) (netip.Addr, bool, error) {
	var err error
	byPCP := slices.IndexFunc(held, func(m mapped) bool { return mayUsePCP(m.request, p.net) })
	if p.natpmp || byPCP < 0 && len(held) > 0 {
		var r natpmpResponse
		r, err = p.askNATPMP(ctx, appendNATPMPAddress(nil), natpmpAddress, 0)
		if errors.Is(err, errOnlyPCP) {
			byPCP = 0
		} else {
			p.address = r.address
		}
	}
	if !p.natpmp && byPCP >= 0 {
		q := held[byPCP].request
		q.lease = max(time.Minute, time.Until(held[0].expires).Round(time.Second))
		var g grant
		g, err = p.addPCP(ctx, q)
		p.lost = p.lost || err == nil && g.external != q.external
	}
	lost := p.lost
	p.lost = false
	return p.address, lost, err
}

// epoch follows the clock of a router, which begins again when the router has lost its mappings
// (RFC 6887, section 8.5; RFC 6886, section 3.6).
type epoch struct {
	at      time.Time // when the last reply came; the zero Time before the first
	seconds uint32    // the epoch of the last reply
}

// next records the epoch of a reply that came at now. It reports whether the router has kept its
// mappings since the last reply.
func (e *epoch) next(now time.Time, seconds uint32) bool {
	before := *e
	e.at, e.seconds = now, seconds
	if before.at.IsZero() {
		return true
	}
	client := int64(now.Sub(before.at) / time.Second)
	server := int64(seconds) - int64(before.seconds)
	return server >= -1 && client+2 >= server-server/16 && server+2 >= client-client/16
}
