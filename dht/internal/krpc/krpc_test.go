package krpc

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func id(s string) ID { return ID([]byte(s)) }

// TestExamplesOfBEP5 parses the packets in BEP 5 and encodes them again.
func TestExamplesOfBEP5(t *testing.T) {
	t.Parallel()
	a, m, tid := id("abcdefghij0123456789"), id("mnopqrstuvwxyz123456"), []byte("aa")
	for packet, want := range map[string]Message{
		"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee":                                             {Kind: Error, TID: tid, Code: 201, Text: []byte("A Generic Error Ocurred")},
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe":                                        {Kind: Query, Method: Ping, TID: tid, ID: a},
		"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re":                                                 {Kind: Response, TID: tid, ID: m},
		"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe":    {Kind: Query, Method: FindNode, TID: tid, ID: a, Target: m, HasTarget: true},
		"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe": {Kind: Query, Method: GetPeers, TID: tid, ID: a, Target: m, HasTarget: true},
		"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re":      {Kind: Response, TID: tid, ID: a, Token: []byte("aoeusnth"), Values: []byte("6:axje.u6:idhtnm")},
		"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe": {
			Kind: Query, Method: AnnouncePeer, TID: tid, ID: a, Target: m, HasTarget: true, ImpliedPort: true, Port: 6881, Token: []byte("aoeusnth")},
	} {
		var got Message
		if err := NewParser().Parse(&got, []byte(packet)); err != nil {
			t.Errorf("%s: %v", packet, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nparsed  %+v\nwant    %+v", packet, got, want)
		}
		if again := got.Append(nil); string(again) != packet {
			t.Errorf("encoded %s\nwant    %s", again, packet)
		}
	}
}

// TestParseRejects checks the typed cause of packets that are not messages.
func TestParseRejects(t *testing.T) {
	t.Parallel()
	for packet, want := range map[string]struct {
		cause error
		tid   string
	}{
		"":     {ErrSyntax, ""},
		"i1e":  {ErrSyntax, ""},
		"d1:y": {ErrSyntax, ""},
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe ":                                                        {ErrSyntax, "aa"},
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:xe":                                                         {ErrValue, "aa"},
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe":                                                                {ErrMissing, ""},
		"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe":                                                          {ErrValue, ""},
		"d1:t2:aa1:ade1:q4:ping1:y1:qe":                                                                                    {ErrMissing, "aa"},
		"d1:q4:ping1:t2:aa1:y1:qe":                                                                                         {ErrMissing, "aa"},
		"d1:ad2:id20:abcdefghij01234567892:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe":                              {ErrDuplicate, ""},
		"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe":                                                    {ErrMissing, "aa"},
		"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234565:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe":   {ErrValue, "aa"},
		"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti1ee1:q13:announce_peer1:t2:aa1:y1:qe":    {ErrMissing, "aa"},
		"d1:rd2:id20:mnopqrstuvwxyz1234565:nodes3:abce1:t2:aa1:y1:re":                                                      {ErrValue, "aa"},
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:q1:rd2:id20:abcdefghij0123456789ee":                         {ErrDuplicate, "aa"},
		"d1:ad2:id20:abcdefghij01234567894:listl" + strings.Repeat("l", 40) + strings.Repeat("e", 40) + "ee1:t2:aa1:y1:qe": {ErrSyntax, ""},
		"d1:ad2:id20:abcdefghij01234567894:listl" + strings.Repeat("i1e", 400) + "i1eeee1:t2:aa1:y1:qe":                    {ErrSyntax, ""},
		"d1:ad2:id20:abcdefghij01234567891:xl" + strings.Repeat("0:", 620) + "ee1:q4:ping1:t2:aa1:y1:qe":                   {ErrSyntax, ""},
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t40:" + strings.Repeat("a", 40) + "1:y1:qe":                           {ErrValue, ""},
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:x" + "1450:" + strings.Repeat("x", 1450) + "1:y1:q1:z1:ze":     {ErrTooLarge, ""},
	} {
		var m Message
		err := NewParser().Parse(&m, []byte(packet))
		var typed *MessageError
		if !errors.As(err, &typed) || typed.Cause != want.cause || string(typed.TID) != want.tid {
			t.Errorf("%.90q: error %v (%+v), want %v with the transaction id %q", packet, err, typed, want.cause, want.tid)
		}
	}
}

// TestParseSkipsWrongTypes checks that an optional value of the wrong type counts as absent.
func TestParseSkipsWrongTypes(t *testing.T) {
	t.Parallel()
	packet := "d1:ad2:id20:abcdefghij01234567894:porti70000e4:seqi1ee4:seed1:x4:wantl2:n42:n62:n8i1eee1:q4:ping2:ip3:abc2:ro1:11:t2:aa1:vi1e1:y1:qe"
	packet = strings.Replace(packet, "4:seqi1ee", "3:seq1:x", 1)
	var m Message
	if err := NewParser().Parse(&m, []byte(packet)); err != nil {
		t.Fatal(err)
	}
	if m.Port != 0 || m.HasSeq || m.Seed || m.ReadOnly || m.Version != nil || m.External.IsValid() || m.Want != Want4|Want6 {
		t.Errorf("parsed %+v", m)
	}
}

// full returns messages that have all fields of their kind.
func full() []Message {
	i, tid, v := id("abcdefghij0123456789"), []byte("tid!"), []byte("SP01")
	return []Message{
		{Kind: Query, Method: Put, TID: tid, Version: v, ReadOnly: true, ID: i, Token: []byte("token"), Salt: []byte("salt"), CAS: -3, HasCAS: true,
			Value: []byte("d1:ali1ei2eee"), Key: bytes.Repeat([]byte("k"), 32), Sig: bytes.Repeat([]byte("s"), 64), Seq: 9, HasSeq: true},
		{Kind: Query, Method: GetPeers, TID: tid, Version: v, ID: i, Target: i, HasTarget: true, Want: Want4 | Want6, NoSeed: true, Scrape: true},
		{Kind: Query, Method: AnnouncePeer, TID: tid, ID: i, Target: i, HasTarget: true, Token: []byte{}, Port: 1, ImpliedPort: true, Seed: true},
		{Kind: Response, TID: tid, Version: v, ID: i, External: netip.MustParseAddrPort("[2001:db8::1]:6881"), Token: []byte("token"),
			Value: []byte("i1e"), Key: bytes.Repeat([]byte("k"), 32), Sig: bytes.Repeat([]byte("s"), 64), Seq: 1 << 62, HasSeq: true,
			Nodes: bytes.Repeat([]byte("4"), 2*NodeLen4), Nodes6: bytes.Repeat([]byte("6"), NodeLen6), Values: []byte("6:axje.u18:0123456789abcdef01"),
			Seeds: make([]byte, 256), Peers: make([]byte, 256), Sampled: true, Samples: []byte{}, Interval: 60, Num: 1},
		{Kind: Error, TID: tid, External: netip.MustParseAddrPort("203.0.113.1:1"), Code: 204, Text: []byte("x")},
	}
}

// TestRoundTrip checks that Parse reads every field that Append writes.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, m := range full() {
		var got Message
		if err := NewParser().Parse(&got, m.Append(nil)); err != nil {
			t.Errorf("%s: %v", m.Append(nil), err)
		} else if !reflect.DeepEqual(got, m) {
			t.Errorf("parsed %+v\nwant   %+v", got, m)
		}
	}
}

// TestPeersAndNodes checks the lists of addresses.
func TestPeersAndNodes(t *testing.T) {
	t.Parallel()
	p4, p6 := netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("[2001:db8::1]:443")
	m := Message{Values: append(AppendValue(AppendValue(nil, p4), p6), "3:abc6:axje.u"...)}
	got := m.AppendPeers(nil, 10)
	if want := []netip.AddrPort{p4, p6, netip.MustParseAddrPort("97.120.106.101:11893")}; !reflect.DeepEqual(got, want) {
		t.Errorf("AppendPeers returned %v, want %v", got, want)
	}
	if got := m.AppendPeers(nil, 1); len(got) != 1 {
		t.Errorf("AppendPeers returned %v, want one address", got)
	}
	for _, bad := range []string{"99999999999999999999999:", "6:abc", "le", "6", "-1:"} {
		m.Values = []byte(bad)
		if got := m.AppendPeers(nil, 10); len(got) != 0 {
			t.Errorf("AppendPeers of %q returned %v", bad, got)
		}
	}
	n4, n6 := Node{id("abcdefghij0123456789"), p4}, Node{id("abcdefghij0123456789"), p6}
	if got := AppendNodes4(nil, AppendNode(AppendNode(nil, n4), n4), 1); !reflect.DeepEqual(got, []Node{n4}) {
		t.Errorf("AppendNodes4 returned %v", got)
	}
	if got := AppendNodes6(nil, AppendNode(nil, n6), 8); !reflect.DeepEqual(got, []Node{n6}) {
		t.Errorf("AppendNodes6 returned %v", got)
	}
}

// TestNoAllocation checks that parsing and encoding allocate nothing.
func TestNoAllocation(t *testing.T) {
	p, m, buf := NewParser(), new(Message), make([]byte, 0, MaxPacket)
	for _, f := range full() {
		packet := f.Append(nil)
		if n := testing.AllocsPerRun(100, func() {
			if err := p.Parse(m, packet); err != nil {
				t.Fatal(err)
			}
			buf = m.Append(buf[:0])
		}); n != 0 {
			t.Errorf("%s: %v allocations", packet, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range full() {
		f.Add(m.Append(nil))
	}
	f.Add([]byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"))
	p := NewParser()
	f.Fuzz(func(t *testing.T, packet []byte) {
		var m, again Message
		if err := p.Parse(&m, packet); err != nil {
			var typed *MessageError
			if !errors.As(err, &typed) {
				t.Fatalf("error %v has no type", err)
			}
			return
		}
		if got := m.AppendPeers(nil, 100); len(got) > 100 {
			t.Fatalf("%d peers", len(got))
		}
		if m.Method == Unknown && m.Kind == Query {
			return // Append does not know the name of the method
		}
		if err := NewParser().Parse(&again, m.Append(nil)); err != nil {
			t.Fatalf("%q does not parse again: %v", packet, err)
		}
		again.Want, m.Want = 0, 0
		if string(again.Append(nil)) != string(m.Append(nil)) {
			t.Fatalf("%q changes when it is encoded again", packet)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	p, m := NewParser(), new(Message)
	packet := (&full()[1]).Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Parse(m, packet); err != nil {
			b.Fatal(err)
		}
	}
}
