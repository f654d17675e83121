package torrent

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"spate/merkle"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// TestSeedServesBlockHashes checks that a seed proves the block hashes of a piece
// (BEP 52) up to the piece's hash, as spate requests them, and up to the root, as
// libtorrent requests them. After a burst it rejects more of them and keeps the connection, and
// it rejects those of another connection from the same address too.
func TestSeedServesBlockHashes(t *testing.T) {
	t.Parallel()
	for _, format := range []metainfo.Format{metainfo.V2, metainfo.Hybrid} {
		data, mi := torrentOfFormat(t, 20*64<<10+20_000, 64<<10, format)
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
		const answered = 8
		for i := range answered + 8 {
			switch i {
			case answered: // the rest would need an hour to be allowed again
				s.hashBudgets.mu.Lock()
				for _, b := range s.hashBudgets.by {
					b.spent += 3600 * hashRate
				}
				s.hashBudgets.mu.Unlock()
			case answered + 4:
				f = dialPeer(t, s.Addr(), v2HashOf(mi), extendedAndFast())
				f.send(peerwire.AppendSimple(nil, peerwire.HaveNone))
			}
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
			if want := i < answered; (m.ID == peerwire.Hashes) != want {
				t.Fatalf("%s, request %d: the answer is %v, want hashes for the first %d requests and a reject after them", format, i, m.ID, answered)
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
				t.Errorf("%s: the hashes of %+v are wrong: %v", format, span, err)
			}
		}
		if !f.alive(0) {
			t.Error("the session closed the connection")
		}
	}
}

// TestSeedServesBlockHashesOfPieces checks that a seed of a v1 torrent with v2 hashes says so,
// and sends the hashes of the blocks of a piece whose root a peer names, in the only form that
// spate requests. Other requests, and those to a seed without v2 hashes, are rejected.
func TestSeedServesBlockHashesOfPieces(t *testing.T) {
	t.Parallel()
	data, mi := torrentOfFormat(t, 3*64<<10+20_000, 64<<10, "")
	plain, err := metainfo.FromInfo(mi.InfoBytes)
	if err != nil {
		t.Fatal(err)
	}
	root := func(piece int) [32]byte { return [32]byte(mi.V2Hashes.PieceRoot(piece)) }
	for known, of := range map[bool]*metainfo.MetaInfo{true: mi, false: plain} {
		s := testSession(t, Options{})
		added(t, s, of, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
		f := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
		if h := f.awaitExtHandshake(); h.V2Hashes != known {
			t.Errorf("the extension handshake is %+v, want V2Hashes %t", h, known)
		}
		f.send(peerwire.AppendSimple(nil, peerwire.HaveNone))
		for _, c := range []struct {
			r  peerwire.HashRange
			ok bool
		}{
			{peerwire.HashRange{PiecesRoot: root(1), Length: 4}, true},
			{peerwire.HashRange{PiecesRoot: root(3), Length: 4}, true}, // a short piece
			{peerwire.HashRange{PiecesRoot: root(1), Length: 2}, false},
			{peerwire.HashRange{PiecesRoot: root(1), Length: 8}, false},
			{peerwire.HashRange{PiecesRoot: root(1), Index: 4, Length: 4}, false},
			{peerwire.HashRange{PiecesRoot: root(1), BaseLayer: 1, Length: 4}, false},
			{peerwire.HashRange{PiecesRoot: root(1), Length: 4, Proof: 1}, false},
			{peerwire.HashRange{PiecesRoot: [32]byte(mi.V2Hashes.Files), Length: 4}, false},
		} {
			f.send(peerwire.AppendHashRange(nil, peerwire.HashRequest, &c.r, nil))
			m, err := f.next()
			for err == nil && m.ID != peerwire.Hashes && m.ID != peerwire.HashReject {
				m, err = f.next()
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := c.ok && known; (m.ID == peerwire.Hashes) != want {
				t.Errorf("v2 hashes %t: the answer to %+v is %v, want hashes: %t", known, c.r, m.ID, want)
			}
			if m.ID == peerwire.HashReject {
				continue
			}
			got, hashes, err := peerwire.ParseHashRange(m.ID, m.Payload)
			if err != nil || got != c.r || merkle.Root(hashes, 0) != c.r.PiecesRoot {
				t.Errorf("the hashes of %+v do not lead to the root (%v)", c.r, err)
			}
		}
	}
}

// TestWrongV2HashesAreDropped checks that a download by a v1 torrent completes although the v2
// hashes beside it describe other data, and that they are gone afterwards.
func TestWrongV2HashesAreDropped(t *testing.T) {
	t.Parallel()
	data, mi := torrentOfFormat(t, 3*64<<10+20_000, 64<<10, "")
	wrong := *mi
	wrong.V2Hashes = &metainfo.V2Hashes{Pieces: bytes.Clone(mi.V2Hashes.Pieces), Files: mi.V2Hashes.Files}
	wrong.V2Hashes.Pieces[40] ^= 1
	withSimSession(t, Options{}, func(y *simSession) {
		tor := added(t, y.s, &wrong, AddOptions{Storage: storage.NewMemoryLike(data)})
		seed := y.dial(mi.Hash())
		seed.send(peerwire.AppendSimple(nil, peerwire.HaveAll))
		seed.send(peerwire.AppendSimple(nil, peerwire.Unchoke))
		for range 14 {
			m := seed.await(peerwire.Request)
			b := peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length)
			seed.send(append(b, data[int(m.Index)*64<<10+int(m.Begin):][:m.Length]...))
		}
		until(t, "the download is complete", func() bool { return tor.Stats().State == StateSeeding })
		if tor.MetaInfo().V2Hashes != nil || len(tor.Banned()) > 0 {
			t.Errorf("v2 hashes %v, banned %v; want none of them", tor.MetaInfo().V2Hashes, tor.Banned())
		}
	})
	if wrong.V2Hashes == nil {
		t.Error("the caller's metainfo was changed")
	}
}

// TestWrongBlockHashesGetTheirSenderBanned checks what happens after a piece with
// blocks of two peers has failed, and a third peer sends block hashes that accuse
// the honest one of them. The hashes do not lead to the root, so that the third
// peer is banned. With the correct hashes of another peer, the sender of the bad
// block is banned. In a v1 torrent both are banned when the good piece has shown that the hashes
// beside it are right.
func TestWrongBlockHashesGetTheirSenderBanned(t *testing.T) {
	t.Parallel()
	t.Run("v2", func(t *testing.T) { testWrongBlockHashes(t, metainfo.V2) })
	t.Run("v1 with v2 hashes", func(t *testing.T) { testWrongBlockHashes(t, "") })
}

func testWrongBlockHashes(t *testing.T, format metainfo.Format) {
	data, mi := torrentOfFormat(t, 64<<10, 64<<10, format)
	withSimSession(t, Options{}, func(y *simSession) {
		tor := added(t, y.s, mi, AddOptions{Storage: storage.NewMemoryLike(data)})
		dial := func(more ...peerwire.ID) *scriptedPeer {
			f := y.dial(mi.Hash())
			if format == "" {
				f.send(peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{V2Hashes: true}))
			}
			for _, id := range append([]peerwire.ID{peerwire.HaveAll}, more...) {
				f.send(peerwire.AppendSimple(nil, id))
			}
			return f
		}
		sendBlock := func(f *scriptedPeer, m peerwire.Message, flip byte) {
			b := append(peerwire.AppendPieceHeader(nil, 0, m.Begin, m.Length), data[m.Begin:][:m.Length]...)
			b[len(b)-1] ^= flip
			f.send(b)
		}
		badBlocks := dial(peerwire.Unchoke)
		for range 4 {
			if m := badBlocks.await(peerwire.Request); m.Begin == 0 {
				sendBlock(badBlocks, m, 1)
			} else {
				badBlocks.send(peerwire.AppendSimple(nil, peerwire.Choke))
				badBlocks.send(peerwire.AppendBlock(nil, peerwire.Reject, 0, m.Begin, m.Length))
			}
		}
		badHashes := dial()
		badHashes.await(peerwire.Interested)
		honest := dial(peerwire.Unchoke)
		for range 3 {
			sendBlock(honest, honest.await(peerwire.Request), 0)
		}

		var blockHashes []byte
		for _, h := range hashBlocks(data) {
			blockHashes = append(blockHashes, h[:]...)
		}
		answer := func(f *scriptedPeer, id peerwire.ID, hashes []byte) {
			m := f.await(peerwire.HashRequest)
			r, _, err := peerwire.ParseHashRange(m.ID, m.Payload)
			if err != nil {
				t.Fatal(err)
			}
			f.send(peerwire.AppendHashRange(nil, id, &r, hashes))
		}
		wrong := bytes.Clone(blockHashes)
		wrong[len(wrong)-1] ^= 1 // the hash of a block that the honest peer sent
		answer(badHashes, peerwire.Hashes, wrong)
		if format == metainfo.V2 {
			badHashes.dropped()
		}
		answer(badBlocks, peerwire.HashReject, nil)
		answer(honest, peerwire.Hashes, blockHashes)
		if format == metainfo.V2 {
			badBlocks.dropped()
		} else if len(tor.Banned()) > 0 {
			t.Errorf("banned %v before the piece is good", tor.Banned())
		}
		m := honest.await(peerwire.Request)
		if m.Begin != 0 {
			t.Errorf("the block at %d is requested again, want only the bad one at 0", m.Begin)
		}
		sendBlock(honest, m, 0)
		until(t, "the download is complete", func() bool { return tor.Stats().State == StateSeeding })
		if b := tor.Banned(); len(b) != 2 || b[0].Addr().Addr() != addrOf(badHashes) || b[1].Addr().Addr() != addrOf(badBlocks) {
			t.Errorf("banned %v, want the sender of the wrong hashes %v, then the sender of the bad block %v", b, addrOf(badHashes), addrOf(badBlocks))
		}
	})
}

// TestWrongV2HashesBanNobody checks that v2 hashes beside a v1 torrent that accuse the block of an
// honest peer ban nobody for them. One attacker sends a bad block, and another one sends the block
// hashes that lead to the wrong root. The download ends with the good piece, which shows the bad
// block.
func TestWrongV2HashesBanNobody(t *testing.T) {
	t.Parallel()
	for _, lead := range []bool{true, false} { // whether the block hashes lead to the wrong root
		data, mi := torrentOfFormat(t, 64<<10, 64<<10, "")
		evil := bytes.Clone(data)
		evil[16<<10] ^= 1 // the bad block
		leaves := hashBlocks(evil)
		leaves[0][0] ^= 1 // accuses the honest peer
		var blockHashes []byte
		for _, h := range leaves {
			blockHashes = append(blockHashes, h[:]...)
		}
		root := merkle.Root(blockHashes, 0)
		wrong := *mi
		wrong.V2Hashes = &metainfo.V2Hashes{Pieces: root[:], Files: root[:]}
		rounds := maxHashRounds
		if !lead {
			blockHashes[len(blockHashes)-1] ^= 1
			rounds = 1
		}
		withSimSession(t, Options{}, func(y *simSession) {
			tor := added(t, y.s, &wrong, AddOptions{Storage: storage.NewMemoryLike(data)})
			dial := func(hashes bool, more ...peerwire.ID) *scriptedPeer {
				f := y.dial(mi.Hash())
				f.send(peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{V2Hashes: hashes}))
				for _, id := range append([]peerwire.ID{peerwire.HaveAll}, more...) {
					f.send(peerwire.AppendSimple(nil, id))
				}
				return f
			}
			send := func(f *scriptedPeer, m peerwire.Message, from []byte) {
				f.send(append(peerwire.AppendPieceHeader(nil, 0, m.Begin, m.Length), from[m.Begin:][:m.Length]...))
			}
			badBlock := dial(false, peerwire.Unchoke)
			for range 4 {
				if m := badBlock.await(peerwire.Request); m.Begin == 16<<10 {
					send(badBlock, m, evil)
				} else {
					badBlock.send(peerwire.AppendSimple(nil, peerwire.Choke))
					badBlock.send(peerwire.AppendBlock(nil, peerwire.Reject, 0, m.Begin, m.Length))
				}
			}
			badHashes := dial(true)
			badHashes.await(peerwire.Interested)
			honest := dial(false, peerwire.Unchoke)
			for range 3 {
				send(honest, honest.await(peerwire.Request), data)
			}
			for i := range rounds {
				m := badHashes.await(peerwire.HashRequest)
				r, _, err := peerwire.ParseHashRange(m.ID, m.Payload)
				if err != nil {
					t.Fatal(err)
				}
				badHashes.send(peerwire.AppendHashRange(nil, peerwire.Hashes, &r, blockHashes))
				if lead {
					if m := honest.await(peerwire.Request); m.Begin != 0 {
						t.Errorf("round %d: the block at %d is requested again, want the accused one at 0", i, m.Begin)
					} else {
						send(honest, m, data)
					}
				}
			}
			for range 4 {
				send(honest, honest.await(peerwire.Request), data)
			}
			until(t, "the download is complete", func() bool { return tor.Stats().State == StateSeeding })
			if b := tor.Banned(); len(b) != 1 || b[0].Addr().Addr() != addrOf(badBlock) {
				t.Errorf("hashes that lead to the root: %t: banned %v, want the sender of the bad block %v", lead, b, addrOf(badBlock))
			}
			if tor.MetaInfo().V2Hashes != nil {
				t.Error("the wrong hashes were kept")
			}
		})
	}
}

// addrOf returns the IP address of a peer of the test.
func addrOf(f *scriptedPeer) netip.Addr {
	return f.c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
}
