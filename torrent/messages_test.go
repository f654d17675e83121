package torrent

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"spate"
	"spate/bitfield"
	"spate/merkle"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
)

// testTorrent is a torrent in one state, to which a test sends arbitrary messages.
type testTorrent struct {
	name       string
	mi         *metainfo.MetaInfo // the metainfo that the session has
	withLayers *metainfo.MetaInfo // the same metainfo with piece layers
	data       []byte
	seed       bool // the session has the data
}

// testTorrents returns torrents of each format in each state: seed and download,
// with and without piece layers.
func testTorrents(t testing.TB) []testTorrent {
	t.Helper()
	const size, piece = 5*32<<10 + 777, 32 << 10
	var all []testTorrent
	for _, format := range []metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		data, mi := torrentOfFormat(t, size, piece, format)
		all = append(all, testTorrent{string(format) + " seed", mi, mi, data, true}, testTorrent{string(format) + " download", mi, mi, data, false})
		if format != metainfo.V1 {
			bare := withoutLayers(t, mi)
			all = append(all, testTorrent{string(format) + " without layers", bare, mi, data, false})
		}
		if format == metainfo.Hybrid {
			all = append(all, testTorrent{"hybrid seed without layers", withoutLayers(t, mi), mi, data, true})
		}
	}
	return all
}

// pipeSession is a session that tests connect to through pipes instead of a
// network.
type pipeSession struct {
	session *Session
	peers   atomic.Uint32 // connections so far; each gets its own address
}

// newPipeSession starts a session that runs until the test ends.
func newPipeSession(t testing.TB) *pipeSession {
	return &pipeSession{session: testSession(t, Options{NoListen: true})}
}

// failer contains the methods of both testing.TB and rapid.T that tests need.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// runPeer adds the torrent and connects a peer to it. talk sends the peer's
// messages after the handshake. When talk returns, runPeer closes the connection
// and checks the state of the torrent.
func (p *pipeSession) runPeer(t failer, st *testTorrent, r peerwire.Reserved, hash spate.InfoHash, talk func(net.Conn)) {
	t.Helper()
	var store storage.Storage = storage.NewMemoryLike(st.data)
	if st.seed {
		store = storage.NewMemoryOf(st.data)
	}
	tor, err := p.session.Add(st.mi, AddOptions{Storage: store, Verified: st.seed, PlainSeed: st.seed})
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer p.session.Remove(tor.InfoHash())
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Microsecond) {
		if s := tor.Stats().State; s == StateDownloading || s == StateSeeding {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the torrent is still %v", s)
		}
	}
	ours, theirs := net.Pipe()
	n := p.peers.Add(1)
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24|n))), 1000)
	hs := peerwire.Handshake{InfoHash: hash, PeerID: spate.NewPeerID(), Reserved: r}
	if !p.session.reserve(false) {
		t.Fatalf("all connections are in use: an earlier one was not released")
	}
	c := newConn(tor, ours, hs, addr, true)
	ended := make(chan struct{})
	go func() { defer close(ended); c.run() }()
	theirs.SetDeadline(time.Now().Add(patience))
	talk(theirs)
	theirs.Close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("the session does not end the closed connection")
	}
	p.checkTorrent(t, st, tor, store, c)
}

// checkTorrent checks what must hold after any messages of a peer: the torrent has
// released the connection c (which may be nil), has kept little of what the peer
// sent, has not halted, and has only correct pieces.
func (p *pipeSession) checkTorrent(t failer, st *testTorrent, tor *Torrent, store storage.Storage, c *conn) {
	t.Helper()
	dialing := func() int { tor.mu.Lock(); defer tor.mu.Unlock(); return tor.peerConns.dialing }
	for end := time.Now().Add(patience); dialing() > 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Microsecond) // until the dials to addresses from PEX end
	}
	tor.mu.Lock()
	have := tor.pick.Bitfield().Clone()
	n, wants, dial := tor.peerConns.n, len(tor.v2.missing), tor.peerConns.dialing
	kept, out, allowed, suggested := 0, 0, 0, 0
	if c != nil {
		kept, out, allowed, suggested = len(c.tx.uploads), len(c.tx.control), len(c.req.allowed), len(c.req.suggested)
	}
	tor.mu.Unlock()
	if n != 0 || kept != 0 || dial != 0 {
		t.Fatalf("%d connections, %d uploads and %d dials are left, want none", n, kept, dial)
	}
	if out > maxUnsent+1<<20 || allowed > maxAllowedFast || suggested > maxSuggested {
		t.Fatalf("%d unsent bytes, %d allowed fast and %d suggested pieces are above their limits", out, allowed, suggested)
	}
	if err := tor.Stats().Err; err != nil {
		t.Fatalf("the torrent halted: %v", err)
	}
	if known := tor.Stats().Known; known > maxKnownFromOnePeer {
		t.Fatalf("%d addresses are known, want at most %d", known, maxKnownFromOnePeer)
	}
	if wants > 0 && !st.mi.Info.HasV1() && have.Count() > 0 {
		t.Fatalf("%d pieces are verified although %d piece layers are missing", have.Count(), wants)
	}
	size := st.mi.Info.PieceLength
	for i := range have.Ones() {
		b := make([]byte, st.mi.Info.PieceSize(i))
		if _, err := store.ReadAt(b, int64(i)*size); err != nil || !bytes.Equal(b, st.data[int64(i)*size:][:len(b)]) {
			t.Fatalf("piece %d is marked as verified, but its data is wrong (read error: %v)", i, err)
		}
	}
}

// maxKnownFromOnePeer is the number of addresses that a torrent can know from one
// peer: its own, and those of one PEX message.
const maxKnownFromOnePeer = 2*peerwire.MaxPEX + 1

// TestMessagesInAnyOrder checks that a torrent in any state remains correct after a
// peer has sent random messages in any order, and has answered requests correctly,
// wrongly or not at all.
func TestMessagesInAnyOrder(t *testing.T) {
	t.Parallel()
	all, p := testTorrents(t), newPipeSession(t)
	rapid.Check(t, func(rt *rapid.T) {
		st := &all[rapid.IntRange(0, len(all)-1).Draw(rt, "torrent")]
		var r peerwire.Reserved
		if rapid.Bool().Draw(rt, "extended") {
			r.SetExtended()
		}
		if rapid.Bool().Draw(rt, "fast") {
			r.SetFast()
		}
		hash := st.mi.Hash()
		if st.mi.Info.HasV2() && rapid.Bool().Draw(rt, "v2") {
			hash = v2HashOf(st.mi)
		}
		messages := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) []byte { return randomMessage(rt, st) }), 0, 40).Draw(rt, "messages")
		seed := rapid.Uint64().Draw(rt, "answers")
		p.runPeer(rt, st, r, hash, func(c net.Conn) { st.sendAndAnswer(c, messages, seed) })
	})
}

// sendAndAnswer sends messages to the session and answers the messages that it
// receives meanwhile. seed determines the answers.
func (st *testTorrent) sendAndAnswer(c net.Conn, messages [][]byte, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	answers := make(chan []byte, 1000)
	read := make(chan struct{})
	go func() {
		defer close(read)
		f := &scriptedPeer{c: c, t: panicTB{}}
		for {
			m, err := f.next()
			if err != nil {
				return
			}
			if b := st.answer(rng, &m); b != nil {
				select {
				case answers <- b:
				default:
				}
			}
		}
	}()
	for _, b := range messages {
		c.Write(b)
		for more := true; more; {
			select {
			case b := <-answers:
				c.Write(b)
			default:
				more = false
			}
		}
	}
	for range 20 { // answer the messages that the session sends after the last message
		select {
		case b := <-answers:
			c.Write(b)
		case <-read:
			return
		case <-time.After(500 * time.Microsecond):
		}
	}
	c.Close()
	<-read
}

// answer returns the answer to a request, which is correct most of the time, or nil
// if the peer does not answer.
func (st *testTorrent) answer(rng *rand.Rand, m *peerwire.Message) []byte {
	behaviour := rng.IntN(10)
	if behaviour == 0 {
		return nil
	}
	switch m.ID {
	case peerwire.Request:
		if behaviour == 1 {
			return peerwire.AppendBlock(nil, peerwire.Reject, m.Index, m.Begin, m.Length)
		}
		at := int64(m.Index)*st.mi.Info.PieceLength + int64(m.Begin)
		b := append(peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length), st.data[at:][:m.Length]...)
		if behaviour == 2 {
			b[len(b)-1] ^= 1
		}
		return b
	case peerwire.Extended:
		ask, err := peerwire.ParseMetadata(m.Payload)
		if m.Index != 3 || err != nil || ask.Type != peerwire.MetadataRequest {
			return nil
		}
		from := min(ask.Piece*peerwire.MetadataPieceLen, int64(len(st.mi.InfoBytes)))
		mm := peerwire.MetadataMessage{Type: peerwire.MetadataData, Piece: ask.Piece, Total: int64(len(st.mi.InfoBytes)),
			Data: bytes.Clone(st.mi.InfoBytes[from:min(from+peerwire.MetadataPieceLen, int64(len(st.mi.InfoBytes)))])}
		switch behaviour {
		case 1:
			mm = peerwire.MetadataMessage{Type: peerwire.MetadataReject, Piece: ask.Piece}
		case 2:
			mm.Data[len(mm.Data)/2] ^= 1
		}
		return peerwire.AppendMetadata(nil, extMetadata, &mm)
	case peerwire.HashRequest:
		r, _, err := peerwire.ParseHashRange(m.ID, m.Payload)
		if err != nil {
			return nil
		}
		layer := st.withLayers.PieceLayers[r.PiecesRoot]
		if behaviour == 1 || len(layer) != 6*32 || r.Length != 8 {
			return peerwire.AppendHashRange(nil, peerwire.HashReject, &r, nil)
		}
		pad := merkle.Pad(1)
		body := append(append(bytes.Clone(layer), pad[:]...), pad[:]...)
		if behaviour == 2 {
			body[7] ^= 1
		}
		return peerwire.AppendHashRange(nil, peerwire.Hashes, &r, body)
	}
	return nil
}

// randomMessage draws a message: mostly a valid one, sometimes a random id and body.
func randomMessage(t *rapid.T, st *testTorrent) []byte {
	pieces := st.mi.Info.NumPieces()
	piece := func() uint32 { return uint32(rapid.IntRange(0, pieces).Draw(t, "piece")) }
	begin := func() uint32 { return uint32(rapid.SampledFrom([]int{0, 0, 16 << 10, 5, 32 << 10}).Draw(t, "begin")) }
	length := func() uint32 {
		return uint32(rapid.SampledFrom([]int{16 << 10, 16 << 10, 777, 1, 0, 1 << 17}).Draw(t, "length"))
	}
	switch rapid.IntRange(0, 15).Draw(t, "kind") {
	case 0:
		return peerwire.AppendSimple(nil, peerwire.ID(rapid.SampledFrom([]int{0, 1, 2, 3, 14, 15}).Draw(t, "id")))
	case 1:
		return peerwire.AppendSimple(nil, peerwire.Unchoke)
	case 2:
		return peerwire.AppendSimple(nil, peerwire.Interested)
	case 3:
		return peerwire.AppendIndexed(nil, peerwire.ID(rapid.SampledFrom([]int{4, 4, 13, 17}).Draw(t, "id")), piece())
	case 4:
		have := bitfield.New(pieces)
		for i := range pieces {
			if rapid.Bool().Draw(t, "has") {
				have.Set(i)
			}
		}
		return peerwire.AppendBytes(nil, peerwire.Bitfield, have.Bytes())
	case 5, 6:
		return peerwire.AppendBlock(nil, peerwire.ID(rapid.SampledFrom([]int{6, 6, 8, 16}).Draw(t, "id")), piece(), begin(), length())
	case 7:
		n := min(length(), 32<<10)
		return append(peerwire.AppendPieceHeader(nil, piece(), begin(), n), make([]byte, n)...)
	case 8:
		h := peerwire.ExtHandshake{Metadata: 3, PEX: 4, DontHave: 5, Port: uint16(rapid.IntRange(0, 70).Draw(t, "port")), UploadOnly: rapid.Bool().Draw(t, "only"),
			MetadataSize: int64(len(st.mi.InfoBytes)), Reqq: rapid.IntRange(0, 10).Draw(t, "reqq"), YourIP: netip.MustParseAddr("10.0.0.1")}
		return peerwire.AppendExtHandshake(nil, &h)
	case 9:
		return peerwire.AppendMetadata(nil, extMetadata, &peerwire.MetadataMessage{
			Type: peerwire.MetadataType(rapid.IntRange(0, 3).Draw(t, "type")), Piece: int64(rapid.IntRange(0, 2).Draw(t, "piece"))})
	case 10:
		m := peerwire.PEXMessage{}
		for i := range rapid.IntRange(0, 60).Draw(t, "added") {
			m.Added = append(m.Added, netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(i), 0, 0, 1}), uint16(i)))
			m.Flags = append(m.Flags, peerwire.PEXFlags(i))
		}
		return peerwire.AppendPEX(nil, extPEX, &m)
	case 11:
		return peerwire.AppendDontHave(nil, extDontHave, piece())
	case 12, 13:
		r := peerwire.HashRange{BaseLayer: uint32(rapid.IntRange(0, 2).Draw(t, "base")), Index: uint32(rapid.IntRange(0, 3).Draw(t, "index")) * 2,
			Length: uint32(rapid.SampledFrom([]int{2, 2, 8, 1}).Draw(t, "length")), Proof: uint32(rapid.IntRange(0, 3).Draw(t, "proof"))}
		if root := st.mi.Info.Files[0].PiecesRoot; root != nil {
			r.PiecesRoot = *root
		}
		id := peerwire.ID(rapid.SampledFrom([]int{21, 21, 22, 23}).Draw(t, "id"))
		var body []byte
		if id == peerwire.Hashes {
			body = make([]byte, 32*r.Length)
		}
		return peerwire.AppendHashRange(nil, id, &r, body)
	case 14:
		return peerwire.AppendKeepAlive(nil)
	}
	return peerwire.AppendBytes(nil, peerwire.ID(rapid.IntRange(0, 255).Draw(t, "id")), rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "body"))
}

// FuzzConversation checks that a torrent in any state remains correct after a peer
// has sent arbitrary bytes after its handshake.
func FuzzConversation(f *testing.F) {
	all, p := testTorrents(f), newPipeSession(f)
	extHandshake := peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 3, PEX: 4, Port: 6881})
	for i := range all {
		f.Add(byte(i), true, peerwire.AppendSimple(peerwire.AppendSimple(bytes.Clone(extHandshake), peerwire.HaveAll), peerwire.Unchoke))
		f.Add(byte(i), false, peerwire.AppendBlock(peerwire.AppendSimple(nil, peerwire.Interested), peerwire.Request, 0, 0, 16<<10))
		if root := all[i].mi.Info.Files[0].PiecesRoot; root != nil {
			r := peerwire.HashRange{PiecesRoot: *root, Length: 2}
			f.Add(byte(i), true, peerwire.AppendHashRange(bytes.Clone(extHandshake), peerwire.HashRequest, &r, nil))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, v2 bool, b []byte) {
		st := &all[int(which)%len(all)]
		hash := st.mi.Hash()
		if v2 && st.mi.Info.HasV2() {
			hash = v2HashOf(st.mi)
		}
		p.runPeer(t, st, extendedAndFast(), hash, func(c net.Conn) {
			read := make(chan struct{})
			go func() { io.Copy(io.Discard, c); close(read) }()
			c.Write(b)
			c.Close()
			<-read
		})
	})
}

// FuzzMetadataDialog checks that a download of metadata accepts only the metadata
// with the right hash, whatever bytes a peer sends.
func FuzzMetadataDialog(f *testing.F) {
	_, mi := noiseTorrent(f, 1<<20, 16<<10)
	extHandshake := peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 3, MetadataSize: int64(len(mi.InfoBytes))})
	f.Add(extHandshake)
	f.Add(peerwire.AppendMetadata(bytes.Clone(extHandshake), extMetadata, &peerwire.MetadataMessage{Type: peerwire.MetadataData, Total: int64(len(mi.InfoBytes)), Data: mi.InfoBytes}))
	f.Add(peerwire.AppendMetadata(bytes.Clone(extHandshake), extMetadata, &peerwire.MetadataMessage{Type: peerwire.MetadataReject}))
	s := testSession(f, Options{NoListen: true})
	f.Fuzz(func(t *testing.T, b []byte) {
		fetch := newMetaFetch(s, metainfo.Magnet{HashV1: mi.Hash()})
		ours, theirs := net.Pipe()
		go io.Copy(io.Discard, theirs)
		go func() { theirs.Write(b); theirs.Close() }()
		_, err := fetch.fetchOver(t.Context(), ours, peerwire.Handshake{InfoHash: mi.Hash(), Reserved: extendedAndFast()}, netip.MustParseAddrPort("10.0.0.1:1"), false)
		ours.Close()
		if len(fetch.dialogs) != 0 {
			t.Fatal("metadata of a disconnected peer is kept")
		}
		select {
		case raw := <-fetch.found:
			if !bytes.Equal(raw, mi.InfoBytes) {
				t.Fatalf("metadata with another hash was accepted (error %v)", err)
			}
		default:
		}
	})
}

// panicTB is the testing.TB of a peer in another goroutine, where Fatalf of a real
// test must not be called.
type panicTB struct{ testing.TB }

func (panicTB) Fatalf(string, ...any) { panic("the session sent a message that cannot be parsed") }
func (panicTB) Helper()               {}
