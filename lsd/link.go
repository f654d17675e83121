package lsd

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// link is one multicast group on one network interface.
type link struct {
	zone     string // name of the interface, which is the zone of link-local addresses on it
	group    netip.AddrPort
	networks []netip.Prefix // the networks of the interface
	in       *net.UDPConn   // receives the messages to the group
	out      *net.UDPConn   // sends from an address of the interface, so that other processes on this machine receive it too
}

func (l *link) send(b []byte) error {
	_, err := l.out.WriteToUDPAddrPort(b, l.group)
	return err
}

func (l *link) close() {
	l.in.Close()
	l.out.Close()
}

// join opens a link for each group on each interface that does not have one yet.
func (s *Service) join(readers *sync.WaitGroup) {
	all, err := net.Interfaces()
	if err != nil {
		s.log.Warn("listing the network interfaces", "err", err)
		return
	}
	for _, ifi := range all {
		if ifi.Flags&net.FlagUp == 0 || ifi.Flags&net.FlagMulticast == 0 || s.opt.Interface != "" && ifi.Name != s.opt.Interface {
			continue
		}
		for _, g := range s.opt.Groups {
			name := ifi.Name + " " + g.String()
			if s.links[name] != nil {
				continue
			}
			l, err := s.open(&ifi, g)
			if err != nil {
				s.log.Debug("joining the multicast group", "on", name, "err", err)
			}
			if l == nil {
				continue
			}
			s.links[name] = l
			s.log.Debug("joined the multicast group", "on", name)
			readers.Go(func() { s.read(l) })
		}
	}
}

// open joins a group on an interface. It returns nil if the interface has no usable
// address of the group's address family, or not the address that the service is bound
// to.
func (s *Service) open(ifi *net.Interface, group netip.AddrPort) (*link, error) {
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, err
	}
	l := &link{group: group, zone: ifi.Name}
	var from netip.Addr
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		ip := p.Addr().Unmap()
		ip = l.zoned(ip)
		if err != nil || ip.Is4() != group.Addr().Is4() || !s.bound(ip, ifi) || ip.IsLoopback() && !s.opt.Bind.IsLoopback() {
			continue
		}
		l.networks = append(l.networks, p.Masked())
		if !from.IsValid() || from.Zone() != "" && ip.Zone() == "" {
			from = ip // an address that is not link-local is preferred, because it needs no zone
		}
	}
	if !from.IsValid() {
		return nil, nil
	}
	network := "udp4"
	if from.Is6() {
		network = "udp6"
	}
	if l.in, err = net.ListenMulticastUDP(network, ifi, net.UDPAddrFromAddrPort(group)); err != nil {
		return nil, err
	}
	l.out, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err == nil {
		err = sendOn(l.out, ifi, from)
	}
	if err != nil {
		l.in.Close()
		if l.out != nil {
			l.out.Close()
		}
		return nil, err
	}
	return l, nil
}

// bound reports whether the service may use an address of an interface.
func (s *Service) bound(ip netip.Addr, ifi *net.Interface) bool {
	b := s.opt.Bind.Unmap()
	if !b.IsValid() {
		return true
	}
	return b.WithZone("") == ip.WithZone("") && (b.Zone() == "" || b.Zone() == ifi.Name || b.Zone() == strconv.Itoa(ifi.Index))
}

// zoned returns an address as this host reaches it: a link-local IPv6 address gets the zone of
// the interface.
func (l *link) zoned(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	if ip.Is6() && ip.IsLinkLocalUnicast() {
		return ip.WithZone(l.zone)
	}
	return ip.WithZone("")
}

// read handles the messages of a link until the link is closed.
func (s *Service) read(l *link) {
	b := make([]byte, MaxMessage+1)
	for {
		n, from, err := l.in.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		s.handle(b[:n], l.zoned(from.Addr()), l.networks)
	}
}
