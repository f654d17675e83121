package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/bencode"
	"spate/tracker"
	"spate/tracker/wire"
)

func response(f func(r *tracker.AnnounceResponse)) *tracker.AnnounceResponse {
	r := &tracker.AnnounceResponse{Interval: 30 * time.Minute, Complete: -1, Incomplete: -1, Downloaded: -1}
	f(r)
	return r
}

// TestParseAnnounceAnswer parses responses as real trackers send them.
func TestParseAnnounceAnswer(t *testing.T) {
	a4, a6 := netip.MustParseAddrPort("1.2.3.4:258"), netip.MustParseAddrPort("[2001:db8::1]:258")
	raw6 := string(spate.AppendCompact(nil, a6))
	cases := map[string]*tracker.AnnounceResponse{
		"d8:intervali60e5:peers0:e":           response(func(r *tracker.AnnounceResponse) { r.Interval = time.Minute }),
		"d5:peers6:\x01\x02\x03\x04\x01\x02e": response(func(r *tracker.AnnounceResponse) { r.Peers = []netip.AddrPort{a4} }),
		"d5:peersle6:peers618:" + raw6 + "e":  response(func(r *tracker.AnnounceResponse) { r.Peers = []netip.AddrPort{a6} }),
		"d5:peersld2:ip7:1.2.3.47:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti258eed2:ip4:host4:porti1eed2:ip7:1.2.3.44:porti0eei7eee": response(func(r *tracker.AnnounceResponse) {
			r.Peers, r.PeerNames = []netip.AddrPort{a4}, []string{"host:1"}
		}),
		"d8:intervali0e12:min intervali99999999ee":           response(func(r *tracker.AnnounceResponse) { r.MinInterval = 24 * time.Hour }),
		"d8:intervali-5e8:completei-5e10:incompletei3ee\r\n": response(func(r *tracker.AnnounceResponse) { r.Incomplete = 3 }),
		"d8:intervali999999999999e5:peers0:e":                response(func(r *tracker.AnnounceResponse) { r.Interval = 24 * time.Hour }),
		"d8:interval3:60010:tracker idi5e5:peers0:e":         response(func(*tracker.AnnounceResponse) {}),
		"d5:peers0:11:external ip4:\x01\x02\x03\x0410:tracker id2:xy15:warning message3:a\nbe": response(func(r *tracker.AnnounceResponse) {
			r.ExternalIP, r.TrackerID, r.Warning = a4.Addr(), "xy", "a b"
		}),
	}
	for in, want := range cases {
		got, err := wire.ParseAnnounceAnswer([]byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q\ngot  %+v, %v\nwant %+v", in, got, err, want)
		}
	}
}

func TestParseAnnounceAnswerErrors(t *testing.T) {
	var syntax *bencode.SyntaxError
	for _, in := range []string{"", "<html>", "d", "d8:intervali60e", "i1e", "le", "d5:peers99999:e", "d8:intervali60e5:peers" + strings.Repeat("l", 50)} {
		if _, err := wire.ParseAnnounceAnswer([]byte(in)); !errors.As(err, &syntax) {
			t.Errorf("%q: %v", in, err)
		}
	}
	for _, in := range []string{"de", "d3:fooi1ee"} {
		if _, err := wire.ParseAnnounceAnswer([]byte(in)); !errors.Is(err, wire.ErrNotAnswer) {
			t.Errorf("%q: %v", in, err)
		}
	}
	for _, in := range []string{"d5:peers5:abcdee", "d6:peers66:abcdefe"} {
		if _, err := wire.ParseAnnounceAnswer([]byte(in)); !errors.Is(err, spate.ErrBadCompact) {
			t.Errorf("%q: %v", in, err)
		}
	}
	failures := map[string]tracker.FailureError{
		"d14:failure reason2:noe":                        {Reason: "no"},
		"d14:failure reason2:no8:retry ini5ee":           {Reason: "no", RetryIn: 5 * time.Minute},
		"d14:failure reason2:no8:retry in1:5e":           {Reason: "no", RetryIn: 5 * time.Minute},
		"d14:failure reason2:no8:retry in5:nevere":       {Reason: "no", Never: true},
		"d14:failure reason2:no8:retry ini-5ee":          {Reason: "no"},
		"d14:failure reason2:no8:intervali9e5:peers1:xe": {Reason: "no", Interval: 9 * time.Second},
		"d14:failure reason2:no12:min intervali9ee":      {Reason: "no", MinInterval: 9 * time.Second},
		"d14:failure reason2:no8:retry ini99999999999ee": {Reason: "no", RetryIn: 24 * time.Hour},
		"d14:failure reasoni1ee":                         {},
	}
	for in, want := range failures {
		var got *tracker.FailureError
		if _, err := wire.ParseAnnounceAnswer([]byte(in)); !errors.As(err, &got) || *got != want {
			t.Errorf("%q: %+v", in, err)
		}
	}
}

// TestAnnounceReplyRoundTrip checks that an encoded reply is canonical, and that
// parsing it gives its content.
func TestAnnounceReplyRoundTrip(t *testing.T) {
	peers := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::1]:65535")}
	want := &tracker.AnnounceResponse{
		Interval: time.Minute, MinInterval: 30 * time.Second, Complete: 1, Incomplete: 2, Downloaded: 3,
		Peers: peers, Warning: "careful", ExternalIP: netip.MustParseAddr("2001:db8::9"),
	}
	for _, notCompact := range []bool{false, true} {
		b := wire.AppendAnnounceReply(nil, &wire.AnnounceReply{
			Interval: 60, MinInterval: 30, Complete: 1, Incomplete: 2, Downloaded: 3, Warning: "careful", NotCompact: notCompact,
			Peers4: spate.AppendCompact(nil, peers[0]), Peers6: spate.AppendCompact(nil, peers[1]), ExternalIP: want.ExternalIP,
		})
		canonical(t, b)
		got, err := wire.ParseAnnounceAnswer(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q\ngot  %+v, %v\nwant %+v", b, got, err, want)
		}
	}
}

func TestFailureRoundTrip(t *testing.T) {
	for _, r := range []wire.FailureReply{
		{Reason: "no"}, {Reason: "", Interval: 60, MinInterval: 30, RetryIn: 5}, {Reason: "x", Never: true, RetryIn: 1},
	} {
		b := wire.AppendFailure(nil, &r)
		canonical(t, b)
		var got *tracker.FailureError
		_, err := wire.ParseAnnounceAnswer(b)
		if !errors.As(err, &got) || got.Reason != r.Reason || got.Never != r.Never || got.Interval != time.Duration(r.Interval)*time.Second {
			t.Errorf("%+v: %+v", r, err)
		}
		if _, err := wire.ParseScrapeAnswer(b); !errors.As(err, &got) {
			t.Errorf("scrape: %v", err)
		}
	}
}

func TestScrapeRoundTrip(t *testing.T) {
	b := wire.AppendScrapeStart(nil)
	b = wire.AppendScrapeEntry(b, spate.InfoHash{1}, 1, 2, 3)
	b = wire.AppendScrapeEntry(b, spate.InfoHash{2}, 4, 5, 6)
	b = wire.AppendScrapeEnd(b, 60)
	canonical(t, b)
	got, err := wire.ParseScrapeAnswer(b)
	want := []tracker.ScrapeEntry{{InfoHash: spate.InfoHash{1}, Complete: 1, Downloaded: 2, Incomplete: 3}, {InfoHash: spate.InfoHash{2}, Complete: 4, Downloaded: 5, Incomplete: 6}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	for _, in := range []string{"de", "d5:filesi1ee"} {
		if _, err := wire.ParseScrapeAnswer([]byte(in)); !errors.Is(err, wire.ErrNotAnswer) {
			t.Errorf("%s: %v", in, err)
		}
	}
	if got, err := wire.ParseScrapeAnswer([]byte("d5:filesd3:abcde20:aaaaaaaaaaaaaaaaaaaai1eee")); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
}

// canonical checks that b is canonical bencoding.
func canonical(t *testing.T, b []byte) {
	t.Helper()
	d := bencode.NewDecoder(b, bencode.Options{Canonical: true})
	d.Skip()
	if err := d.Finish(); err != nil {
		t.Errorf("%q: %v", b, err)
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte("d8:completei1e8:intervali60e5:peers6:\x01\x02\x03\x04\x01\x026:peers618:aaaaaaaaaaaaaaaaaae"))
	f.Add([]byte("d5:peersld2:ip7:1.2.3.44:porti258eeee"))
	f.Add([]byte("d14:failure reason2:no8:retry in5:nevere"))
	f.Add([]byte("d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1eeee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		r, err := wire.ParseAnnounceAnswer(b)
		if (r == nil) == (err == nil) {
			t.Fatal(r, err)
		}
		if r != nil && (r.Interval <= 0 || r.MinInterval < 0 || r.MinInterval > 24*time.Hour || r.Complete < -1 || len(r.Peers) > len(b)) {
			t.Fatalf("%+v", r)
		}
		if e, err := wire.ParseScrapeAnswer(b); err == nil && len(e) > len(b) {
			t.Fatal(len(e))
		}
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
	})
}

// TestPeersOfDictionaries checks which values of "ip" and "port" in a list of dictionaries are
// addresses, DNS names, or neither.
func TestPeersOfDictionaries(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, c := range []struct {
		ip         string
		port       int
		addr, name string
	}{
		{"1.2.3.4", 1, "1.2.3.4:1", ""},
		{"1.2.3.4", 65535, "1.2.3.4:65535", ""},
		{"1.2.3.4", 0, "", ""},
		{"1.2.3.4", -1, "", ""},
		{"1.2.3.4", 65536, "", ""},
		{"::ffff:1.2.3.4", 1, "1.2.3.4:1", ""},
		{"2001:db8::1", 1, "[2001:db8::1]:1", ""},
		{"fe80::1%eth0", 1, "[fe80::1]:1", ""}, // the tracker cannot know the zone
		{"2001:db8::1%eth0", 1, "[2001:db8::1]:1", ""},
		{"peer.example", 6881, "", "peer.example:6881"},
		{"PEER.Example", 6881, "", "peer.example:6881"},
		{"peer.example.", 6881, "", "peer.example.:6881"},
		{"peer.example", 0, "", ""},
		{"peer.example", 65536, "", ""},
		{"localhost", 1, "", "localhost:1"},
		{"my_nas-2", 1, "", "my_nas-2:1"},
		{"xn--bcher-kva.example", 1, "", "xn--bcher-kva.example:1"},
		{"3com.a1", 1, "", "3com.a1:1"},
		{label + ".example", 1, "", label + ".example:1"},
		{label + "a.example", 1, "", ""},
		{strings.Repeat(label+".", 3) + label[:61], 1, "", strings.Repeat(label+".", 3) + label[:61] + ":1"},
		{strings.Repeat(label+".", 3) + label[:62], 1, "", ""},
		{"", 1, "", ""}, {".", 1, "", ""}, {"a..b", 1, "", ""}, {".a", 1, "", ""}, {"-a", 1, "", ""}, {"a-", 1, "", ""},
		{"1.2.3", 1, "", ""}, {"12345", 1, "", ""}, {"1.2.3.4.5", 1, "", ""}, {"0x7f.1", 1, "", ""}, {"0x7f000001", 1, "", ""},
		{"a b", 1, "", ""}, {"a/b", 1, "", ""}, {"a:b", 1, "", ""}, {"a@b", 1, "", ""}, {"a\x00b", 1, "", ""}, {"b\u00fccher.example", 1, "", ""},
		{"[::1]", 1, "", ""}, {"fe80::1%", 1, "", ""}, {"host:1", 1, "", ""},
	} {
		in := fmt.Sprintf("d5:peersld2:ip%d:%s4:porti%deeee", len(c.ip), c.ip, c.port)
		r, err := wire.ParseAnnounceAnswer([]byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		addr := ""
		if len(r.Peers) > 0 {
			addr = r.Peers[0].String()
		}
		if addr != c.addr || strings.Join(r.PeerNames, " ") != c.name || len(r.Peers) > 1 {
			t.Errorf("%q, port %d: address %q and name %q, want %q and %q", c.ip, c.port, addr, r.PeerNames, c.addr, c.name)
		}
	}
	var many strings.Builder
	for i := range 100 {
		name := fmt.Sprintf("h%02d", i/2) // each name twice
		fmt.Fprintf(&many, "d2:ip%d:%s4:porti1ee", len(name), name)
	}
	r, err := wire.ParseAnnounceAnswer([]byte("d5:peersl" + many.String() + "ee"))
	if err != nil || len(r.PeerNames) != tracker.MaxPeerNames || r.PeerNames[1] != "h01:1" {
		t.Errorf("of 50 names: %v, %v", r, err)
	}
}
