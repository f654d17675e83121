package torrent

import (
	"bytes"
	"net/netip"
	"testing"

	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// extOf returns the extension handshake that the other side sends.
func (p *scriptedPeer) extOf() peerwire.ExtHandshake {
	p.t.Helper()
	h, err := peerwire.ParseExtHandshake(p.await(peerwire.Extended).Payload)
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

// private returns the same torrent with the mark of BEP 27.
func private(t testing.TB, mi *metainfo.MetaInfo) *metainfo.MetaInfo {
	t.Helper()
	b := mi.InfoBytes
	p, err := metainfo.FromInfo(append(bytes.Clone(b[:len(b)-1]), "7:privatei1ee"...))
	if err != nil || !p.Info.Private {
		t.Fatal(err)
	}
	return p
}

// TestPrivate holds that a private torrent neither offers nor gives its metadata
// or its peers, and takes no peers from peers (BEP 27).
func TestPrivate(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100<<10, 16<<10)
	mi = private(t, mi)
	s := testSession(t, Options{})
	tor, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
	if err != nil {
		t.Fatal(err)
	}
	f := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	if h := f.extOf(); h.PEX != 0 || h.Metadata != 0 || h.MetadataSize != 0 {
		t.Errorf("a private torrent offers %+v", h)
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
		t.Errorf("metadata was answered by %+v, %v", mm, err)
	}
	if n := tor.Stats().Known; n != 0 {
		t.Errorf("%d candidates from a peer", n)
	}
}

// TestDontHave has a seed take a piece back: it is no seed any more, and is not
// asked for that piece (BEP 54).
func TestDontHave(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4*16<<10, 16<<10)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
	f := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	if h := f.extOf(); h.DontHave == 0 || h.Reqq == 0 || h.Client == "" || h.YourIP != loopback {
		t.Errorf("the handshake says %+v", h)
	}
	b := peerwire.AppendSimple(nil, peerwire.HaveAll)
	b = peerwire.AppendDontHave(b, extDontHave, 2)
	f.send(peerwire.AppendSimple(b, peerwire.Unchoke))
	for range 3 {
		m := f.await(peerwire.Request)
		if m.Index == 2 {
			t.Error("asked for the piece that was taken back")
		}
		b := peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length)
		f.send(append(b, data[int(m.Index)*16<<10:][:m.Length]...))
	}
	until(t, "three of four", func() bool { return tor.Stats().PiecesHave == 3 })
	if st := tor.Stats(); st.Seeds != 0 {
		t.Errorf("%d seeds", st.Seeds)
	}
	f.send(peerwire.AppendDontHave(nil, extDontHave, 4))
	f.dropped()
}

// TestAllowedFast has a peer that chokes for ever let us have two pieces all the
// same, refuse one of them, and suggest what to begin with (BEP 6).
func TestAllowedFast(t *testing.T) {
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
		t.Errorf("asked for %v, want 6 until refused, and 3", got)
	}
	until(t, "piece 3 is there", func() bool { return tor.Stats().PiecesHave == 1 })
	f.send(peerwire.AppendIndexed(nil, peerwire.Suggest, 5))
	f.send(peerwire.AppendSimple(nil, peerwire.Unchoke))
	if m := f.await(peerwire.Request); m.Index != 5 {
		t.Errorf("began with %d although 5 was suggested", m.Index)
	}
}

// TestUnaskedBlocks has a peer push wrong blocks of pieces that are asked of
// others: they are dropped, so they spoil nothing.
func TestUnaskedBlocks(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4*32<<10, 32<<10)
	s := testSession(t, Options{})
	tor := added(t, s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
	honest := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	honest.send(peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.HaveAll), peerwire.Unchoke))
	var asked []peerwire.Message
	for len(asked) < 4 {
		asked = append(asked, honest.await(peerwire.Request))
	}
	liar := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	b := peerwire.AppendSimple(nil, peerwire.HaveAll)
	for _, m := range asked {
		b = append(peerwire.AppendPieceHeader(b, m.Index, m.Begin, m.Length), make([]byte, m.Length)...)
	}
	liar.send(b)
	until(t, "they are wasted", func() bool { return tor.Stats().Wasted == 4*16<<10 })
	for answered := 0; tor.Stats().State != StateSeeding; answered++ {
		var m peerwire.Message
		if answered < len(asked) {
			m = asked[answered]
		} else if m = honest.await(peerwire.Request); m.Length == 0 {
			return
		}
		b := peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length)
		honest.send(append(b, data[int(m.Index)*32<<10+int(m.Begin):][:m.Length]...))
		if answered == 7 {
			until(t, "complete", func() bool { return tor.Stats().State == StateSeeding })
		}
	}
	if st := tor.Stats(); st.Wasted != 4*16<<10 || len(tor.Banned()) != 0 {
		t.Errorf("wasted %d, banned %v", st.Wasted, tor.Banned())
	}
}
