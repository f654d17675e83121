package torrent

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"spate/storage"
	"spate/tracker"
)

// signalAnnouncer counts announces over WebSocket too.
type signalAnnouncer struct{ urlAnnouncer }

func (a *signalAnnouncer) AnnounceSignals(ctx context.Context, url string, req *tracker.AnnounceRequest, s tracker.Signals) (*tracker.AnnounceResponse, error) {
	if n := len(s.Offers(5)); n > 0 && req.Left == 0 {
		return nil, errors.New("a seed made offers")
	}
	return a.Announce(ctx, url, req)
}

// noChannels is a WebRTC that opens no data channel.
type noChannels struct{}

func (noChannels) Offer(func(net.Conn)) (tracker.Offer, error) { return noOffer{}, nil }
func (noChannels) Answer(string, func(net.Conn)) (string, error) {
	return "", errNoAnswer
}
func (noChannels) Close() error { return nil }

type noOffer struct{}

func (noOffer) Description() string { return "offer" }
func (noOffer) Accept(string) error { return nil }
func (noOffer) Withdraw()           {}

// TestSignalTrackersAreAnnouncedToBesideOthers checks to which trackers a torrent is announced,
// with and without WebRTC.
func TestSignalTrackersAreAnnouncedToBesideOthers(t *testing.T) {
	const web, ws, wss, own = "http://a.example/announce", "ws://a.example/announce", "wss://b.example/announce", "ws://own.example/announce"
	tiers := [][]string{{ws}, {web}, {wss}}
	for name, c := range map[string]struct {
		private bool
		rtc     WebRTC
		want    []string
	}{
		"without WebRTC":                {false, nil, []string{web}},
		"with WebRTC":                   {false, noChannels{}, []string{web, ws, own}},
		"private, without WebRTC":       {true, nil, []string{web}},
		"private: one tracker (BEP 27)": {true, noChannels{}, []string{ws}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ann := &signalAnnouncer{urlAnnouncer{count: map[string]int{}}}
				w := newDormantWorld(t, Options{Announcer: ann, WebRTC: c.rtc, SignalTrackers: []string{own}})
				l, _ := noiseFile(t, 100_000)
				if c.private {
					l.mi = privateTorrent(t, l.mi)
				}
				l.mi.AnnounceList = tiers
				if _, err := w.seed.Add(l.mi, AddOptions{Storage: storage.NewMemory(100_000), Verified: true}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				want := map[string]int{}
				for _, url := range c.want {
					want[url+" started"] = 1
				}
				ann.mu.Lock()
				defer ann.mu.Unlock()
				if !maps.Equal(ann.count, want) {
					t.Errorf("announces: %v, want %v", ann.count, want)
				}
			})
		})
	}
}

// TestRemovedTorrentAnswersNoOffers checks that offers are answered only for torrents of the session,
// also for dormant ones.
func TestRemovedTorrentAnswersNoOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDormantWorld(t, Options{WebRTC: noChannels{}, ResumeDir: t.TempDir()})
		l, _ := noiseFile(t, 100_000)
		answer := func() error {
			_, err := w.seed.signals(l.mi.Hash()).Answer("offer")
			return err
		}
		if err := answer(); !errors.Is(err, errNoTorrent) {
			t.Errorf("before the torrent was added: %v", err)
		}
		if _, _, err := w.seed.AddDormant(l); err != nil {
			t.Fatal(err)
		}
		if err := answer(); !errors.Is(err, errNoAnswer) {
			t.Errorf("while the torrent is dormant: %v", err)
		}
		if err := w.seed.Remove(l.mi.Hash()); err != nil {
			t.Fatal(err)
		}
		if err := answer(); !errors.Is(err, errNoTorrent) {
			t.Errorf("after the torrent was removed: %v", err)
		}
	})
}

// TestChannelsOfBannedAddressWait checks that a peer without an address that sent bad data cannot
// come back as another peer at once, that each further ban is longer, and that loopback is
// never banned.
func TestChannelsOfBannedAddressWait(t *testing.T) {
	t.Parallel()
	var c channels
	now, bad := time.Unix(1e9, 0), netip.MustParseAddr("203.0.113.5")
	c.ban(bad, now)
	c.ban(netip.MustParseAddr("127.0.0.1"), now)
	c.ban(netip.MustParseAddr("192.168.1.1"), now) // a gateway
	c.ban(netip.Addr{}, now)
	for _, w := range []struct {
		addr   string
		after  time.Duration
		banned bool
	}{
		{"203.0.113.5", 0, true}, {"203.0.113.5", firstChannelBan - 1, true}, {"203.0.113.5", firstChannelBan, false},
		{"203.0.113.6", 0, false}, {"127.0.0.1", 0, false}, {"192.168.1.1", 0, false},
	} {
		if got := c.banned(netip.MustParseAddr(w.addr), now.Add(w.after)); got != w.banned {
			t.Errorf("%s is banned after %v: %v", w.addr, w.after, got)
		}
	}
	c.ban(bad, now.Add(time.Hour))
	if !c.banned(bad, now.Add(time.Hour+2*firstChannelBan-1)) || c.banned(bad, now.Add(time.Hour+2*firstChannelBan)) {
		t.Error("the second ban does not last twice as long as the first")
	}
	later := now.Add(time.Hour + channelBanCounts + lastChannelBan)
	c.ban(bad, later)
	if !c.banned(bad, later.Add(firstChannelBan-1)) || c.banned(bad, later.Add(firstChannelBan)) {
		t.Error("a ban long after the others is not a first one")
	}
	// An address that many can share is banned after several offences, and for a shorter time.
	shared := netip.MustParseAddr("192.168.1.1")
	for n := 2; n <= 20; n++ { // it has one
		at := now.Add(time.Duration(n) * time.Hour)
		c.ban(shared, at)
		want := time.Duration(0)
		if n > sharedOffences {
			want = min(lastSharedBan, firstSharedBan<<(n-sharedOffences-1))
		}
		if c.banned(shared, at.Add(max(0, want-1))) != (want > 0) || c.banned(shared, at.Add(want)) {
			t.Errorf("offence %d from a shared address: want a ban for %v", n, want)
		}
	}
	for range 20 {
		c.ban(netip.MustParseAddr("127.0.0.1"), now)
	}
	if c.banned(netip.MustParseAddr("127.0.0.1"), now) {
		t.Error("loopback is banned")
	}
	for i := range 3 * maxChannelBans {
		c.ban(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), now)
	}
	if len(c.bans) > maxChannelBans {
		t.Errorf("%d bans are held", len(c.bans))
	}
}
