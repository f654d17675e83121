package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBrowsersMeetThroughTheTracker lets two pages of Chromium connect over WebRTC with the help of
// the tracker, and compares what a scrape over HTTP says.
func TestBrowsersMeetThroughTheTracker(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	script, err := os.ReadFile(filepath.Join("web", "meet.mjs"))
	if err == nil {
		err = os.WriteFile(filepath.Join(tools, "meet.mjs"), script, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := newLAN(t, 2)
	_, r := l.Hosts[0].serve("tracker", "--udp", "off")
	addr := l.Hosts[0].IP + ":" + r.HTTPAddr[strings.LastIndexByte(r.HTTPAddr, ':')+1:]
	const hash = "00ff7f80c3a9010a0d22225c2f61628081fefdfc"
	visit := l.Hosts[1].start("node", filepath.Join(tools, "meet.mjs"), "ws://"+addr+"/announce", hash)
	if code := visit.wait(); code != 0 {
		t.Errorf("meet.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
	eventually(t, "the browser has left, and its download is counted", func() bool {
		out := l.Hosts[1].run("scrape", "--json", "http://"+addr+"/announce", hash)
		return strings.Contains(out, `"complete":0,"incomplete":0`) && strings.Contains(out, `"downloaded":1`)
	})
}
