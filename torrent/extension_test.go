package torrent

import (
	"bytes"
	"net/netip"
	"testing"

	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// awaitExtHandshake returns the next extension handshake (BEP 10) of the session.
func (p *scriptedPeer) awaitExtHandshake() peerwire.ExtHandshake {
	p.t.Helper()
	h, err := peerwire.ParseExtHandshake(p.await(peerwire.Extended).Payload)
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

// privateTorrent returns the same torrent with the private flag (BEP 27).
func privateTorrent(t testing.TB, mi *metainfo.MetaInfo) *metainfo.MetaInfo {
	t.Helper()
	b := mi.InfoBytes
	p, err := metainfo.FromInfo(append(bytes.Clone(b[:len(b)-1]), "7:privatei1ee"...))
	if err != nil || !p.Info.Private {
		t.Fatal(err)
	}
	return p
}

// TestPrivateTorrentUsesNoPEX checks that a private torrent offers no PEX, sends no
// metadata to peers and accepts no addresses from peers (BEP 27).
func TestPrivateTorrentUsesNoPEX(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	mi = privateTorrent(t, mi)
	s := testSession(t, Options{})
	tor, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	if err != nil {
		t.Fatal(err)
	}
	f := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	if h := f.awaitExtHandshake(); h.PEX != 0 || h.Metadata != 0 || h.MetadataSize != 0 {
		t.Errorf("a private torrent offers PEX or metadata: %+v", h)
	}
	b := peerwire.AppendSimple(nil, peerwire.HaveNone)
	b = peerwire.AppendExtHandshake(b, &peerwire.ExtHandshake{Metadata: 5, PEX: 6})
	b = peerwire.AppendPEX(b, extPEX, &peerwire.PEXMessage{
		Added: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("10.9.8.7:9")}, Flags: make([]peerwire.PEXFlags, 2),
	})
	b = peerwire.AppendMetadata(b, extMetadata, &peerwire.MetadataMessage{Type: peerwire.MetadataRequest})
	f.send(b)
	m := f.await(peerwire.Extended)
	mm, err := peerwire.ParseMetadata(m.Payload)
	if err != nil || m.Index != 5 || mm.Type != peerwire.MetadataReject {
		t.Errorf("the answer to a metadata request is %+v (%v), want a reject", mm, err)
	}
	if n := tor.Stats().Known; n != 0 {
		t.Errorf("%d addresses were accepted from a peer", n)
	}
}

// TestDontHave checks that a seed that sends lt_donthave counts as a leecher, and
// that its piece is not requested (BEP 54).
func TestDontHave(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4*16<<10, 16<<10)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
	f := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	if h := f.awaitExtHandshake(); h.DontHave == 0 || h.Reqq == 0 || h.Client == "" || h.YourIP != loopback {
		t.Errorf("the extension handshake lacks lt_donthave, reqq, v or yourip: %+v", h)
	}
	b := peerwire.AppendSimple(nil, peerwire.HaveAll)
	b = peerwire.AppendDontHave(b, extDontHave, 2)
	f.send(peerwire.AppendSimple(b, peerwire.Unchoke))
	for range 3 {
		m := f.await(peerwire.Request)
		if m.Index == 2 {
			t.Error("piece 2 was requested although the peer no longer has it")
		}
		b := peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length)
		f.send(append(b, data[int(m.Index)*16<<10:][:m.Length]...))
	}
	until(t, "three of four pieces are verified", func() bool { return tor.Stats().PiecesHave == 3 })
	if st := tor.Stats(); st.Seeds != 0 {
		t.Errorf("%d peers count as seeds, want 0", st.Seeds)
	}
	f.send(peerwire.AppendDontHave(nil, extDontHave, 4))
	f.dropped()
}

// TestAllowedFastAndSuggest checks that allowed fast pieces are requested from a
// peer that chokes us, that a rejected piece is not requested again and again, and
// that a suggested piece is requested first (BEP 6).
func TestAllowedFastAndSuggest(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 8*32<<10, 32<<10)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
	f := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	b := peerwire.AppendSimple(nil, peerwire.HaveAll)
	b = peerwire.AppendIndexed(b, peerwire.AllowedFast, 6)
	b = peerwire.AppendIndexed(b, peerwire.AllowedFast, 3)
	f.send(b)
	got := map[uint32]int{}
	for len(got) < 2 || got[3] < 2 {
		m := f.await(peerwire.Request)
		got[m.Index]++
		if m.Index == 6 {
			f.send(peerwire.AppendBlock(nil, peerwire.Reject, m.Index, m.Begin, m.Length))
			continue
		}
		b := peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length)
		f.send(append(b, data[int(m.Index)*32<<10+int(m.Begin):][:m.Length]...))
	}
	if got[6] > 2 || len(got) != 2 {
		t.Errorf("requests by piece: %v, want pieces 3 and 6 only, and at most two requests of the rejected piece 6", got)
	}
	until(t, "piece 3 is verified", func() bool { return tor.Stats().PiecesHave == 1 })
	f.send(peerwire.AppendIndexed(nil, peerwire.Suggest, 5))
	f.send(peerwire.AppendSimple(nil, peerwire.Unchoke))
	if m := f.await(peerwire.Request); m.Index != 5 {
		t.Errorf("piece %d was requested first, but the peer suggested piece 5", m.Index)
	}
}

// TestUnrequestedBlocksAreDropped checks that blocks from a peer that they were not
// requested from are dropped, so that bad ones spoil no piece.
func TestUnrequestedBlocksAreDropped(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4*32<<10, 32<<10)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
	honest := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	honest.send(peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveAll), peerwire.Unchoke))
	var requests []peerwire.Message
	for len(requests) < 4 {
		requests = append(requests, honest.await(peerwire.Request))
	}
	badPeer := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	b := peerwire.AppendSimple(nil, peerwire.HaveAll)
	for _, m := range requests {
		b = append(peerwire.AppendPieceHeader(b, m.Index, m.Begin, m.Length), make([]byte, m.Length)...)
	}
	badPeer.send(b)
	until(t, "the bad blocks count as wasted", func() bool { return tor.Stats().Wasted == 4*16<<10 })
	for answered := 0; tor.Stats().State != StateSeeding; answered++ {
		var m peerwire.Message
		if answered < len(requests) {
			m = requests[answered]
		} else if m = honest.await(peerwire.Request); m.Length == 0 {
			return
		}
		b := peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length)
		honest.send(append(b, data[int(m.Index)*32<<10+int(m.Begin):][:m.Length]...))
		if answered == 7 {
			until(t, "the download is complete", func() bool { return tor.Stats().State == StateSeeding })
		}
	}
	if st := tor.Stats(); st.Wasted != 4*16<<10 || len(tor.Banned()) != 0 {
		t.Errorf("wasted %d bytes and banned %v, want the four bad blocks and no peer", st.Wasted, tor.Banned())
	}
}
