package portmap_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	"spate/portmap"
)

// Ask the router to let others reach a port of this machine, until ctx is done.
func ExampleNew() {
	run := func(ctx context.Context, port uint16) error {
		m, err := portmap.New(portmap.Options{
			Name: "my program",
			OnChange: func(s portmap.Status) {
				if addr := s.IPv4.Reached(portmap.TCP, port); addr.IsValid() {
					slog.Info("others reach this machine", "address", addr)
				} else if s.IPv4.Err != nil {
					slog.Warn("others cannot connect", "reason", s.IPv4.Err)
				}
			},
		})
		if err != nil {
			return err
		}
		if err := m.Map(portmap.Rule{Protocols: portmap.TCP | portmap.UDP, Internal: port}); err != nil {
			return err
		}
		return m.Run(ctx) // renews the mapping, and removes it at its end
	}
	_ = run

	_, err := portmap.New(portmap.Options{Bind: netip.MustParseAddr("127.0.0.1")})
	fmt.Println(err)
	// Output: portmap: bound to loopback, which no router can reach
}

// A router can map another port than the one that was wanted, and it can itself be behind a NAT.
func ExampleFamily_Reached() {
	f := portmap.Family{
		Gateway: netip.MustParseAddr("192.168.1.1"), Way: portmap.UPnP, External: netip.MustParseAddr("203.0.113.7"),
		Mappings: []portmap.Mapping{{Protocol: portmap.TCP, Internal: 6881, External: 50001}},
	}
	fmt.Println(f.Reached(portmap.TCP, 6881), f.BehindNAT())
	f.External = netip.MustParseAddr("100.64.3.2") // the provider's NAT
	fmt.Println(f.Reached(portmap.TCP, 6881).IsValid(), f.BehindNAT())
	// Output:
	// 203.0.113.7:50001 false
	// false true
}
