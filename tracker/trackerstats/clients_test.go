package trackerstats

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/tracker"
)

// TestClientMarks checks the styles of peer ids.
func TestClientMarks(t *testing.T) {
	for id, want := range map[string]string{
		"-TR4050-abcdefghijkl":                     "Transmission 4.0.5",
		"A2-1-36-0-abcdefghij":                     "aria2 1.36",
		"M7-10-5--abcdefghijk":                     "Mainline 7.10.5",
		"-Sw0100-abcdefghijkl":                     "spate (browser) 0.1",
		"-WW0207-abcdefghijkl":                     "WebTorrent 2.7",
		"-WD0021-abcdefghijkl":                     "WebTorrent Desktop 0.21",
		"abcdefghijklmnopqrst":                     "other ",
		"-\x00\x01\x02\x03\x04\x05-abcdefghijkl":   "other ",
		"\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxx": "other ",
	} {
		var p spate.PeerID
		copy(p[:], id)
		name, version := clientName(clientMark(&p))
		if got := name + " " + version; got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

// TestClientsAreLimited checks that any number of marks takes a fixed amount of memory, that
// nearly all peers are counted, and that the window advances.
func TestClientsAreLimited(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newClientCounts(now)
	for i := range 100_000 {
		var id spate.PeerID
		copy(id[:], fmt.Sprintf("-%c%c%04d-", 'A'+i%26, 'A'+i/26%26, i/676%10_000))
		c.add(countedPeer{id: id})
	}
	n, sum := 0, uint64(0)
	for _, s := range c.shares() {
		n += max(len(s.Versions), 1)
		sum += s.Peers
	}
	if n > clientSlots+1 || sum < 95_000 || sum > 100_000 {
		t.Errorf("%d clients, %d peers", n, sum)
	}
	c.advance(now.Add(time.Hour), time.Hour)
	c.advance(now.Add(2*time.Hour), time.Hour)
	if len(c.shares()) != 0 {
		t.Error("the window does not advance")
	}
}

// TestSharesCountPeers checks that a peer counts once, no matter how often it announces and to how many
// torrents of a release, and also after the window has advanced.
func TestSharesCountPeers(t *testing.T) {
	t.Parallel()
	u := newFixture(t, Options{})
	release := spate.InfoHash{9}
	announce := func(id string, ih, release spate.InfoHash) {
		var p spate.PeerID
		copy(p[:], id)
		u.st.Observe(&tracker.Observation{Request: &tracker.AnnounceRequest{PeerID: p, InfoHash: ih}, Release: release})
	}
	check := func(want string) {
		t.Helper()
		var got []string
		for _, s := range u.st.clients.shares() {
			got = append(got, fmt.Sprintf("%s %d %.2f", s.Name, s.Peers, s.Share))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for range 20 { // over WebSocket
		announce("-Sw0100-aaaaaaaaaaaa", spate.InfoHash{1}, spate.InfoHash{})
	}
	for i := range byte(3) {
		announce("-TR4050-aaaaaaaaaaa"+string('0'+i), spate.InfoHash{1}, release)
		announce("-TR4050-aaaaaaaaaaa"+string('0'+i), spate.InfoHash{2}, release)
	}
	check("Transmission 3 0.75, spate (browser) 1 0.25")
	start := u.st.clients.started.Load()
	u.st.clients.advance(time.Unix(start+3600, 0), time.Hour)
	check("Transmission 3 0.75, spate (browser) 1 0.25")
	for range 5 {
		announce("-Sw0100-aaaaaaaaaaaa", spate.InfoHash{1}, spate.InfoHash{})
		announce("-TR4050-aaaaaaaaaaa0", spate.InfoHash{2}, release)
	}
	check("Transmission 3 0.75, spate (browser) 1 0.25")
	u.st.clients.advance(time.Unix(start+7200, 0), time.Hour)
	check("Transmission 1 0.50, spate (browser) 1 0.50")
}
