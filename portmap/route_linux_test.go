package portmap

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestRoutesOfLinux checks the tables of routes of Linux.
func TestRoutesOfLinux(t *testing.T) {
	t.Parallel()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the table is of a little-endian machine")
	}
	const table4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
wlan0	00000000	0101A8C0	0003	0	0	600	00000000	0	0	0
eth0	00000000	FE01A8C0	0003	0	0	100	00000000	0	0	0
tun0	00000000	00000000	0001	0	0	50	00000000	0	0	0
eth0	0001A8C0	00000000	0001	0	0	100	00FFFFFF	0	0	0
tun0	00000000	0100000A	0003	0	0	0	00000080	0	0	0
eth0	00000000	zz	0003	0	0	100	00000000	0	0	0
short	00000000
`
	got, err := readRoutes(strings.NewReader(table4), parseRoute4)
	want := []route{{netip.MustParseAddr("192.168.1.254"), "eth0"}, {netip.MustParseAddr("192.168.1.1"), "wlan0"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	zero := strings.Repeat("0", 32)
	table6 := zero + " 00 " + zero + " 00 fe80000000000000000000000000000a 00000400 00000001 00000000 00450003 eth0\n" +
		zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200 lo\n" +
		"20010db8000000000000000000000000 40 " + zero + " 00 fe80000000000000000000000000000b 00000100 00000001 00000000 00000003 eth0\n"
	got, err = readRoutes(strings.NewReader(table6), parseRoute6)
	want = []route{{netip.MustParseAddr("fe80::a%eth0"), "eth0"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
