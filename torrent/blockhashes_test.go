package torrent

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate/merkle"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// TestLeafHashes asks a seed for the hashes of the blocks of a piece: as spate
// does, up to the piece, and as libtorrent does, up to the root. Beyond the ration
// of a peer requests are refused, and the connection stays.
func TestLeafHashes(t *testing.T) {
	t.Parallel()
	for _, format := range []metainfo.Format{metainfo.V2, metainfo.Hybrid} {
		data, mi := madeOf(t, 20*64<<10+20_000, 64<<10, format)
		s := testSession(t, Options{})
		added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		file := &mi.Info.Files[0]
		f := dialPeer(t, s.Addr(), v2HashOf(mi), extendedAndFast())
		f.send(peerwire.AppendSimple(nil, peerwire.HaveNone))
		blocks := int64(len(data)+merkle.BlockSize-1) / merkle.BlockSize
		root := merkle.FromRoot(*file.PiecesRoot, blocks)
		known := func(layer int, index int64) ([32]byte, bool) {
			if layer == 2 {
				return [32]byte(mi.PieceLayer(file)[32*index:]), true
			}
			return root(layer, index)
		}
		for i := range hashBurst + 8 {
			span := merkle.Span{Index: int64(4 * (13 + i%8)), Length: 4}
			if i%2 == 1 {
				span.Proof = merkle.Height(blocks) - 1
			}
			f.send(peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{
				PiecesRoot: *file.PiecesRoot, Index: uint32(span.Index), Length: 4, Proof: uint32(span.Proof),
			}, nil))
			m, err := f.next()
			for err == nil && m.ID != peerwire.Hashes && m.ID != peerwire.HashReject {
				m, err = f.next()
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := i < hashBurst; (m.ID == peerwire.Hashes) != want {
				t.Fatalf("%s, request %d: %v", format, i, m.ID)
			}
			if m.ID == peerwire.HashReject {
				continue
			}
			_, hashes, err := peerwire.ParseHashRange(m.ID, m.Payload)
			if err == nil && span.Proof == 0 {
				err = merkle.Verify(hashes, blocks, span, known)
			} else if err == nil {
				err = merkle.Verify(hashes, blocks, span, root)
			}
			if err != nil {
				t.Errorf("%s, %+v: %v", format, span, err)
			}
		}
		if !f.alive(0) {
			t.Error("the connection was ended")
		}
	}
}

func TestLeafBudget(t *testing.T) {
	var b hashBudget
	now := time.Unix(1e9, 0)
	taken := func() (n int) {
		for b.take(now) {
			n++
		}
		return n
	}
	if n := taken(); n != hashBurst {
		t.Errorf("%d at first", n)
	}
	now = now.Add(2*hashInterval + time.Second)
	if n := taken(); n != 2 {
		t.Errorf("%d after the time of two", n)
	}
	now = now.Add(hashInterval - time.Second)
	if n := taken(); n != 1 {
		t.Errorf("%d: the rest of the time was lost", n)
	}
	now = now.Add(time.Hour)
	if n := taken(); n != hashBurst {
		t.Errorf("%d after long", n)
	}
}

// TestWrongLeafHashes has a piece of two peers fail, and a third give wrong hashes of
// its blocks, by which the honest one would have lied. They do not lead to the root:
// who gave them is banned, others are asked, and then exactly the liar is.
func TestWrongLeafHashes(t *testing.T) {
	t.Parallel()
	data, mi := madeOf(t, 64<<10, 64<<10, metainfo.V2)
	withSimSession(t, Options{}, func(y *simSession) {
		tor := added(t, y.s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
		dial := func(more ...peerwire.ID) *scriptedPeer {
			f := y.dial(v2HashOf(mi))
			for _, id := range append([]peerwire.ID{peerwire.HaveAll}, more...) {
				f.send(peerwire.AppendSimple(nil, id))
			}
			return f
		}
		give := func(f *scriptedPeer, m peerwire.Message, spoil byte) {
			b := append(peerwire.AppendPieceHeader(nil, 0, m.Begin, m.Length), data[m.Begin:][:m.Length]...)
			b[len(b)-1] ^= spoil
			f.send(b)
		}
		liar := dial(peerwire.Unchoke)
		for range 4 {
			if m := liar.await(peerwire.Request); m.Begin == 0 {
				give(liar, m, 1)
			} else {
				liar.send(peerwire.AppendSimple(nil, peerwire.Choke))
				liar.send(peerwire.AppendBlock(nil, peerwire.Reject, 0, m.Begin, m.Length))
			}
		}
		slanderer := dial()
		slanderer.await(peerwire.Interested)
		honest := dial(peerwire.Unchoke)
		for range 3 {
			give(honest, honest.await(peerwire.Request), 0)
		}

		var leaves []byte
		for _, h := range hashBlocks(data) {
			leaves = append(leaves, h[:]...)
		}
		answer := func(f *scriptedPeer, id peerwire.ID, hashes []byte) {
			m := f.await(peerwire.HashRequest)
			r, _, err := peerwire.ParseHashRange(m.ID, m.Payload)
			if err != nil {
				t.Fatal(err)
			}
			f.send(peerwire.AppendHashRange(nil, id, &r, hashes))
		}
		wrong := bytes.Clone(leaves)
		wrong[len(wrong)-1] ^= 1 // of a block of the honest one
		answer(slanderer, peerwire.Hashes, wrong)
		slanderer.dropped()
		answer(liar, peerwire.HashReject, nil)
		answer(honest, peerwire.Hashes, leaves)
		liar.dropped()
		m := honest.await(peerwire.Request)
		if m.Begin != 0 {
			t.Errorf("asked again for the block at %d, want that at 0 alone", m.Begin)
		}
		give(honest, m, 0)
		until(t, "complete", func() bool { return tor.Stats().State == StateSeeding })
		if b := tor.Banned(); len(b) != 2 || b[0].Addr().Addr() != addrOf(slanderer) || b[1].Addr().Addr() != addrOf(liar) {
			t.Errorf("banned %v, want the one with the wrong hashes and then the liar", b)
		}
	})
}

func addrOf(f *scriptedPeer) netip.Addr {
	return f.c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
}
