package trackerserver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate/internal/netguard"
)

// TestNATCheckAvoidsMetadataServices checks that the tracker does not connect to the metadata
// service of a cloud.
func TestNATCheckAvoidsMetadataServices(t *testing.T) {
	for _, peer := range []string{"169.254.169.254:80", "168.63.129.16:80", "[fd00:ec2::254]:80"} {
		s := newServer(t, Options{NATCheck: &NATCheck{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			t.Errorf("%s was dialled", address)
			return nil, io.EOF
		}}})
		if err := s.nat.dial(t.Context(), netip.MustParseAddrPort(peer)); !errors.Is(err, netguard.ErrForbidden) {
			t.Errorf("%s: %v", peer, err)
		}
	}
}

// TestNATCheck checks that a peer which does not accept connections gets other peers, but
// is not given to them.
func TestNATCheck(t *testing.T) {
	now := time.Unix(1e9, 0)
	dialled := make(chan string, 10)
	s := newServer(t, Options{
		Now: func() time.Time { return now },
		NATCheck: &NATCheck{Workers: 1, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			defer func() { dialled <- address }()
			if address == "192.0.2.1:1001" {
				return nil, io.EOF
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	announce(t, s, "192.0.2.1:9", peer(1))
	announce(t, s, "192.0.2.2:9", peer(2))
	r, _ := announce(t, s, "192.0.2.3:9", peer(3))
	if len(r.Peers) != 2 {
		t.Errorf("before the check: %v", r.Peers)
	}
	go func() { done <- s.Run(ctx) }()
	for range 3 {
		<-dialled
	}
	cancel()
	<-done
	r, err := announce(t, s, "192.0.2.3:9", peer(3))
	if err != nil || len(r.Peers) != 1 || r.Peers[0].String() != "192.0.2.2:1002" || r.Incomplete != 2 {
		t.Errorf("after the check: %+v %v", r, err)
	}
	if r, err := announce(t, s, "192.0.2.1:9", peer(1)); err != nil || len(r.Peers) != 2 {
		t.Errorf("the unreachable peer gets %+v %v", r, err)
	}
}
