package spate_test

import (
	"net/netip"
	"strings"
	"testing"

	"spate"
)

// TestParseInfoHash checks that hexadecimal and base32 forms parse, and others do not.
func TestParseInfoHash(t *testing.T) {
	const hexed = "0123456789abcdef0123456789abcdef01234567"
	const base = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH"
	want, err := spate.ParseInfoHash(hexed)
	if err != nil || want.String() != hexed {
		t.Fatalf("ParseInfoHash(%q) = %v, %v", hexed, want, err)
	}
	for _, s := range []string{strings.ToUpper(hexed), base, strings.ToLower(base)} {
		if h, err := spate.ParseInfoHash(s); err != nil || h != want {
			t.Errorf("ParseInfoHash(%q) = %v, %v, want %v", s, h, err, want)
		}
	}
	for _, s := range []string{"", "0", hexed[1:], hexed + "0", strings.Replace(hexed, "0", "g", 1), strings.Repeat("1", 32)} {
		if h, err := spate.ParseInfoHash(s); err == nil {
			t.Errorf("ParseInfoHash(%q) = %v, want an error", s, h)
		}
	}
}

func TestCompactRoundTrip(t *testing.T) {
	for _, s := range []string{"192.0.2.7:6881", "[2001:db8::1]:51413"} {
		ap := netip.MustParseAddrPort(s)
		b := spate.AppendCompact(nil, ap)
		var got []netip.AddrPort
		var err error
		if ap.Addr().Is4() {
			got, err = spate.AppendPeers4(nil, b)
		} else {
			got, err = spate.AppendPeers6(nil, b)
		}
		if err != nil || len(got) != 1 || got[0] != ap {
			t.Errorf("the address %s became %v, %v after a round trip", s, got, err)
		}
		if _, err := spate.AppendPeers4(nil, b[:5]); err == nil {
			t.Error("a list with a partial address was accepted")
		}
	}
	if b := spate.AppendCompact(nil, netip.AddrPort{}); len(b) != 0 {
		t.Errorf("AppendCompact of the zero address appended %x, want nothing", b)
	}
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.7]:80")
	if b := spate.AppendCompact(nil, mapped); len(b) != spate.CompactLen4 {
		t.Errorf("AppendCompact of an IPv4-mapped address appended %d bytes, want 6", len(b))
	}
}

func TestPeerIDClient(t *testing.T) {
	cases := map[string]string{
		"-LT20B0-abcdefghijkl": "libtorrent 2.0.11", "-UT355W-abcdefghijkl": "µTorrent 3.5.5", "-DE211s-abcdefghijkl": "Deluge 2.1.1",
		"-TR3000-abcdefghijkl": "Transmission 3.0",
		"A2-1-36-0-abcdefghij": "A2-1-36",
		"M7-10-5--abcdefghijk": "Mainline 7.10.5",
	}
	for id, want := range cases {
		if got := spate.PeerID([]byte(id)).Client(); got != want {
			t.Errorf("the client of the id %s is %q, want %q", id, got, want)
		}
	}
	if id := spate.NewPeerID(); !strings.HasPrefix(id.Client(), "spate 0.1") {
		t.Errorf("the id %v of this client is read as %q", id, id.Client())
	}
	hostile := spate.PeerID([]byte("\x1b[31m<script>\x00\xff\n\r\t \x7f.."))
	if s := hostile.String(); strings.ContainsAny(s, "\x1b\x00\n\r\t\x7f") {
		t.Errorf("String returned %q, which is not safe to print", s)
	}
}
