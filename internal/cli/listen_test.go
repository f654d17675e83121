package cli

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"spate/internal/fault"
)

func TestListenAddresses(t *testing.T) {
	for _, c := range []struct{ address, bind, want string }{
		{"", "", ":6969"}, {":80", "", ":80"}, {"80", "", ":80"}, {"127.0.0.1", "", "127.0.0.1:6969"},
		{"127.0.0.1:1", "", "127.0.0.1:1"}, {"[::1]:2", "", "[::1]:2"}, {"::1", "", "[::1]:6969"},
		{":7", "127.0.0.1", "127.0.0.1:7"}, {"", "::1", "[::1]:6969"}, {"127.0.0.1:1", "127.0.0.1", "127.0.0.1:1"},
		{"localhost:1", "", "localhost:1"},
		{":x", "", ""}, {":65536", "", ""}, {"example.org:1", "", ""}, {"127.0.0.1:1", "127.0.0.2", ""}, {"[::1", "", ""},
	} {
		l := listenFlags{}
		if c.bind != "" {
			l.bind.Addr = netip.MustParseAddr(c.bind)
		}
		got, err := l.bound("--listen", c.address, "6969")
		if got != c.want || (err == nil) != (c.want != "") || err != nil && fault.CodeOf(err) != fault.Usage {
			t.Errorf("--listen %q --bind %q: %q, %v; want %q", c.address, c.bind, got, err, c.want)
		}
	}
}

// A port that is taken: who wants it, and how to choose another.
func TestPortTaken(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	l := listenFlags{listen: busy.Addr().String()}
	_, err = l.open(context.Background(), "the tracker")
	if fault.CodeOf(err) != fault.Network || !strings.Contains(err.Error(), "the tracker wants to listen on "+busy.Addr().String()) ||
		!strings.Contains(hintFor(err), "--listen :PORT") {
		t.Errorf("%v (%d): %s", err, exitCode(err), hintFor(err))
	}
	free := listenFlags{listen: "127.0.0.1:0"}
	s, err := free.open(context.Background(), "the tracker")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.udpAddr() != s.httpAddr().String() {
		t.Errorf("UDP on %s, HTTP on %s: want one port", s.udpAddr(), s.httpAddr())
	}
	second := listenFlags{listen: "127.0.0.1:0", udp: s.udpAddr()}
	_, err = second.open(context.Background(), "the tracker")
	if fault.CodeOf(err) != fault.Network || !strings.Contains(hintFor(err), "--udp") {
		t.Errorf("%v: %s", err, hintFor(err))
	}
	off := listenFlags{listen: "127.0.0.1:0", udp: "off"}
	o, err := off.open(context.Background(), "the tracker")
	if err != nil || o.udpAddr() != "" {
		t.Fatalf("--udp off: %v, %v", o, err)
	}
	o.close()
}

func TestPublicURL(t *testing.T) {
	for _, c := range []struct{ given, addr, want string }{
		{"", "127.0.0.1:6969", "http://127.0.0.1:6969"},
		{"", "[::1]:80", "http://[::1]:80"},
		{"https://a.example/x/", "0.0.0.0:1", "https://a.example/x"},
		{"ftp://a", "0.0.0.0:1", ""}, {"a.example", "0.0.0.0:1", ""}, {"http://u:p@a", "0.0.0.0:1", ""}, {"http://a?b", "0.0.0.0:1", ""},
	} {
		u, _, err := publicURL(c.given, netip.MustParseAddrPort(c.addr))
		if err != nil != (c.want == "") || err == nil && u.String() != c.want {
			t.Errorf("publicURL(%q, %s) = %v, %v; want %q", c.given, c.addr, u, err, c.want)
		}
	}
	u, _, _ := publicURL("", netip.MustParseAddrPort("[::1]:80"))
	if got := announceURLs(u, "[::1]:81", false); len(got) != 2 || got[0][0] != "http://[::1]:80/announce" || got[1][0] != "udp://[::1]:81/announce" {
		t.Errorf("announce URLs %v", got)
	}
	u, _, _ = publicURL("https://a.example/x", netip.MustParseAddrPort("[::1]:80"))
	if got := announceURLs(u, "[::1]:81", false); len(got) != 1 || got[0][0] != "https://a.example/x/announce" {
		t.Errorf("announce URLs behind a proxy %v", got)
	}
}
