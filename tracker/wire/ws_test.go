package wire

import (
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"spate"
	"spate/tracker"
)

// everyByte returns 20 bytes from first on.
func everyByte(first int) (b [20]byte) {
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

// latinJSON returns the JSON of the string that JavaScript makes of bytes with fromCharCode.
func latinJSON(b [20]byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	j, _ := json.Marshal(string(r))
	return string(j)
}

func TestWSRequestOfWebTorrentIsParsed(t *testing.T) {
	t.Parallel()
	for first := 0; first < 256; first += 16 {
		hash, peer, offer := everyByte(first), everyByte(first+60), everyByte(first+120)
		in := `{"numwant":1,"uploaded":0,"downloaded":12,"left":null,"event":"started","action":"announce","info_hash":` + latinJSON(hash) +
			`,"peer_id":` + latinJSON(peer) + `,"offers":[{"offer":{"type":"offer","sdp":"v=0\r\no=- 4 2 IN\t\u0041\/\r\n"},"offer_id":` + latinJSON(offer) + `}],"other":{"a":[1,-2.5e3,true,false,null,"x"]}}`
		var r WSRequest
		if err := ParseWSRequest([]byte(in), &r); err != nil {
			t.Fatalf("first byte %d: %v\n%s", first, err, in)
		}
		want := WSRequest{
			InfoHash: hash, PeerID: peer, Downloaded: 12, Left: tracker.Unknown, Event: tracker.EventStarted, NumWant: 1,
			Offers: []WSOffer{{ID: offer, SDP: "v=0\r\no=- 4 2 IN\tA/\r\n"}},
		}
		if !reflect.DeepEqual(r, want) {
			t.Fatalf("first byte %d: got %+v, want %+v", first, r, want)
		}
	}
}

func TestWSRequestsSurviveAppendAndParse(t *testing.T) {
	t.Parallel()
	for _, want := range []WSRequest{
		{InfoHash: everyByte(0), PeerID: everyByte(250), Uploaded: 1, Downloaded: 2, Left: 3, Event: tracker.EventCompleted, NumWant: 0, Twice: true, Ranges: true, TrackerID: "\x7f\u2028x"},
		{InfoHash: everyByte(1), PeerID: everyByte(2), Left: tracker.Unknown, NumWant: tracker.DefaultNumWant, Offers: []WSOffer{{SDP: "a\"\\"}, {ID: everyByte(9), SDP: "ü€𝄞"}}},
		{InfoHash: everyByte(1), PeerID: everyByte(2), Left: tracker.Unknown, NumWant: tracker.DefaultNumWant, Answer: "v=0\r\n", AnswerTo: everyByte(3), ToPeer: everyByte(4)},
		{Action: WSScrape, InfoHash: everyByte(1), Left: tracker.Unknown, NumWant: tracker.DefaultNumWant, Hashes: []spate.InfoHash{everyByte(1)}},
		{Action: WSScrape, InfoHash: everyByte(1), Left: tracker.Unknown, NumWant: tracker.DefaultNumWant, Hashes: []spate.InfoHash{everyByte(1), everyByte(128)}},
		{Action: WSScrape, Left: tracker.Unknown, NumWant: tracker.DefaultNumWant},
	} {
		b := AppendWSRequest(nil, &want)
		if !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
		var got WSRequest
		if err := ParseWSRequest(b, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v\n%s", got, err, want, b)
		}
	}
}

func TestWSRepliesSurviveAppendAndParse(t *testing.T) {
	t.Parallel()
	const none = tracker.Unknown
	for _, want := range []WSReply{
		{InfoHash: everyByte(0), Interval: 120, MinInterval: 60, Complete: 0, Incomplete: 2, Downloaded: 3, Takers: 1, Warning: "careful", TrackerID: "id"},
		{InfoHash: everyByte(0), Interval: 120, Complete: none, Incomplete: 2, Downloaded: none, Takers: none},
		{InfoHash: everyByte(0), Interval: 120, Complete: 1, Incomplete: 2, Downloaded: 3, Takers: 0, Ranges: []netip.AddrPort{
			netip.MustParseAddrPort("192.0.2.1:6881"), netip.MustParseAddrPort("[2001:db8::1]:1")}},
		{InfoHash: everyByte(0), Failure: "no", RetryIn: 5, Complete: none, Incomplete: none, Downloaded: none, Takers: none},
		{Failure: "no", Never: true, Complete: none, Incomplete: none, Downloaded: none, Takers: none},
		{InfoHash: everyByte(0), Offer: "v=0\n", OfferID: everyByte(7), PeerID: everyByte(200), Complete: none, Incomplete: none, Downloaded: none, Takers: none},
		{InfoHash: everyByte(0), Answer: "v=0\n", OfferID: everyByte(7), PeerID: everyByte(200), Complete: none, Incomplete: none, Downloaded: none, Takers: none},
		{Action: WSScrape, Complete: none, Incomplete: none, Downloaded: none, Takers: none, Entries: []tracker.ScrapeEntry{
			{InfoHash: everyByte(180), Complete: 1, Incomplete: 2, Downloaded: 3}, {Complete: none, Incomplete: none, Downloaded: none}}},
		{Action: WSScrape, Complete: none, Incomplete: none, Downloaded: none, Takers: none},
	} {
		b := AppendWSReply(nil, &want)
		if !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
		var got WSReply
		if err := ParseWSReply(b, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v\n%s", got, err, want, b)
		}
	}
}

// TestWSDescriptionsDoNotGrow checks that the longest description, whatever it contains, is handed on
// in a message that clients read.
func TestWSDescriptionsDoNotGrow(t *testing.T) {
	t.Parallel()
	id := latinJSON(everyByte(1))
	for c := range rune(0x80) {
		text, _ := json.Marshal(strings.Repeat(string(c), MaxWSSDP))
		in := `{"action":"announce","info_hash":` + id + `,"peer_id":` + id + `,"offers":[{"offer":{"type":"offer","sdp":` + string(text) + `},"offer_id":` + id + `}]}`
		var r WSRequest
		if ParseWSRequest([]byte(in), &r) != nil {
			continue
		}
		reply := WSReply{InfoHash: r.InfoHash, PeerID: r.PeerID, Offer: r.Offers[0].SDP, OfferID: r.Offers[0].ID}
		if n := len(AppendWSReply(nil, &reply)); n > MaxWSMessage {
			t.Errorf("a description of %q becomes a message of %d bytes", c, n)
		}
	}
	var r WSRequest
	in := `{"action":"announce","info_hash":` + id + `,"peer_id":` + id + `,"offers":[{"offer":{"type":"offer","sdp":"\u007f"},"offer_id":` + id + `}]}`
	if err := ParseWSRequest([]byte(in), &r); err != ErrWSOffer {
		t.Errorf("a description with a control character: %v", err)
	}
}

func TestBadWSRequestsAreRefused(t *testing.T) {
	t.Parallel()
	id := latinJSON(everyByte(1))
	announce := func(more string) string {
		return `{"action":"announce","info_hash":` + id + `,"peer_id":` + id + more + `}`
	}
	offer := `{"offer":{"type":"offer","sdp":"v"},"offer_id":` + id + `}`
	for _, test := range []struct {
		in   string
		want error
	}{
		{``, ErrWSSyntax},
		{`null`, ErrWSAction},
		{`[]`, ErrWSSyntax},
		{announce(``) + `x`, ErrWSSyntax},
		{announce(``)[:40], ErrWSSyntax},
		{announce(`,`), ErrWSSyntax},
		{announce(`,"x":01`), ErrWSSyntax},
		{announce(`,"x":tru`), ErrWSSyntax},
		{announce(`,"twice":1`), ErrWSSyntax},
		{announce(`,"x":1.2.3`), ErrWSSyntax},
		{announce(`,"x":"` + "\n" + `"`), ErrWSSyntax},
		{announce(`,"x":"` + "\xff" + `"`), ErrWSSyntax},
		{announce(`,"x":"\u12"`), ErrWSSyntax},
		{announce(`,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000)), ErrWSSyntax},
		{`{"action":"connect"}`, ErrWSAction},
		{`{"action":"announce","peer_id":` + id + `}`, ErrNoInfoHash},
		{`{"action":"announce","info_hash":` + id + `}`, ErrNoPeerID},
		{`{"action":"announce","info_hash":[` + id + `],"peer_id":` + id + `}`, ErrManyHashes},
		{announce(`,"info_hash":"short"`), ErrInfoHash},
		{announce(`,"info_hash":"aaaaaaaaaaaaaaaaaaa\u0100"`), ErrInfoHash},
		{announce(`,"peer_id":"aaaaaaaaaaaaaaaaaaaaa"`), ErrPeerID},
		{announce(`,"peer_id":7`), ErrPeerID},
		{announce(`,"event":"gone"`), ErrEvent},
		{announce(`,"offers":[` + strings.Repeat(offer+",", MaxWSOffers) + offer + `]`), ErrWSOffers},
		{announce(`,"offers":[null]`), ErrWSOffer},
		{announce(`,"offers":[{"offer":{"type":"answer","sdp":"v"},"offer_id":` + id + `}]`), ErrWSOffer},
		{announce(`,"offers":[{"offer":{"type":"offer","sdp":""},"offer_id":` + id + `}]`), ErrWSOffer},
		{announce(`,"offers":[{"offer":{"type":"offer","sdp":"v"},"offer_id":"x"}]`), ErrWSOffer},
		{announce(`,"offers":[{"offer":{"type":"offer","sdp":"` + strings.Repeat("v", MaxWSSDP+1) + `"},"offer_id":` + id + `}]`), ErrWSTooLarge},
		{announce(`,"answer":{"type":"answer","sdp":"v"},"offer_id":` + id), ErrWSToPeer},
		{announce(`,"answer":{"type":"answer","sdp":"v"},"to_peer_id":` + id), ErrWSOffer},
		{announce(strings.Repeat(" ", MaxWSMessage)), ErrWSTooLarge},
		{`{"action":"scrape","info_hash":[` + strings.Repeat(id+",", tracker.MaxScrapeUDP) + id + `]}`, ErrManyHashes},
	} {
		var r WSRequest
		if err := ParseWSRequest([]byte(test.in), &r); !errors.Is(err, test.want) {
			t.Errorf("%.200q: got %v, want %v", test.in, err, test.want)
		}
	}
}

func TestWSNumbersOfJavaScriptAreParsed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"0": 0, "7": 7, "-1": tracker.Unknown, "-9e99": tracker.Unknown, "null": tracker.Unknown, "9007199254740993": 9007199254740993,
		"1e21": math.MaxInt64, "12.75": 12, "2.5e3": 2500, "9223372036854775807": math.MaxInt64,
	} {
		var r WSRequest
		id := latinJSON(everyByte(1))
		if err := ParseWSRequest([]byte(`{"action":"announce","info_hash":`+id+`,"peer_id":`+id+`,"left":`+in+`}`), &r); err != nil || r.Left != want {
			t.Errorf("%s: got %d, %v; want %d", in, r.Left, err, want)
		}
	}
}

// FuzzWS checks that encoding/json accepts each message that the parsers accept, and that
// messages survive being written and read.
func FuzzWS(f *testing.F) {
	id := latinJSON(everyByte(240))
	f.Add([]byte(`{"action":"announce","info_hash":` + id + `,"peer_id":` + id + `,"left":1e3,"offers":[{"offer":{"type":"offer","sdp":"\ud834\udd1e\ud800x"},"offer_id":` + id + `}]}`))
	f.Add([]byte(`{"action":"announce","info_hash":` + id + `,"peer_id":` + id + `,"answer":{"type":"answer","sdp":"v"},"offer_id":` + id + `,"to_peer_id":` + id + `}`))
	f.Add([]byte(`{"action":"scrape","files":{` + id + `:{"complete":1}},"flags":{"min_request_interval":3}}`))
	f.Add([]byte(`{"action":"announce","failure reason":"x","retry in":"never"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var q, q2 WSRequest
		if ParseWSRequest(in, &q) == nil {
			if !json.Valid(in) {
				t.Fatalf("not JSON: %q", in)
			}
			if len(q.Offers) > MaxWSOffers || len(q.Hashes) > tracker.MaxScrapeUDP {
				t.Fatalf("too many: %+v", q)
			}
			if out := AppendWSRequest(nil, &q); len(out) <= MaxWSMessage {
				if err := ParseWSRequest(out, &q2); err != nil {
					t.Fatalf("%v: %q", err, out)
				}
				if q.Answer == "" && q.Action == WSAnnounce && !reflect.DeepEqual(q.Offers, q2.Offers) || q.Answer != q2.Answer {
					t.Fatalf("got %+v, want %+v", q2, q)
				}
			}
		}
		var r, r2 WSReply
		if ParseWSReply(in, &r) == nil {
			if !json.Valid(in) {
				t.Fatalf("not JSON: %q", in)
			}
			if out := AppendWSReply(nil, &r); len(out) <= MaxWSMessage {
				if err := ParseWSReply(out, &r2); err != nil {
					t.Fatalf("%v: %q", err, out)
				}
			}
		}
	})
}
