package ui

import (
	"net/netip"
	"strings"
	"testing"
)

// TestOwnerInTable checks a table of the kernel of a little-endian machine: a socket of IPv4, one of IPv6
// with an IPv4 address, and one of a user whom the kernel does not tell.
func TestOwnerInTable(t *testing.T) {
	t.Parallel()
	if kernelAddr(netip.MustParseAddrPort("127.0.0.1:80")) != "0100007F:0050" {
		t.Skip("the table is of a little-endian machine")
	}
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:C350 0302017F:1B3A 01 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 20 4 30 10 -1
   1: 0302017F:1B3A 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10 -1
   2: 0000000000000000FFFF00000100007F:C351 0000000000000000FFFF00000302017F:1B3A 01 00000000:00000000 00:00000000 00000000  1001        0 1
   3: 0100007F:C352 0302017F:1B3A 01 00000000:00000000 00:00000000 00000000 65534        0 1
`
	local := netip.MustParseAddrPort("127.1.2.3:6970")
	for port, want := range map[uint16]int{50000: 1000, 50001: 1001, 50002: -1, 50003: -1} {
		uid, ok := ownerIn(strings.NewReader(table), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), local)
		if ok != (want >= 0) || ok && uid != want {
			t.Errorf("port %d belongs to %d, %v", port, uid, ok)
		}
	}
}
