package portmap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"spate/internal/units"
)

// upnp asks a router by UPnP IGD.
type upnp struct {
	net     network
	client  *http.Client
	timeout time.Duration // of a request
	service service
	name    string // describes the mappings
	// note is called before a permanent mapping is made, and after it was refused.
	note func(q request, exists bool)

	permanent bool // the router supports no other leases
	only1     bool // the router does not support AddAnyPortMapping
}

// searchTime is how long a search waits for answers.
const searchTime = 1200 * time.Millisecond

// detectUPnP returns the way to ask a router by UPnP. It prefers the router of the default route
// to others that answer, and tries those after half of the search.
func (m *Mapper) detectUPnP(ctx context.Context, n network) (way, error) {
	answers := make(chan searchAnswer, maxSSDPAnswers)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := m.search(ctx, n)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	go readAnswers(conn, answers)
	var others []searchAnswer
	end, err := time.After(m.searchTime), error(errSilent)
	late := time.After(m.searchTime / 2)
	seen := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-late:
			late = nil
		case <-end:
			for _, a := range others {
				var u *upnp
				if u, err = m.openUPnP(ctx, n, a); err == nil {
					return u, nil
				}
			}
			return nil, err
		case a := <-answers:
			switch {
			case seen[a.url.String()]:
			case a.from.WithZone("") != n.gateway.WithZone(""):
				if checkGateway(a.from) == nil && !m.opt.Gateway.IsValid() {
					others = append(others, a)
				}
			default:
				var u *upnp
				if u, err = m.openUPnP(ctx, n, a); err == nil {
					return u, nil
				}
			}
			seen[a.url.String()] = true
		}
		if late == nil && len(others) > 0 {
			end = time.After(0)
		}
	}
}

// searchAnswer is an answer to a search.
type searchAnswer struct {
	from netip.Addr
	url  *url.URL // of the description
}

// search sends searches for gateways to the multicast group and to the router itself, and
// returns the socket that receives the answers.
func (m *Mapper) search(ctx context.Context, n network) (*net.UDPConn, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.local, 0)))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	to := []netip.AddrPort{netip.AddrPortFrom(n.gateway, m.ssdpPort)}
	if !m.opt.Gateway.IsValid() && !n.gateway.IsLoopback() {
		group := ssdpGroup4
		if n.gateway.Is6() {
			group = ssdpGroup6.WithZone(n.gateway.Zone())
		}
		to = append(to, netip.AddrPortFrom(group, m.ssdpPort))
	}
	sent := 0
	for _, target := range ssdpTargets {
		for _, addr := range to {
			if _, err = conn.WriteToUDPAddrPort(appendSearch(nil, netip.AddrPortFrom(addr.Addr().WithZone(""), addr.Port()), target), addr); err == nil {
				sent++
			}
		}
	}
	if sent == 0 {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// readAnswers passes on the answers to a search until the socket is closed or enough have come.
func readAnswers(conn *net.UDPConn, out chan<- searchAnswer) {
	buf := make([]byte, maxSSDPPacket)
	for range maxSSDPAnswers {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		a := searchAnswer{from: from.Addr().Unmap()}
		if a.url, err = parseSearchAnswer(buf[:n], a.from); err == nil {
			out <- a // does not block: the channel has room for all
		}
	}
}

// openUPnP reads the description of a router and chooses a service of it.
func (m *Mapper) openUPnP(ctx context.Context, n network, a searchAnswer) (*upnp, error) {
	u := &upnp{net: n, client: clientOf(n.local, a.from), timeout: m.requestTime, name: m.opt.Name}
	u.note = func(q request, exists bool) { m.setPermanent(permanentOf(n.gateway, q), exists) }
	b, err := u.do(ctx, http.MethodGet, a.url, nil, nil, maxDescription)
	if err != nil {
		return nil, err
	}
	services, err := parseDescription(b, a.url)
	if err != nil {
		return nil, err
	}
	err = errors.New("the router offers no service that maps ports")
	for _, s := range services {
		if (s.kind == firewall) != n.gateway.Is6() {
			continue
		}
		u.service = s
		if _, err = u.external(ctx); err == nil {
			return u, nil
		}
	}
	return nil, err
}

// clientOf returns an HTTP client that connects from local to the router at the address
// gateway only, and follows no redirect.
func clientOf(local, gateway netip.Addr) *http.Client {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0)), KeepAlive: -1}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				return dialer.DialContext(ctx, network, net.JoinHostPort(gateway.String(), port))
			},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
		},
	}
}

// do sends a request to the router and returns the body of the answer, at most limit bytes.
func (u *upnp) do(ctx context.Context, method string, to *url.URL, header http.Header, body []byte, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	// A fault comes with the status 500.
	if resp.StatusCode != http.StatusOK && (method == http.MethodGet || resp.StatusCode != http.StatusInternalServerError) {
		return nil, fmt.Errorf("the router answers %s with %.60q", to.Path, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("the router's answer is longer than %s", units.Plural(limit, "byte"))
	}
	return b, err
}

// call performs an action of the service.
func (u *upnp) call(ctx context.Context, action string, args ...argument) (map[string]string, error) {
	header := http.Header{
		"Content-Type": {`text/xml; charset="utf-8"`},
		"SOAPAction":   {`"` + u.service.kind + "#" + action + `"`}, // some routers know only this spelling
	}
	b, err := u.do(ctx, http.MethodPost, u.service.control, header, appendAction(nil, u.service.kind, action, args), maxSOAPAnswer)
	if err != nil {
		return nil, err
	}
	return parseAction(b, action)
}

// way implements [way].
func (u *upnp) way() Way { return UPnP }

// external returns the external address. For IPv6 it is the address of this machine, if the
// firewall lets pinholes be opened.
func (u *upnp) external(ctx context.Context) (netip.Addr, error) {
	if u.service.kind == firewall {
		out, err := u.call(ctx, "GetFirewallStatus")
		if err == nil && out["InboundPinholeAllowed"] == "0" {
			err = errors.New("the router does not allow pinholes in its firewall")
		}
		return u.net.local, err
	}
	out, err := u.call(ctx, "GetExternalIPAddress")
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(out["NewExternalIPAddress"])
	if err != nil || !a.Is4() || a.IsUnspecified() {
		return netip.Addr{}, ErrNoExternal
	}
	return a, nil
}

// add implements [way].
func (u *upnp) add(ctx context.Context, q request, renewed grant) (grant, error) {
	if u.service.kind == firewall {
		return u.addPinhole(ctx, q, renewed)
	}
	for try := 0; ; try++ {
		g, err := u.addPort(ctx, q)
		var refused *ActionError
		if err == nil || !errors.As(err, &refused) || try == maxPortTries {
			return g, err
		}
		if u.permanent {
			u.note(q, false)
		}
		switch refused.Code {
		case upnpOnlyPermanent, upnpInvalidArgs, upnpArgumentInvalid, upnpActionFailed: // some routers answer so to a lease
			if u.permanent {
				return g, err
			}
			u.permanent = true
		case upnpConflict, upnpConflictOther:
			q.external = randomPort()
		case upnpSamePortsRequired:
			if q.external == q.internal {
				return g, err
			}
			q.external = q.internal
		default:
			return g, err
		}
	}
}

// addPort asks for a mapping once.
func (u *upnp) addPort(ctx context.Context, q request) (grant, error) {
	g := grant{external: q.external, lease: q.lease}
	if u.permanent {
		g.lease = 0
		u.note(q, true)
	}
	args := []argument{
		{"NewRemoteHost", ""}, {"NewExternalPort", number(q.external)}, {"NewProtocol", q.protocol.String()},
		{"NewInternalPort", number(q.internal)}, {"NewInternalClient", u.net.local.String()}, {"NewEnabled", "1"},
		{"NewPortMappingDescription", u.name}, {"NewLeaseDuration", strconv.Itoa(int(g.lease / time.Second))},
	}
	if u.service.kind == wanIP2 && !u.only1 && !u.permanent {
		out, err := u.call(ctx, "AddAnyPortMapping", args...)
		var refused *ActionError
		switch {
		case errors.As(err, &refused):
			u.only1 = true // AddPortMapping says why
		case err != nil:
			return g, err
		default:
			n, err := strconv.ParseUint(out["NewReservedPort"], 10, 16)
			if err != nil || n == 0 {
				return g, fmt.Errorf("the router names the port %.20q", out["NewReservedPort"])
			}
			g.external = uint16(n)
			return g, nil
		}
	}
	_, err := u.call(ctx, "AddPortMapping", args...)
	return g, err
}

func number(n uint16) string { return strconv.Itoa(int(n)) }

// addPinhole opens a port in the firewall for IPv6, or renews it (WANIPv6FirewallControl:1).
func (u *upnp) addPinhole(ctx context.Context, q request, renewed grant) (grant, error) {
	g := grant{external: q.internal, address: u.net.local, lease: q.lease, id: renewed.id}
	lease := strconv.Itoa(int(q.lease / time.Second))
	if renewed.id != "" {
		_, err := u.call(ctx, "UpdatePinhole", argument{"UniqueID", renewed.id}, argument{"NewLeaseTime", lease})
		if err == nil {
			return g, nil
		}
	}
	out, err := u.call(ctx, "AddPinhole",
		argument{"RemoteHost", ""}, argument{"RemotePort", "0"}, argument{"InternalClient", u.net.local.String()},
		argument{"InternalPort", number(q.internal)}, argument{"Protocol", strconv.Itoa(int(q.protocol.number()))}, argument{"LeaseTime", lease})
	g.id = out["UniqueID"]
	if err == nil && (g.id == "" || len(g.id) > 40) {
		err = errors.New("the router gives a pinhole no identifier")
	}
	return g, err
}

// remove implements [way]. It leaves a mapping that leads to another machine.
func (u *upnp) remove(ctx context.Context, q request, g grant) error {
	if u.service.kind == firewall {
		_, err := u.call(ctx, "DeletePinhole", argument{"UniqueID", g.id})
		return err
	}
	mine, err := u.has(ctx, q)
	if err == nil && !mine {
		return nil
	}
	_, err = u.call(ctx, "DeletePortMapping", argument{"NewRemoteHost", ""}, argument{"NewExternalPort", number(q.external)}, argument{"NewProtocol", q.protocol.String()})
	if refused := (*ActionError)(nil); errors.As(err, &refused) && refused.Code == upnpNoSuchEntry {
		return nil
	}
	return err
}

// has reports whether the router maps an external port to the port of this machine. The error
// is an [*ActionError] if the router does not say.
func (u *upnp) has(ctx context.Context, q request) (bool, error) {
	out, err := u.call(ctx, "GetSpecificPortMappingEntry",
		argument{"NewRemoteHost", ""}, argument{"NewExternalPort", number(q.external)}, argument{"NewProtocol", q.protocol.String()})
	if refused := (*ActionError)(nil); errors.As(err, &refused) && refused.Code == upnpNoSuchEntry {
		return false, nil
	}
	return err == nil && out["NewInternalClient"] == u.net.local.String() && out["NewInternalPort"] == number(q.internal), err
}

// check implements [way]. It asks for the external address and for the first mapping.
func (u *upnp) check(ctx context.Context, held []mapped) (netip.Addr, bool, error) {
	external, err := u.external(ctx)
	if err != nil || len(held) == 0 || u.service.kind == firewall {
		return external, false, err
	}
	has, err := u.has(ctx, held[0].request)
	if refused := (*ActionError)(nil); errors.As(err, &refused) {
		return external, false, nil // the router does not support the question
	}
	return external, err == nil && !has, err
}
