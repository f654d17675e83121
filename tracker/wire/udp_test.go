package wire_test

import (
	"encoding/hex"
	"math"
	"net/netip"
	"strings"
	"testing"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// TestUDPLayout compares packets with the layout of BEP 15.
func TestUDPLayout(t *testing.T) {
	req := &tracker.AnnounceRequest{
		InfoHash: wantHash, PeerID: spate.PeerID([]byte("-Sp0100-0123456789ab")), Port: 0x1234,
		Downloaded: 1, Left: 2, Uploaded: 3, Event: tracker.EventStarted, Key: 0xdeadbeef, NumWant: -1, IP: netip.MustParseAddr("192.0.2.5"),
	}
	checks := []struct {
		name string
		got  []byte
		want string
	}{
		{"connect", wire.AppendUDPConnect(nil, 5), "0000041727101980 00000000 00000005"},
		{"connect reply", wire.AppendUDPConnectReply(nil, 5, 6), "00000000 00000005 0000000000000006"},
		{"announce", wire.AppendUDPAnnounce(nil, 6, 7, req, "/a"), "0000000000000006 00000001 00000007 123456789abcdef123456789abcdef123456789a" +
			hex.EncodeToString(req.PeerID[:]) + "0000000000000001 0000000000000002 0000000000000003 00000002 c0000205 deadbeef ffffffff 1234 02022f61"},
		{"announce reply", wire.AppendUDPAnnounceReply(nil, 7, 60, 1, 2), "00000001 00000007 0000003c 00000001 00000002"},
		{"scrape", wire.AppendUDPScrape(nil, 6, 7, []spate.InfoHash{wantHash}), "0000000000000006 00000002 00000007 123456789abcdef123456789abcdef123456789a"},
		{"scrape reply", wire.AppendUDPScrapeEntry(wire.AppendUDPScrapeReply(nil, 7), 1, 2, 3), "00000002 00000007 00000001 00000002 00000003"},
		{"error", wire.AppendUDPError(nil, 7, "no"), "00000003 00000007 6e6f"},
	}
	for _, c := range checks {
		if want := strings.ReplaceAll(c.want, " ", ""); hex.EncodeToString(c.got) != want {
			t.Errorf("%s: %x, want %s", c.name, c.got, want)
		}
	}
	var got tracker.AnnounceRequest
	options, err := wire.ParseUDPAnnounce(checks[2].got, &got)
	if err != nil || got != *req || string(options) != "\x02\x02/a" {
		t.Errorf("%+v %q %v", got, options, err)
	}
}

func TestUDPAnnounceEdgeCases(t *testing.T) {
	pack := func(f func(r *tracker.AnnounceRequest)) []byte {
		r := tracker.AnnounceRequest{Port: 1, NumWant: -1}
		f(&r)
		return wire.AppendUDPAnnounce(nil, 1, 1, &r, "")
	}
	var r tracker.AnnounceRequest
	if _, err := wire.ParseUDPAnnounce(pack(func(r *tracker.AnnounceRequest) { r.Left = tracker.Unknown }), &r); err != nil || r.Left != math.MaxInt64 || r.Seed() {
		t.Errorf("unknown left: %+v %v", r, err)
	}
	if _, err := wire.ParseUDPAnnounce(pack(func(r *tracker.AnnounceRequest) { r.Uploaded, r.NumWant = -1, 1<<40 }), &r); err != nil || r.Uploaded != 0 || r.NumWant != math.MaxInt32 {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := wire.ParseUDPAnnounce(pack(func(r *tracker.AnnounceRequest) { r.Port = 0 }), &r); err != wire.ErrBadPort {
		t.Error(err)
	}
	b := pack(func(*tracker.AnnounceRequest) {})
	if _, err := wire.ParseUDPAnnounce(b[:97], &r); err != wire.ErrShortPacket {
		t.Error(err)
	}
	b[83] = 5
	if _, err := wire.ParseUDPAnnounce(b, &r); err != wire.ErrBadEvent {
		t.Error(err)
	}
	b[83] = 4
	if _, err := wire.ParseUDPAnnounce(b, &r); err != nil || r.Event != tracker.EventPaused {
		t.Error(r.Event, err)
	}
}

func TestURLData(t *testing.T) {
	long := "/announce?" + strings.Repeat("0123456789", 60)
	b := wire.AppendUDPAnnounce(nil, 1, 1, &tracker.AnnounceRequest{}, long)[wire.UDPAnnounceLen:]
	cases := map[string]string{
		string(b): long, "": "", "\x01\x01\x02\x01a\x00\x02\x01b": "a", "\x02\x01a\x07\x01z\x02\x01b": "ab", "\x02\x00": "",
	}
	for in, want := range cases {
		if got, err := wire.AppendURLData([]byte("x"), []byte(in)); err != nil || string(got) != "x"+want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{"\x02", "\x02\x02a", "\x09", strings.Repeat("\x02\xff"+strings.Repeat("a", 255), 5)} {
		if got, err := wire.AppendURLData([]byte("x"), []byte(in)); err != wire.ErrBadOption || string(got) != "x" {
			t.Errorf("%.20q: %q %v", in, got, err)
		}
	}
}

func TestUDPScrape(t *testing.T) {
	hashes := make([]spate.InfoHash, 75)
	b, err := wire.ParseUDPScrape(wire.AppendUDPScrape(nil, 1, 1, hashes))
	if err != nil || len(b) != 20*tracker.MaxScrapeUDP {
		t.Error(len(b), err)
	}
	for _, n := range []int{0, 15, 16, 35, 37, 55} {
		if _, err := wire.ParseUDPScrape(make([]byte, n)); err != wire.ErrBadHashes {
			t.Error(n, err)
		}
	}
	for n, want := range map[int]int{12: 1, 13: 1, 24: 2, 999: 3} {
		if e, err := wire.ParseUDPScrapeReply(make([]byte, n), hashes[:3]); err != nil || len(e) != want {
			t.Error(n, e, err)
		}
	}
	if _, err := wire.ParseUDPScrapeReply(make([]byte, 11), hashes); err == nil {
		t.Error("a reply without an entry was accepted")
	}
}

func TestUDPReplies(t *testing.T) {
	r, err := wire.ParseUDPAnnounceReply([]byte("\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x02\x01\x02\x03\x04\x00\x05"), false)
	if err != nil || r.Interval <= 0 || r.Complete != 2 || len(r.Peers) != 1 || r.Peers[0].String() != "1.2.3.4:5" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := wire.ParseUDPAnnounceReply(make([]byte, 12+6), true); err == nil {
		t.Error("half an IPv6 peer was accepted")
	}
	if f := wire.ParseUDPError([]byte("bad\x00")); f.Reason != "bad" {
		t.Errorf("%q", f.Reason)
	}
	if f := wire.ParseUDPError([]byte(strings.Repeat("é", 4000))); len(f.Reason) > 520 {
		t.Error(len(f.Reason))
	}
}

func FuzzUDPRequest(f *testing.F) {
	f.Add(wire.AppendUDPConnect(nil, 5))
	f.Add(wire.AppendUDPAnnounce(nil, 6, 7, &tracker.AnnounceRequest{Port: 1}, "/announce?x=y"))
	f.Add(wire.AppendUDPScrape(nil, 6, 7, []spate.InfoHash{wantHash}))
	f.Fuzz(func(t *testing.T, b []byte) {
		wire.ParseUDPHeader(b)
		var req tracker.AnnounceRequest
		if options, err := wire.ParseUDPAnnounce(b, &req); err == nil {
			if req.Left < -1 || req.Uploaded < 0 || req.Downloaded < 0 || req.Port == 0 || !req.Event.Valid() {
				t.Fatalf("%+v", req)
			}
			if url, err := wire.AppendURLData(nil, options); err == nil && len(url) > len(b) {
				t.Fatal(len(url))
			}
		}
		if h, err := wire.ParseUDPScrape(b); err == nil && len(h)%20 != 0 {
			t.Fatal(len(h))
		}
	})
}

func FuzzUDPReply(f *testing.F) {
	f.Add(wire.AppendUDPConnectReply(nil, 1, 2))
	f.Add(append(wire.AppendUDPAnnounceReply(nil, 1, 2, 3, 4), "123456"...))
	f.Add(wire.AppendUDPError(nil, 1, "no"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, body, err := wire.ParseUDPReply(b)
		if err != nil {
			return
		}
		wire.ParseUDPConnectReply(body)
		wire.ParseUDPAnnounceReply(body, false)
		wire.ParseUDPAnnounceReply(body, true)
		wire.ParseUDPScrapeReply(body, make([]spate.InfoHash, 3))
		wire.ParseUDPError(body)
	})
}
