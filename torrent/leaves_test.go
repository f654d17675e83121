package torrent

import (
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
		if _, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true}); err != nil {
			t.Fatal(err)
		}
		file := &mi.Info.Files[0]
		f := dialFoe(t, s.Addr(), v2HashOf(mi), everything())
		f.send(peerwire.AppendSimple(nil, peerwire.HaveNone))
		blocks := int64(len(data)+merkle.BlockSize-1) / merkle.BlockSize
		root := merkle.FromRoot(*file.PiecesRoot, blocks)
		known := func(layer int, index int64) ([32]byte, bool) {
			if layer == 2 {
				return [32]byte(mi.PieceLayer(file)[32*index:]), true
			}
			return root(layer, index)
		}
		for i := range leafBurst + 8 {
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
			if want := i < leafBurst; (m.ID == peerwire.Hashes) != want {
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
	var b leafBudget
	now := time.Unix(1e9, 0)
	taken := func() (n int) {
		for b.take(now) {
			n++
		}
		return n
	}
	if n := taken(); n != leafBurst {
		t.Errorf("%d at first", n)
	}
	now = now.Add(2*leafEvery + time.Second)
	if n := taken(); n != 2 {
		t.Errorf("%d after the time of two", n)
	}
	now = now.Add(leafEvery - time.Second)
	if n := taken(); n != 1 {
		t.Errorf("%d: the rest of the time was lost", n)
	}
	now = now.Add(time.Hour)
	if n := taken(); n != leafBurst {
		t.Errorf("%d after long", n)
	}
}
