package trackerlog

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"spate"
	"spate/tracker"
)

// TestEntries checks which announces are logged, and the fields of their entries.
func TestEntries(t *testing.T) {
	out := logged(t, Options{},
		observation(1, 1, tracker.EventStarted, func(o *tracker.Observation) { o.New = true }),
		observation(1, 1, tracker.EventNone, nil),
		observation(1, 1, tracker.EventCompleted, func(o *tracker.Observation) { o.Counted, o.Request.Downloaded, o.Request.Left = true, 99, 0 }),
		observation(1, 1, tracker.EventStopped, func(o *tracker.Observation) { o.Removed = true }),
		observation(1, 2, tracker.EventStarted, func(o *tracker.Observation) { o.Refused = true }),
	)
	var events []string
	peers := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var a Entry
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		events = append(events, a.Event)
		peers[a.Peer] = true
		if a.Addr != "203.0.113.0" || a.Name != "a.iso" || a.Client != "Transmission 4.0.5" || a.User != "ann" || a.Via != "udp" || a.InfoHash != (spate.InfoHash{1}).String() {
			t.Errorf("%+v", a)
		}
	}
	if got := strings.Join(events, " "); got != "started completed stopped" || len(peers) != 1 {
		t.Errorf("%s, peers %v", got, peers)
	}
}

// TestPrivacy checks how much of an address is logged.
func TestPrivacy(t *testing.T) {
	six := func(o *tracker.Observation) {
		o.New, o.Peer = true, netip.MustParseAddrPort("[2001:db8:1:2:3::4]:6881")
	}
	for _, c := range []struct {
		p          string
		four, sixs string
		user       bool
	}{{"full", "203.0.113.77", "2001:db8:1:2:3::4", true}, {"network", "203.0.113.0", "2001:db8:1::", true}, {"none", "", "", false}} {
		p, err := ParsePrivacy(c.p)
		if err != nil {
			t.Fatal(err)
		}
		out := logged(t, Options{Privacy: p}, observation(1, 1, tracker.EventStarted, nil), observation(1, 1, tracker.EventStarted, six))
		for i, want := range []string{c.four, c.sixs} {
			var a Entry
			if err := json.Unmarshal([]byte(strings.Split(out, "\n")[i]), &a); err != nil || a.Addr != want || (a.User != "") != c.user {
				t.Errorf("%s: %v %+v", c.p, err, a)
			}
		}
		if strings.Contains(out, "6881") {
			t.Errorf("%s: the port is logged", c.p)
		}
	}
	if _, err := ParsePrivacy("some"); err == nil {
		t.Error("ParsePrivacy accepts an unknown value")
	}
}
