package torrent

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"spate"
	"spate/peerwire"
	"spate/storage"
	"spate/torrent/internal/transport"
)

// times returns b repeated n times.
func times(n int, b []byte) []byte { return bytes.Repeat(b, n) }

// TestViolationsEndTheConnection checks that a session ends the connection to a peer that
// sends a message that no honest peer sends.
func TestViolationsEndTheConnection(t *testing.T) {
	t.Parallel()
	data, mi := hybridTorrent(t, 6*32<<10, 32<<10)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	root := *mi.Info.Files[0].PiecesRoot
	var plain peerwire.Reserved
	plain.SetExtended()
	for name, c := range map[string]struct {
		reserved peerwire.Reserved
		sends    []byte
	}{
		"giant message":                      {extendedAndFast(), []byte{0xff, 0xff, 0xff, 0xff, 20}},
		"giant bitfield":                     {extendedAndFast(), []byte{0, 0x20, 0, 0, 5}},
		"spare bits set":                     {extendedAndFast(), peerwire.AppendBytes(nil, peerwire.Bitfield, []byte{0xff})},
		"bitfield too long":                  {extendedAndFast(), peerwire.AppendBytes(nil, peerwire.Bitfield, make([]byte, 9))},
		"bitfield too short":                 {extendedAndFast(), peerwire.AppendBytes(nil, peerwire.Bitfield, nil)},
		"have beyond the last piece":         {extendedAndFast(), peerwire.AppendIndexed(nil, peerwire.Have, 6)},
		"have none twice":                    {extendedAndFast(), times(2, peerwire.AppendSimple(nil, peerwire.HaveNone))},
		"have none without Fast":             {plain, peerwire.AppendSimple(nil, peerwire.HaveNone)},
		"reject without Fast":                {plain, peerwire.AppendBlock(nil, peerwire.Reject, 0, 0, 16<<10)},
		"allowed fast without Fast":          {plain, peerwire.AppendIndexed(nil, peerwire.AllowedFast, 0)},
		"allowed fast beyond the last piece": {extendedAndFast(), peerwire.AppendIndexed(nil, peerwire.AllowedFast, 1<<31)},
		"request beyond the end":             {extendedAndFast(), peerwire.AppendBlock(nil, peerwire.Request, 5, 32<<10-1, 2)},
		"request beyond the last piece":      {extendedAndFast(), peerwire.AppendBlock(nil, peerwire.Request, 6, 0, 1)},
		"request of zero bytes":              {extendedAndFast(), peerwire.AppendBlock(nil, peerwire.Request, 0, 0, 0)},
		"giant request":                      {extendedAndFast(), peerwire.AppendBlock(nil, peerwire.Request, 0, 0, 1<<24)},
		"request whose end overflows":        {extendedAndFast(), peerwire.AppendBlock(nil, peerwire.Request, 0, 1<<32-1, 16<<10)},
		"block beyond the last piece":        {extendedAndFast(), append(peerwire.AppendPieceHeader(nil, 99, 0, 1), 1)},
		"deeply nested extension handshake":  {extendedAndFast(), peerwire.AppendExtended(nil, 0, []byte("d1:m"+strings.Repeat("l", 50_000)))},
		"too many extensions":                {extendedAndFast(), peerwire.AppendExtended(nil, 0, []byte("d1:md"+strings.Repeat("1:ai1e", 50_000)+"ee"))},
		"truncated extension handshake":      {extendedAndFast(), peerwire.AppendExtended(nil, 0, []byte("d1:v99999999:x"))},
		"metadata message without a piece":   {extendedAndFast(), peerwire.AppendExtended(nil, extMetadata, []byte("d8:msg_typei0ee"))},
		"truncated address":                  {extendedAndFast(), peerwire.AppendExtended(nil, extPEX, []byte("d5:added5:12345e"))},
		"don't have beyond the last piece":   {extendedAndFast(), peerwire.AppendDontHave(nil, extDontHave, 6)},
		"hash request of length zero":        {extendedAndFast(), peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{PiecesRoot: root}, nil)},
		"giant hash request":                 {extendedAndFast(), peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{PiecesRoot: root, Length: 1 << 30}, nil)},
		"interest without requests":          {extendedAndFast(), times(maxFlips+2, peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.Interested), peerwire.NotInterested))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dialPeer(t, s.Addr(), mi.Hash(), c.reserved)
			p.send(c.sends)
			p.dropped()
		})
	}
}

// TestHarmlessMessagesAreIgnored checks that a session ignores useless messages that do no
// harm, and keeps the connection.
func TestHarmlessMessagesAreIgnored(t *testing.T) {
	t.Parallel()
	data, mi := hybridTorrent(t, 6*32<<10, 32<<10)
	s := testSession(t, Options{})
	tor, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	if err != nil {
		t.Fatal(err)
	}
	root := *mi.Info.Files[0].PiecesRoot
	pex := &peerwire.PEXMessage{Flags: make([]peerwire.PEXFlags, 4)}
	for _, a := range []string{"239.1.1.1:80", "10.0.0.1:0", "0.0.0.0:80", "255.255.255.255:80"} {
		pex.Added = append(pex.Added, netip.MustParseAddrPort(a))
	}
	for name, sends := range map[string][]byte{
		"keep-alives":                  times(10_000, peerwire.AppendKeepAlive(nil)),
		"the same have again":          times(10_000, peerwire.AppendIndexed(nil, peerwire.Have, 2)),
		"cancels without a request":    times(1000, peerwire.AppendBlock(nil, peerwire.Cancel, 0, 0, 16<<10)),
		"rejects without a request":    times(1000, peerwire.AppendBlock(nil, peerwire.Reject, 0, 0, 16<<10)),
		"allowed fast again":           times(1000, peerwire.AppendIndexed(nil, peerwire.AllowedFast, 1)),
		"suggestions":                  times(1000, peerwire.AppendIndexed(nil, peerwire.Suggest, 1)),
		"unknown messages":             times(100, peerwire.AppendBytes(nil, 99, make([]byte, 100))),
		"ports":                        times(100, peerwire.AppendPort(nil, 1)),
		"unusable addresses of peers":  times(100, peerwire.AppendPEX(nil, extPEX, pex)),
		"hashes without a request":     times(100, peerwire.AppendHashRange(nil, peerwire.Hashes, &peerwire.HashRange{PiecesRoot: root, Length: 2}, make([]byte, 64))),
		"many hash requests":           times(300, peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{PiecesRoot: root, Length: 2}, nil)),
		"hash requests of no file":     times(100, peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{Length: 2}, nil)),
		"requests beyond the metadata": times(100, peerwire.AppendMetadata(nil, extMetadata, &peerwire.MetadataMessage{Piece: 900})),
		"metadata without a request": times(20, peerwire.AppendMetadata(nil, extMetadata,
			&peerwire.MetadataMessage{Type: peerwire.MetadataData, Total: 1 << 40, Data: make([]byte, 16<<10)})),
		"extension handshakes": times(200, peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 9, PEX: 9, Reqq: 1, Port: 9})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
			p.send(sends)
			if !p.alive(0) {
				t.Error("the connection was ended")
			}
		})
	}
	t.Cleanup(func() {
		if n := len(tor.Banned()); n > 0 {
			t.Errorf("%d peers were banned", n)
		}
	})
}

// TestUnreadAnswersAreBounded checks that the memory for peers that request blocks and
// metadata and never read them stays within the bounds of a connection.
func TestUnreadAnswersAreBounded(t *testing.T) {
	data, mi := noiseTorrent(t, 4<<20, 16<<10)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const peers = 20
	extHandshake := peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 1})
	extHandshake = peerwire.AppendSimple(extHandshake, peerwire.Interested)
	for i := range peers {
		p := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
		p.c.(*net.TCPConn).SetReadBuffer(4 << 10)
		b := peerwire.AppendBlock(nil, peerwire.Request, 0, 0, 16<<10)
		if i%2 == 0 {
			b = peerwire.AppendMetadata(nil, extMetadata, &peerwire.MetadataMessage{Type: peerwire.MetadataRequest})
		}
		p.send(extHandshake)
		go func() {
			p.c.SetWriteDeadline(time.Now().Add(patience))
			p.c.Write(times(50_000, b))
		}()
	}
	most := int64(0)
	for range 20 {
		time.Sleep(20 * time.Millisecond)
		most = max(most, heap()-before)
	}
	const each = 2*maxUnsent + uploadBatch + transport.LargeRead + 256<<10
	t.Logf("%d KiB for each of %d peers", most/peers>>10, peers)
	if most > peers*each {
		t.Errorf("%d peers hold %d MiB", peers, most>>20)
	}
}

// TestManyReconnectsAtOnce checks that a session still serves an honest peer after many
// connections have come and gone at once, some with the session's own peer id, and that all
// of them end.
func TestManyReconnectsAtOnce(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 4*16<<10, 16<<10)
	s := testSession(t, Options{})
	tor, err := s.Add(mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		hs := peerwire.Handshake{InfoHash: mi.Hash(), PeerID: spate.NewPeerID(), Reserved: extendedAndFast()}
		if i%3 == 0 {
			hs.PeerID = s.PeerID()
		}
		if i%4 > 0 {
			c.Write(hs.Append(nil)[:min(68, 17*(i%8))])
		}
		c.Close()
	}
	until(t, "all connections are gone", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.conns == 0 && s.handshakes.pool.Len() == 0 && tor.Stats().Peers == 0
	})
	honest := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	if honest.hs.PeerID != s.PeerID() || !honest.alive(0) {
		t.Error("an honest peer is not served afterwards")
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hs := peerwire.Handshake{InfoHash: mi.Hash(), PeerID: s.PeerID(), Reserved: extendedAndFast()}
	c.Write(hs.Append(nil))
	(&scriptedPeer{t: t, c: c}).dropped()
}
