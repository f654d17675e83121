package wire_test

import (
	"net/netip"
	"strings"
	"testing"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

const (
	hashQuery = "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A"
	idQuery   = "&peer_id=-TR2940-k8hj0wgej6ch"
	base      = hashQuery + idQuery + "&port=51413"
)

var wantHash = spate.InfoHash{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x12, 0x34, 0x56, 0x78, 0x9a}

// TestParseAnnounceQuery parses queries as real clients send them.
func TestParseAnnounceQuery(t *testing.T) {
	plain := tracker.AnnounceRequest{
		InfoHash: wantHash, PeerID: spate.PeerID([]byte("-TR2940-k8hj0wgej6ch")), Port: 51413,
		Left: tracker.Unknown, NumWant: tracker.DefaultNumWant,
	}
	with := func(f func(r *tracker.AnnounceRequest)) tracker.AnnounceRequest {
		r := plain
		f(&r)
		return r
	}
	cases := map[string]tracker.AnnounceRequest{
		base: plain,
		base + "&uploaded=1&downloaded=2&left=3&numwant=80&key=7D9B5D63&compact=1&supportcrypto=1&event=started": with(func(r *tracker.AnnounceRequest) {
			r.Uploaded, r.Downloaded, r.Left, r.NumWant, r.Key, r.Event = 1, 2, 3, 80, 0x7d9b5d63, tracker.EventStarted
		}),
		base + "&left=0&event=paused&no_peer_id=1&compact=0": with(func(r *tracker.AnnounceRequest) {
			r.Left, r.Event, r.NoPeerID, r.NotCompact = 0, tracker.EventPaused, true, true
		}),
		base + "&ranges=0&left=0&ranges=1":                   with(func(r *tracker.AnnounceRequest) { r.Left, r.Ranges = 0, true }),
		base + "&left=18446744073709551615":                  with(func(r *tracker.AnnounceRequest) { r.Left = 1<<63 - 1 }),
		base + "&left=-1&numwant=-1&uploaded=-5":             plain,
		base + "&event=&ip=&ip=nonsense&key=":                plain,
		base + "&event=empty&ip=tracker.example.org":         plain,
		base + "&ip=%3A%3Affff%3A192.0.2.5":                  with(func(r *tracker.AnnounceRequest) { r.IP = netip.MustParseAddr("192.0.2.5") }),
		base + "&ip=2001:db8::5":                             with(func(r *tracker.AnnounceRequest) { r.IP = netip.MustParseAddr("2001:db8::5") }),
		base + "&trackerid=a%20b&event=completed":            with(func(r *tracker.AnnounceRequest) { r.TrackerID, r.Event = "a b", tracker.EventCompleted }),
		"&&=&x&" + base + "&y=%":                             plain,
		base + "&numwant=99999999999999999999&event=stopped": with(func(r *tracker.AnnounceRequest) { r.NumWant, r.Event = 1<<31-1, tracker.EventStopped }),
		"info_hash=" + strings.Repeat("+", 20) + "&peer_id=" + strings.Repeat("%2B", 20) + "&port=1": {
			InfoHash: spate.InfoHash([]byte(strings.Repeat(" ", 20))), PeerID: spate.PeerID([]byte(strings.Repeat("+", 20))), Port: 1,
			Left: tracker.Unknown, NumWant: tracker.DefaultNumWant,
		},
	}
	for q, want := range cases {
		got := tracker.AnnounceRequest{TrackerID: "left over", Uploaded: 99}
		if err := wire.ParseAnnounceQuery([]byte(q), &got); err != nil || got != want {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", q, got, err, want)
		}
	}
}

func TestParseAnnounceQueryErrors(t *testing.T) {
	cases := map[string]wire.QueryError{
		"":                                              wire.ErrNoInfoHash,
		"info_hash":                                     wire.ErrInfoHash,
		"info_hash=short" + idQuery:                     wire.ErrInfoHash,
		"info_hash=%1" + idQuery:                        wire.ErrEscape,
		"info_hash=%" + idQuery:                         wire.ErrEscape,
		"info_hash=%xx" + idQuery:                       wire.ErrEscape,
		hashQuery + "a" + idQuery:                       wire.ErrInfoHash,
		hashQuery + strings.Repeat("a", 99):             wire.ErrInfoHash,
		base + "&" + hashQuery:                          wire.ErrManyHashes,
		hashQuery + "&port=1":                           wire.ErrNoPeerID,
		hashQuery + "&peer_id=x&port=1":                 wire.ErrPeerID,
		hashQuery + idQuery:                             wire.ErrPort,
		hashQuery + idQuery + "&port=0":                 wire.ErrPort,
		base + "&port=65536":                            wire.ErrPort,
		base + "&port=-1":                               wire.ErrPort,
		base + "&port=+1":                               wire.ErrPort,
		base + "&left=x":                                wire.ErrNumber,
		base + "&left=":                                 wire.ErrNumber,
		base + "&left=-":                                wire.ErrNumber,
		base + "&uploaded=1e9":                          wire.ErrNumber,
		base + "&numwant=0x10":                          wire.ErrNumber,
		base + "&downloaded=" + strings.Repeat("1", 21): wire.ErrNumber,
		base + "&event=exploded":                        wire.ErrEvent,
		base + strings.Repeat("&x=y", wire.MaxQuery):    wire.ErrQueryTooLarge,
	}
	for q, want := range cases {
		var req tracker.AnnounceRequest
		if err := wire.ParseAnnounceQuery([]byte(q), &req); err != want {
			t.Errorf("%.100s: %v, want %v", q, err, want)
		}
	}
}

func TestParseScrapeQuery(t *testing.T) {
	got, err := wire.ParseScrapeQuery(nil, []byte(hashQuery+"&x=y&"+hashQuery), 2)
	if err != nil || len(got) != 2 || got[1] != wantHash {
		t.Errorf("%v %v", got, err)
	}
	if _, err := wire.ParseScrapeQuery(nil, []byte(hashQuery+"&"+hashQuery), 1); err != wire.ErrManyHashes {
		t.Error(err)
	}
	if _, err := wire.ParseScrapeQuery(nil, []byte("info_hash=a"), 1); err != wire.ErrInfoHash {
		t.Error(err)
	}
	if got, err := wire.ParseScrapeQuery(nil, nil, 1); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
}

func TestQueryValue(t *testing.T) {
	q := []byte("a=1&token=x%20y&b&token=z&long=0123456789&bad=%")
	for key, want := range map[string]string{"a": "1", "token": "x y", "b": ""} {
		if v, ok := wire.QueryValue(q, key, 9); !ok || string(v) != want {
			t.Errorf("%s: %q %v", key, v, ok)
		}
	}
	for _, key := range []string{"none", "long", "bad"} {
		if v, ok := wire.QueryValue(q, key, 9); ok {
			t.Errorf("%s: %q", key, v)
		}
	}
}

// TestParseDoesNotAllocate checks the functions that the server calls for each
// announce.
func TestParseDoesNotAllocate(t *testing.T) {
	q := []byte(base + "&uploaded=1&downloaded=2&left=3&numwant=80&key=7D9B5D63&compact=1&event=started")
	p := wire.AppendUDPAnnounce(nil, 1, 2, &tracker.AnnounceRequest{Port: 1}, "/announce?x")
	buf := make([]byte, 0, 2048)
	var req tracker.AnnounceRequest
	n := testing.AllocsPerRun(100, func() {
		if err := wire.ParseAnnounceQuery(q, &req); err != nil {
			t.Fatal(err)
		}
		options, err := wire.ParseUDPAnnounce(p, &req)
		if err != nil {
			t.Fatal(err)
		}
		buf, _ = wire.AppendURLData(buf[:0], options)
		buf = wire.AppendAnnounceReply(buf[:0], &wire.AnnounceReply{Interval: 1, Peers4: p[:6], Peers6: p[:18], ExternalIP: netip.IPv6Loopback()})
		buf = wire.AppendUDPAnnounceReply(buf[:0], 1, 2, 3, 4)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseAnnounceQuery(f *testing.F) {
	f.Add(base)
	f.Add(base + "&uploaded=1&downloaded=2&left=3&numwant=80&key=7D9B5D63&compact=0&event=started&ip=::1&trackerid=a&no_peer_id=1")
	f.Add("info_hash=%1&peer_id=%")
	f.Fuzz(func(t *testing.T, q string) {
		var req, again tracker.AnnounceRequest
		if err := wire.ParseAnnounceQuery([]byte(q), &req); err != nil {
			return
		}
		if req.Left < tracker.Unknown || req.NumWant < -1 || req.Uploaded < 0 || req.Downloaded < 0 || req.Port == 0 || !req.Event.Valid() {
			t.Fatalf("%+v is out of bounds", req)
		}
		q2 := wire.AppendAnnounceQuery(nil, &req)
		if req.Left == tracker.Unknown {
			req.Left = 1<<63 - 1
		}
		if err := wire.ParseAnnounceQuery(q2, &again); err != nil || again != req {
			t.Fatalf("%q\n%+v\n%q\n%+v %v", q, req, q2, again, err)
		}
	})
}

func FuzzParseScrapeQuery(f *testing.F) {
	f.Add(hashQuery + "&" + hashQuery)
	f.Fuzz(func(t *testing.T, q string) {
		hashes, err := wire.ParseScrapeQuery(nil, []byte(q), 5)
		if len(hashes) > 5 {
			t.Fatal(len(hashes))
		}
		if err == nil && len(hashes) > 0 {
			again, err := wire.ParseScrapeQuery(nil, wire.AppendScrapeQuery(nil, hashes), 5)
			if err != nil || len(again) != len(hashes) {
				t.Fatal(again, err)
			}
		}
		wire.QueryValue([]byte(q), "token", 32)
	})
}
