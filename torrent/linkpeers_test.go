package torrent

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"spate"
	"spate/internal/netguard/guardtest"
	"spate/metainfo"
	"spate/torrent/internal/peerlist"
)

// TestPeersOfLinkByName checks which peers of a magnet link that are named by their host become
// candidates.
func TestPeersOfLinkByName(t *testing.T) {
	t.Parallel()
	names := guardtest.Names(map[string][]string{
		"one.test": {"203.0.114.1"}, "two.test": {"203.0.114.2", "2001:4860::1"}, "here.test": {"127.0.0.1"}, "127.1": {"203.0.114.3"}, "2130706433": {"203.0.114.4"}, "0x7f.1": {"203.0.114.5"}, "cloud.test": {"169.254.169.254"}, "link.test": {"fe80::5"},
	})
	for name, want := range map[string][]string{
		"one.test:6881": {"203.0.114.1:6881"}, "two.test:1": {"203.0.114.2:1", "[2001:4860::1]:1"}, "here.test:1": nil, "cloud.test:80": nil,
		"[fe80::1%eth0]:6881": {"[fe80::1%eth0]:6881"}, "[fe80::1]:6881": nil, "[2001:4860::2%eth0]:1": {"[2001:4860::2]:1"}, "link.test:1": nil,
		"one.test:0": nil, "one.test:65536": nil, "one.test": nil, "none.test:1": nil, ":1": nil, "": nil,
		"one.test:25": nil, "127.1:1": nil, "2130706433:1": nil, "0x7f.1:1": nil,
	} {
		s := testSession(t, Options{Resolver: names})
		f := newMetaFetch(s, metainfo.Magnet{HashV1: spate.InfoHash{1}})
		f.peers = peerlist.New(peerlist.Options{}) // that of a session on loopback accepts loopback addresses
		f.lookUp(context.Background(), []string{name})
		var got []string
		for _, w := range want {
			if _, known := f.peers.Source(netip.MustParseAddrPort(w)); known {
				got = append(got, w)
			}
		}
		if !slices.Equal(got, want) || f.peers.Len() != len(want) {
			t.Errorf("%q: got %v of %d candidates, want %v", name, got, f.peers.Len(), want)
		}
		f.stop()
	}
}
