package trackerserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// netSet is a set of addresses: sorted ranges that do not overlap, so that a lookup in a
// long list is fast.
type netSet []netRange

type netRange struct{ first, last netip.Addr }

// newNetSet returns the set of the addresses in nets.
func newNetSet(nets []netip.Prefix) netSet {
	all := make(netSet, 0, len(nets))
	for _, p := range canonicalNets(nets) {
		all = append(all, netRange{p.Addr(), lastOf(p)})
	}
	slices.SortFunc(all, func(a, b netRange) int { return a.first.Compare(b.first) })
	out := all[:0]
	for _, r := range all {
		if n := len(out); n > 0 && r.first.Compare(out[n-1].last) <= 0 {
			if out[n-1].last.Less(r.last) {
				out[n-1].last = r.last
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// lastOf returns the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// contains reports whether the set contains the canonical address a.
func (s netSet) contains(a netip.Addr) bool {
	i, exact := slices.BinarySearchFunc(s, a, func(r netRange, a netip.Addr) int { return r.first.Compare(a) })
	return exact || i > 0 && a.Compare(s[i-1].last) <= 0
}

// addressRules are the networks that are allowed and denied.
type addressRules struct{ allow, deny netSet }

// refuse reports whether requests from an address are refused.
func (r *addressRules) refuse(a netip.Addr) bool {
	return r.deny.contains(a) || len(r.allow) > 0 && !r.allow.contains(a)
}

// readNets reads Options.Nets and replaces the rules. On an error the old rules stay.
func (s *Server) readNets() error {
	allow, deny := s.opts.AllowNets, s.opts.DenyNets
	if s.opts.Nets != "" {
		b, err := s.readFile(s.opts.Nets)
		if err != nil {
			return fmt.Errorf("list of networks: %w", err)
		}
		moreAllow, moreDeny, err := parseNets(b)
		if err != nil {
			return fmt.Errorf("list of networks %s: %w", s.opts.Nets, err)
		}
		allow, deny = slices.Concat(allow, moreAllow), slices.Concat(deny, moreDeny)
	}
	s.rules.Store(&addressRules{newNetSet(allow), newNetSet(deny)})
	return nil
}

// parseNets parses the file Options.Nets.
func parseNets(b []byte) (allow, deny []netip.Prefix, err error) {
	err = eachLine(b, func(line string) error {
		f := strings.Fields(line)
		if len(f) != 2 || f[0] != "allow" && f[0] != "deny" {
			return errors.New("want the word allow or deny and a network, such as deny 192.0.2.0/24")
		}
		p, err := ParseNet(f[1])
		if err != nil {
			return err
		}
		if f[0] == "allow" {
			allow = append(allow, p)
		} else {
			deny = append(deny, p)
		}
		return nil
	})
	return allow, deny, err
}

// ParseNet parses a network such as 192.0.2.0/24, or an address, which it returns as a
// network of one address.
func ParseNet(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q: want an address or a network, such as 192.0.2.0/24", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
