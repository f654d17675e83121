package classic

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"strings"

	"spate/internal/units"
)

// maxNetworks is the maximum number of networks in a file.
const maxNetworks = 1 << 20

// ParseSubnets parses the file of --allowed_ips: a network ADDRESS/BITS or an address on each
// line. A # begins a comment.
func ParseSubnets(r io.Reader) ([]netip.Prefix, error) {
	return networks(r, func(line string) ([]netip.Prefix, error) {
		line, _, _ = strings.Cut(line, " ")
		if p, err := netip.ParsePrefix(line); err == nil {
			return []netip.Prefix{p.Masked()}, nil
		}
		a, err := netip.ParseAddr(line)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network (write it as 192.0.2.0/24)", line)
		}
		a = a.WithZone("")
		return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, nil
	})
}

// ParseRanges parses the file of --banned_ips: NAME:FIRST-LAST on each line. NAME may contain
// colons.
func ParseRanges(r io.Reader) ([]netip.Prefix, error) {
	return networks(r, func(line string) ([]netip.Prefix, error) {
		ends := line[strings.LastIndexByte(line, ':')+1:]
		if strings.Count(line, ":") > 2 && strings.Count(line, ".") == 0 { // IPv6: the name ends at the first colon
			_, ends, _ = strings.Cut(line, ":")
		}
		first, last, ok := strings.Cut(ends, "-")
		if !ok {
			last = first
		}
		a, err1 := netip.ParseAddr(strings.TrimSpace(first))
		b, err2 := netip.ParseAddr(strings.TrimSpace(last))
		if err1 != nil || err2 != nil || a.BitLen() != b.BitLen() || b.Less(a) || a.Zone() != "" || b.Zone() != "" {
			return nil, fmt.Errorf("%q is not a range of addresses (write it as name:192.0.2.0-192.0.2.255)", line)
		}
		return cover(a, b), nil
	})
}

// networks parses each line that is not empty without its comment.
func networks(r io.Reader, parse func(string) ([]netip.Prefix, error)) (all []netip.Prefix, err error) {
	sc := bufio.NewScanner(r)
	for n := 1; sc.Scan(); n++ {
		line, _, _ := strings.Cut(sc.Text(), "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		p, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, p...)
		if len(all) > maxNetworks {
			return nil, fmt.Errorf("line %d: more than %s", n, units.Plural(maxNetworks, "network"))
		}
	}
	return all, sc.Err()
}

// cover returns the smallest set of networks that contains exactly the addresses from first to
// last.
func cover(first, last netip.Addr) (all []netip.Prefix) {
	for {
		b := first.AsSlice()
		size := 0 // bits of host addresses that are zero in first
		for i := len(b) - 1; i >= 0; i-- {
			zeros := bits.TrailingZeros8(b[i])
			size += zeros
			if zeros < 8 {
				break
			}
		}
		p := netip.PrefixFrom(first, first.BitLen()-size)
		for last.Less(end(p)) {
			p = netip.PrefixFrom(first, p.Bits()+1)
		}
		all = append(all, p)
		top := end(p)
		if top == last {
			return all
		}
		first = top.Next()
	}
}

// end returns the last address of p.
func end(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// hostOf returns the address in s, or "-" if s is not an address and port.
func hostOf(s string) string {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return "-"
	}
	return ap.Addr().String()
}

// portOf returns the port in s, or "0" if s is not an address and port.
func portOf(s string) string {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return "0"
	}
	return fmt.Sprint(ap.Port())
}
