package trackerstats

import (
	"fmt"
	"testing"
	"time"

	"spate"
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
// all announces are counted, and that the window advances.
func TestClientsAreLimited(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newClientCounts(now)
	for i := range 100_000 {
		var id spate.PeerID
		copy(id[:], fmt.Sprintf("-%c%c%04d-", 'A'+i%26, 'A'+i/26%26, i/676%10_000))
		c.current.Load().add(clientMark(&id))
	}
	n, sum := 0, uint64(0)
	for _, s := range c.shares() {
		n += max(len(s.Versions), 1)
		sum += s.Announces
	}
	if n > clientSlots+1 || sum != 100_000 {
		t.Errorf("%d clients, %d announces", n, sum)
	}
	c.advance(now.Add(time.Hour), time.Hour)
	c.advance(now.Add(2*time.Hour), time.Hour)
	if len(c.shares()) != 0 {
		t.Error("the window does not advance")
	}
}
