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

// times returns b so many times over.
func times(n int, b []byte) []byte { return bytes.Repeat(b, n) }

// TestFouls has peers do what no honest one does: the connection ends, and the next
// peer is served.
func TestFouls(t *testing.T) {
	t.Parallel()
	data, mi := hybridTorrent(t, 6*32<<10, 32<<10)
	s := testSession(t, Options{})
	added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	root := *mi.Info.Files[0].PiecesRoot
	var plain peerwire.Reserved
	plain.SetExtended()
	for name, c := range map[string]struct {
		reserved peerwire.Reserved
		says     []byte
	}{
		"a giant message":             {everything(), []byte{0xff, 0xff, 0xff, 0xff, 20}},
		"a giant bitfield":            {everything(), []byte{0, 0x20, 0, 0, 5}},
		"spare bits":                  {everything(), peerwire.AppendBytes(nil, peerwire.Bitfield, []byte{0xff})},
		"a long bitfield":             {everything(), peerwire.AppendBytes(nil, peerwire.Bitfield, make([]byte, 9))},
		"an empty bitfield":           {everything(), peerwire.AppendBytes(nil, peerwire.Bitfield, nil)},
		"have of no piece":            {everything(), peerwire.AppendIndexed(nil, peerwire.Have, 6)},
		"have all twice":              {everything(), times(2, peerwire.AppendSimple(nil, peerwire.HaveNone))},
		"have all without Fast":       {plain, peerwire.AppendSimple(nil, peerwire.HaveNone)},
		"reject without Fast":         {plain, peerwire.AppendBlock(nil, peerwire.Reject, 0, 0, 16<<10)},
		"allowed fast without Fast":   {plain, peerwire.AppendIndexed(nil, peerwire.AllowedFast, 0)},
		"allowed fast of no piece":    {everything(), peerwire.AppendIndexed(nil, peerwire.AllowedFast, 1<<31)},
		"a request beyond the end":    {everything(), peerwire.AppendBlock(nil, peerwire.Request, 5, 32<<10-1, 2)},
		"a request of no piece":       {everything(), peerwire.AppendBlock(nil, peerwire.Request, 6, 0, 1)},
		"a request of nothing":        {everything(), peerwire.AppendBlock(nil, peerwire.Request, 0, 0, 0)},
		"a giant request":             {everything(), peerwire.AppendBlock(nil, peerwire.Request, 0, 0, 1<<24)},
		"a request that wraps":        {everything(), peerwire.AppendBlock(nil, peerwire.Request, 0, 1<<32-1, 16<<10)},
		"a block of no piece":         {everything(), append(peerwire.AppendPieceHeader(nil, 99, 0, 1), 1)},
		"deep extensions":             {everything(), peerwire.AppendExtended(nil, 0, []byte("d1:m"+strings.Repeat("l", 50_000)))},
		"many extensions":             {everything(), peerwire.AppendExtended(nil, 0, []byte("d1:md"+strings.Repeat("1:ai1e", 50_000)+"ee"))},
		"extensions that are cut":     {everything(), peerwire.AppendExtended(nil, 0, []byte("d1:v99999999:x"))},
		"metadata without a piece":    {everything(), peerwire.AppendExtended(nil, extMetadata, []byte("d8:msg_typei0ee"))},
		"a partial address":           {everything(), peerwire.AppendExtended(nil, extPEX, []byte("d5:added5:12345e"))},
		"don't have of no piece":      {everything(), peerwire.AppendDontHave(nil, extDontHave, 6)},
		"a hash request of no length": {everything(), peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{PiecesRoot: root}, nil)},
		"a giant hash request":        {everything(), peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{PiecesRoot: root, Length: 1 << 30}, nil)},
		"interest in nothing":         {everything(), times(mostFlaps+2, peerwire.AppendSimple(peerwire.AppendSimple(nil, peerwire.Interested), peerwire.NotInterested))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := dialFoe(t, s.Addr(), mi.Hash(), c.reserved)
			f.send(c.says)
			f.dropped()
		})
	}
}

// TestNuisances has peers do what is of no use and no harm: nothing comes of it,
// and the connection stays.
func TestNuisances(t *testing.T) {
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
	for name, says := range map[string][]byte{
		"keep-alives":              times(10_000, peerwire.AppendKeepAlive(nil)),
		"haves over and over":      times(10_000, peerwire.AppendIndexed(nil, peerwire.Have, 2)),
		"cancels of nothing":       times(1000, peerwire.AppendBlock(nil, peerwire.Cancel, 0, 0, 16<<10)),
		"rejects of nothing":       times(1000, peerwire.AppendBlock(nil, peerwire.Reject, 0, 0, 16<<10)),
		"allowed fast of all":      times(1000, peerwire.AppendIndexed(nil, peerwire.AllowedFast, 1)),
		"suggestions":              times(1000, peerwire.AppendIndexed(nil, peerwire.Suggest, 1)),
		"what nobody knows":        times(100, peerwire.AppendBytes(nil, 99, make([]byte, 100))),
		"ports":                    times(100, peerwire.AppendPort(nil, 1)),
		"peers that cannot be":     times(100, peerwire.AppendPEX(nil, extPEX, pex)),
		"hashes of nobody":         times(100, peerwire.AppendHashRange(nil, peerwire.Hashes, &peerwire.HashRange{PiecesRoot: root, Length: 2}, make([]byte, 64))),
		"a flood of hash requests": times(300, peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{PiecesRoot: root, Length: 2}, nil)),
		"hashes of no file":        times(100, peerwire.AppendHashRange(nil, peerwire.HashRequest, &peerwire.HashRange{Length: 2}, nil)),
		"metadata of nowhere":      times(100, peerwire.AppendMetadata(nil, extMetadata, &peerwire.MetadataMessage{Piece: 900})),
		"metadata that nobody asked for": times(20, peerwire.AppendMetadata(nil, extMetadata,
			&peerwire.MetadataMessage{Type: peerwire.MetadataData, Total: 1 << 40, Data: make([]byte, 16<<10)})),
		"handshakes": times(200, peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 9, PEX: 9, Reqq: 1, Port: 9})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := dialFoe(t, s.Addr(), mi.Hash(), everything())
			f.send(says)
			if !f.alive(0) {
				t.Error("the connection was ended")
			}
		})
	}
	t.Cleanup(func() {
		if n := len(tor.Banned()); n > 0 {
			t.Errorf("%d were banned", n)
		}
	})
}

// TestUnreadAnswers has peers ask for what they never read, of every kind: memory
// stays within what a connection may hold.
func TestUnreadAnswers(t *testing.T) {
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
	greet := peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 1})
	greet = peerwire.AppendSimple(greet, peerwire.Interested)
	for i := range peers {
		f := dialFoe(t, s.Addr(), mi.Hash(), everything())
		f.c.(*net.TCPConn).SetReadBuffer(4 << 10)
		b := peerwire.AppendBlock(nil, peerwire.Request, 0, 0, 16<<10)
		if i%2 == 0 {
			b = peerwire.AppendMetadata(nil, extMetadata, &peerwire.MetadataMessage{Type: peerwire.MetadataRequest})
		}
		f.send(greet)
		go func() {
			f.c.SetWriteDeadline(time.Now().Add(patience))
			f.c.Write(times(50_000, b))
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

// TestReconnectStorm has somebody come and go all the time, and claim to be us.
func TestReconnectStorm(t *testing.T) {
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
		hs := peerwire.Handshake{InfoHash: mi.Hash(), PeerID: spate.NewPeerID(), Reserved: everything()}
		if i%3 == 0 {
			hs.PeerID = s.PeerID()
		}
		if i%4 > 0 {
			c.Write(hs.Append(nil)[:min(68, 17*(i%8))])
		}
		c.Close()
	}
	until(t, "all have gone", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.conns == 0 && s.greetings.pool.Len() == 0 && tor.Stats().Peers == 0
	})
	us := dialFoe(t, s.Addr(), mi.Hash(), everything())
	if us.hs.PeerID != s.PeerID() || !us.alive(0) {
		t.Error("an honest peer is not served afterwards")
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hs := peerwire.Handshake{InfoHash: mi.Hash(), PeerID: s.PeerID(), Reserved: everything()}
	c.Write(hs.Append(nil))
	(&foe{t: t, c: c}).dropped()
}
