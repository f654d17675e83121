package doctor

import (
	"errors"
	"fmt"
	"net/netip"

	"spate/dht"
	"spate/internal/reach"
	"spate/internal/units"
	"spate/portmap"
)

// Network are the facts of a session that runs: its ports, the router and the DHT.
type Network struct {
	Bind     netip.Addr // the local address of the session; the zero Addr: any
	PeerPort uint16     // 0: the session does not listen
	NoTCP    bool       // peers connect by uTP only
	Proxy    string     // the proxy that carries all connections; "": none
	UDP      bool       // the session has the UDP port of the same number too

	Asked      bool           // the router was asked for mappings
	IPv4, IPv6 portmap.Family // what the router said
	Reach      reach.Status   // what follows from it and from what trackers and peers see

	DHT []dht.FamilyStatus // nil: the session does not use the DHT
}

// Findings judges the facts.
func (n Network) Findings() []Finding {
	return append(append(n.ports(), n.router()...), n.nodes()...)
}

// Reached judges what another process of spate knows about whether others can connect to it.
func Reached(process string, s reach.Status) Finding {
	switch {
	case s.Confirmed:
		return about("reachable", process, "peers of the internet have connected")
	case s.Problem != "":
		return about("reachable", process, "%s", s.Problem).as(Fail, s.Advice)
	case s.Peers != "":
		return about("reachable", process, "peers should reach %s: %s", s.Peers, s.How)
	}
	return about("reachable", process, "it does not know whether others can connect").as(Note, "")
}

// ThroughProxy judges the proxy that carries all connections. err is the error of a connection to it.
func ThroughProxy(at string, err error) Finding {
	if err != nil {
		return Finding{Check: "proxy", Level: Fail, Text: err.Error(), Advice: "start the proxy, or correct --proxy; nothing is sent without it"}
	}
	return about("proxy", "", "%s answers; all connections go through it", at)
}

// ports judges the ports of the peers.
func (n Network) ports() []Finding {
	switch {
	case n.Proxy != "":
		return []Finding{
			about("peer-port", "", "not open, because nobody can connect through the proxy %s", n.Proxy).as(Note, ""),
			about("reachable", "", "no: %s", n.Reach.Problem).as(Note, ""),
		}
	case n.PeerPort == 0:
		return []Finding{about("peer-port", "", "this process does not listen, so that no peer can connect").as(Note, "")}
	case n.NoTCP:
		return []Finding{about("peer-port", "", "peers can use port %d, UDP only (--transport utp)", n.PeerPort)}
	case !n.UDP:
		return []Finding{about("peer-port", "", "port %d is free for TCP, but another program has its UDP port, so that uTP and the DHT do not work", n.PeerPort).
			as(Warn, "stop that program, or choose another --peer-port")}
	}
	return []Finding{about("peer-port", "", "peers can use port %d, TCP and UDP", n.PeerPort)}
}

// router judges the mappings, and whether another NAT is behind the router.
func (n Network) router() []Finding {
	f := n.IPv4
	switch {
	case n.Bind.IsLoopback(), n.Proxy != "":
		return nil
	case n.Reach.Confirmed:
		return append(n.mapped(), about("reachable", "", "peers of the internet have connected"))
	case !n.Asked:
		return []Finding{about("mapping", "", "the router was not asked to open ports (--no-portmap)").as(Note, "")}
	case errors.Is(f.Err, portmap.ErrNotNeeded):
		return []Finding{about("mapping", "", "no router is needed: the public address is %v", f.Local)}
	case errors.Is(f.Err, portmap.ErrNoGateway), f.Err == nil && f.Way == portmap.None:
		return append([]Finding{about("mapping", "", "no router of IPv4 was found").as(Note, "")}, n.pinholes()...)
	case f.Way == portmap.None && !errors.Is(f.Err, portmap.ErrNoExternal):
		return append([]Finding{about("mapping", f.Gateway.String(), "%s", f.Err.Error()).as(Fail, n.Reach.Advice)}, n.pinholes()...)
	}
	return append(append(n.mapped(), n.nat()), n.pinholes()...)
}

// mapped says what the router has mapped for IPv4.
func (n Network) mapped() []Finding {
	f, a := n.IPv4, n.IPv4.External
	if f.Way == portmap.None || !a.IsValid() {
		return nil
	}
	var out []Finding
	protocol := portmap.TCP
	if n.NoTCP {
		protocol = portmap.UDP
	}
	for _, m := range f.Mappings {
		if m.Internal == n.PeerPort && m.Protocol == protocol {
			out = append(out, about("mapping", f.Gateway.String(), "the router opened %v for peers (%v)", netip.AddrPortFrom(a, m.External), f.Way))
		}
	}
	if f.Err != nil {
		out = append(out, about("mapping", f.Gateway.String(), "the router did not open all ports: %v", f.Err).as(Warn, "look at the list of ports in the settings of the router"))
	}
	return out
}

// nat judges whether the address of the router is that of the internet.
func (n Network) nat() Finding {
	if n.Reach.Problem != "" && n.IPv4.Err == nil || n.IPv4.BehindNAT() || errors.Is(n.IPv4.Err, portmap.ErrNoExternal) {
		return about("nat", "", "%s", n.Reach.Problem).as(Fail, n.Reach.Advice)
	}
	return about("nat", "", "the router has the public address %v", n.IPv4.External)
}

// pinholes says whether the router lets IPv6 in.
func (n Network) pinholes() []Finding {
	f := n.IPv6
	switch {
	case f.Way != portmap.None && len(f.Mappings) > 0:
		return []Finding{about("mapping-ipv6", "", "the router lets peers in at %v (%v)", netip.AddrPortFrom(f.Local, n.PeerPort), f.Way)}
	case f.Err != nil && !errors.Is(f.Err, portmap.ErrNoGateway):
		return []Finding{about("mapping-ipv6", "", "IPv6: %v", f.Err).as(Note, "")}
	}
	return nil
}

// nodes judges the table of the DHT.
func (n Network) nodes() []Finding {
	if n.Proxy != "" {
		return []Finding{about("dht", "", "off, because UDP does not go through the proxy").as(Note, "")}
	}
	if n.DHT == nil {
		return []Finding{about("dht", "", "the DHT is not used (--no-dht, or bound to loopback)").as(Note, "")}
	}
	var parts []string
	usable := false
	for _, f := range n.DHT {
		family := "IPv4"
		if f.IPv6 {
			family = "IPv6"
		}
		if !f.Usable {
			parts = append(parts, family+": no node answers")
			continue
		}
		usable = true
		s := family + ": " + units.PartIs(f.Good, f.Nodes, "node", "answers", "answer")
		if f.External.Addr().IsValid() {
			s += fmt.Sprintf(" and see this machine at %v", f.External.Addr())
		}
		parts = append(parts, s)
	}
	var out []Finding
	for i, p := range parts {
		f := about("dht", "", "%s", p)
		switch {
		case !usable && i == 0:
			f = f.as(Fail, "let UDP through the firewall, or name a node with --dht-bootstrap HOST:PORT")
		case !n.DHT[i].Usable:
			f = f.as(Note, "")
		}
		out = append(out, f)
	}
	return out
}

// DialBack judges what peers found that were asked to connect. advice says how to let them in.
func DialBack(d reach.DialBack, advice string) []Finding {
	if len(d.Checks) == 0 {
		return []Finding{about("dial-back", "", "no peer could be asked whether it reaches this machine").as(Note, "")}
	}
	var out []Finding
	for _, c := range d.Checks {
		f := about("dial-back-"+c.Network, "", "%s", c.String())
		switch c.Result {
		case reach.Unreachable:
			f = f.as(Fail, advice)
		case reach.Unknown:
			f = f.as(Note, "")
		}
		out = append(out, f)
	}
	return out
}
