package netguard

import "net/netip"

// Kind is the kind of host or service that an address leads to.
type Kind uint8

// The kinds of addresses. [Public] is every address that the table does not name.
const (
	Public      Kind = iota // a host of the internet
	Private                 // a host of a private network
	LinkLocal               // a host on the same link
	Loopback                // this machine
	Unspecified             // 0.0.0.0 or ::, which many systems treat as this machine
	Metadata                // a service from which a machine in a cloud gets credentials
	Nowhere                 // not a host
)

// KindOf returns the kind of a. It ignores the zone. An IPv6 address that contains an IPv4
// address has the kind of the IPv4 address.
func KindOf(a netip.Addr) Kind {
	k, _ := classify(a)
	return k
}

// ranges maps address ranges to kinds. The first entry that contains an address applies, so
// an exception must come before the range that contains it. description completes "it is
// ...".
var ranges = []struct {
	prefix      netip.Prefix
	kind        Kind
	description string
}{
	// Clouds answer requests of their machines at these addresses without a password. The
	// other addresses of 169.254.169.0/24, 169.254.170.0/24 and fd00:ec2::/32 are name
	// servers, time servers and credentials of containers.
	{cidr("169.254.169.0/24"), Metadata, metadata},
	{cidr("169.254.170.0/24"), Metadata, metadata},   // AWS, for containers
	{cidr("169.254.0.23/32"), Metadata, metadata},    // Tencent
	{cidr("169.254.10.10/32"), Metadata, metadata},   // Tencent
	{cidr("169.254.42.42/32"), Metadata, metadata},   // Scaleway
	{cidr("100.100.100.200/32"), Metadata, metadata}, // Alibaba
	{cidr("168.63.129.16/32"), Metadata, metadata},   // Azure
	{cidr("192.0.0.192/32"), Metadata, metadata},     // Oracle
	{cidr("fd00:ec2::/32"), Metadata, metadata},      // AWS
	{cidr("fd20:ce::254/128"), Metadata, metadata},   // Google
	{cidr("fd00:c1::a9fe:a9fe/128"), Metadata, metadata},
	{cidr("fd00:42::42/128"), Metadata, metadata},       // Scaleway
	{cidr("fd00:a9fe:a9fe::1/128"), Metadata, metadata}, // Linode
	{cidr("fd00:100::100:200/128"), Metadata, metadata}, // Alibaba
	{cidr("fe80::a9fe:a9fe/128"), Metadata, metadata},   // OpenStack

	{cidr("127.0.0.0/8"), Loopback, "this machine"},
	{cidr("::1/128"), Loopback, "this machine"},
	// Linux, and possibly other systems, connect to this machine for these addresses.
	{cidr("0.0.0.0/32"), Unspecified, "the unspecified address, which leads to this machine"},
	{cidr("::/128"), Unspecified, "the unspecified address, which leads to this machine"},
	{cidr("0.0.0.0/8"), Nowhere, "no host's address (RFC 791)"},

	{cidr("10.0.0.0/8"), Private, private},
	{cidr("172.16.0.0/12"), Private, private},
	{cidr("192.168.0.0/16"), Private, private},
	{cidr("fc00::/7"), Private, private},
	{cidr("fec0::/10"), Private, private}, // site-local, until RFC 3879
	// Carriers use this range for their customers, and VPNs use it too (RFC 6598).
	{cidr("100.64.0.0/10"), Private, private},
	// Laboratories use these ranges, and so do programs that resolve names to addresses of
	// their own (RFC 2544, 5180).
	{cidr("198.18.0.0/15"), Private, private},
	{cidr("2001:2::/48"), Private, private},

	// Clouds have more services in these ranges than the table lists. The zone of an
	// address names an interface of this machine, which an untrusted source cannot know.
	{cidr("169.254.0.0/16"), LinkLocal, "a link-local address"},
	{cidr("fe80::/10"), LinkLocal, "a link-local address"},

	{cidr("224.0.0.0/4"), Nowhere, "a multicast address"},
	{cidr("ff00::/8"), Nowhere, "a multicast address"},
	{cidr("255.255.255.255/32"), Nowhere, "the broadcast address"},
	{cidr("240.0.0.0/4"), Nowhere, "a reserved address (RFC 1112)"},
	{cidr("192.0.0.0/24"), Nowhere, "an address of a protocol, not of a host (RFC 6890)"},
	{cidr("192.88.99.0/24"), Nowhere, "an address of 6to4 routers (RFC 7526)"},
	{cidr("100::/64"), Nowhere, "an address whose packets are discarded (RFC 6666)"},
	{cidr("100:0:0:1::/64"), Nowhere, "a dummy address (RFC 9780)"},
	{cidr("2001:10::/28"), Nowhere, "an identifier, not an address (RFC 4843)"},
	{cidr("2001:20::/28"), Nowhere, "an identifier, not an address (RFC 7343)"},
	{cidr("5f00::/16"), Nowhere, "an instruction for routers (RFC 9602)"},

	// The table does not list the addresses for documentation (192.0.2.0/24,
	// 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20), because no network routes
	// them. It cannot recognize the broadcast address of a subnet, which is treated as
	// private.
}

const (
	metadata = "a cloud's metadata service"
	private  = "an address of a private network"
)

// embeddings lists the IPv6 ranges whose addresses contain an IPv4 address, to which a
// router or this machine translates them. It omits IPv4-mapped addresses (::ffff:0:0/96),
// because classify converts them to IPv4 first.
var embeddings = []struct {
	prefix   netip.Prefix
	at       int  // offset of the IPv4 address in bytes
	inverted bool // the bits of the IPv4 address are inverted
	local    bool // see localNAT64
}{
	{prefix: cidr("::/96"), at: 12},                       // IPv4-compatible (RFC 4291, 2.5.5.1)
	{prefix: cidr("::ffff:0:0:0/96"), at: 12},             // IPv4-translated (RFC 2765)
	{prefix: cidr("64:ff9b::/96"), at: 12},                // NAT64 (RFC 6052)
	{prefix: cidr("64:ff9b:1::/48"), at: 12, local: true}, // NAT64 of one network (RFC 8215)
	{prefix: cidr("2002::/16"), at: 2},                    // 6to4 (RFC 3056)
	{prefix: cidr("2001::/32"), at: 12, inverted: true},   // Teredo (RFC 4380)
}

// localNAT64 returns the kind of an address in 64:ff9b:1::/48. A network translates these
// addresses itself, so a public IPv4 address counts as private. The network also chooses where
// the IPv4 address is (RFC 6052, 2.2). last has its usual place, the last 32 bits. An address
// in another place counts only if it is one of this machine or of a metadata service, because
// most of these places hold other bits.
func localNAT64(a, last netip.Addr) (Kind, string) {
	b := a.As16()
	for _, places := range [...][4]int{{6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}} { // prefixes of 48, 56 and 64 bits
		var v [4]byte
		for i, at := range places {
			v[i] = b[at]
		}
		v4 := netip.AddrFrom4(v)
		if kind, description := classify(v4); kind == Metadata || kind == Loopback {
			return kind, v4.String() + ", " + description
		}
	}
	kind, description := classify(last)
	if kind == Public {
		kind, description = Private, private
	}
	return kind, last.String() + ", " + description
}

// classify returns the kind of a, and a description of a that completes "it is ...".
func classify(a netip.Addr) (Kind, string) {
	a = a.WithZone("").Unmap()
	if !a.IsValid() {
		return Nowhere, "unknown"
	}
	for i := range ranges {
		if r := &ranges[i]; r.prefix.Contains(a) {
			return r.kind, r.description
		}
	}
	v4, local, ok := embedded(a)
	if !ok {
		return Public, "a public address"
	}
	if local {
		return localNAT64(a, v4)
	}
	kind, description := classify(v4)
	return kind, v4.String() + ", " + description
}

// embedded returns the IPv4 address in a, if there is one, and whether [localNAT64] gives the
// kind of a.
func embedded(a netip.Addr) (v4 netip.Addr, local, ok bool) {
	if !a.Is6() {
		return netip.Addr{}, false, false
	}
	b := a.As16()
	for i := range embeddings {
		e := &embeddings[i]
		if !e.prefix.Contains(a) {
			continue
		}
		v := [4]byte(b[e.at:])
		if e.inverted {
			for i := range v {
				v[i] = ^v[i]
			}
		}
		return netip.AddrFrom4(v), e.local, true
	}
	// An ISATAP address (RFC 5214) has any prefix and a fixed pattern in its interface
	// identifier.
	if b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return netip.AddrFrom4([4]byte(b[12:])), false, true
	}
	return netip.Addr{}, false, false
}

// cidr parses a prefix and panics if it is not valid.
func cidr(s string) netip.Prefix { return netip.MustParsePrefix(s) }
