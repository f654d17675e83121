package trackerserver

import (
	"log/slog"
	"strings"
	"testing"

	"spate/tracker"
)

// TestAccessLog checks that each announce gives a record of one line, whatever the client
// sent.
func TestAccessLog(t *testing.T) {
	var b strings.Builder
	s := newServer(t, Options{AccessLog: slog.New(slog.NewJSONHandler(&b, nil)), OnlyAllowed: true})
	s.Allow(testHash, tracker.Note{Name: "x.iso"})
	evil := peer(1)
	copy(evil.PeerID[:], "-X\n\x1b[3-{\"a\":1}")
	announce(t, s, "192.0.2.1:9", evil)
	evil.InfoHash[0]++
	announce(t, s, "192.0.2.1:9", evil)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"name":"x.iso"`) || !strings.Contains(lines[0], `"event":"started"`) ||
		!strings.Contains(lines[1], `"refused":"this torrent is not served`) || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%q", lines)
	}
}
