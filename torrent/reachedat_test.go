package torrent

import (
	"net/netip"
	"testing"
	"time"

	"spate/peerwire"
)

// TestPeerNamesTheAddressItConnectedTo checks that a session remembers the address that a peer of the
// internet names after it has connected by TCP. The word of a peer of this network, of one that this
// session dialled, and of one that came by uTP, perhaps through a hole, does not count.
func TestPeerNamesTheAddressItConnectedTo(t *testing.T) {
	t.Parallel()
	own, internet := netip.MustParseAddr("44.0.0.1"), netip.MustParseAddrPort("45.0.0.1:6881")
	for name, c := range map[string]struct {
		from     netip.AddrPort
		incoming bool
		over     Transport
		counts   bool
	}{
		"incoming": {internet, true, TCP, true},
		"dialled":  {internet, false, TCP, false},
		"uTP":      {internet, true, UTP, false},
		"private":  {netip.MustParseAddrPort("192.168.1.2:6881"), true, TCP, false},
	} {
		tor, peer := joinedPeer(t, AddOptions{}, 1)
		tor.mu.Lock()
		peer.peer.addr, peer.peer.incoming, peer.peer.transport = c.from, c.incoming, c.over
		err := peer.extHandshakeReceivedLocked(peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{YourIP: own})[6:])
		tor.mu.Unlock()
		if at := tor.s.ReachedAt(own); at.IsZero() == c.counts || err != nil {
			t.Errorf("%s: the address was recorded at %v; %v", name, at, err)
		}
	}
}

// TestReachedAddrsAreFew checks that few addresses are remembered, the newest ones, and no address
// of the other family, of a private network or of the peer itself.
func TestReachedAddrsAreFew(t *testing.T) {
	t.Parallel()
	var r reachedAddrs
	now, from := time.Unix(1e9, 0), netip.MustParseAddr("203.0.113.9")
	for _, own := range []string{"10.0.0.1", "2a00::1", "127.0.0.1", from.String()} {
		r.add(netip.MustParseAddr(own), from, now)
	}
	if len(r.at) != 0 {
		t.Errorf("remembered %v", r.at)
	}
	for i := range 2 * maxReachedAddrs {
		r.add(netip.AddrFrom4([4]byte{44, 0, 0, byte(i)}), from, now.Add(time.Duration(i)))
	}
	if _, newest := r.at[netip.AddrFrom4([4]byte{44, 0, 0, 2*maxReachedAddrs - 1})]; len(r.at) != maxReachedAddrs || !newest {
		t.Errorf("remembered %v", r.at)
	}
}
