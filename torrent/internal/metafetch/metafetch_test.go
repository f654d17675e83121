package metafetch

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"spate"
	"spate/metainfo"
	"spate/peerwire"
)

const (
	ours     = 1 // message number that peers use for metadata
	theirs   = 3 // message number that we use
	pieceLen = peerwire.MetadataPieceLen
)

// receive passes one encoded message to Peer.Receive.
func receive(t testing.TB, p *Peer, encoded []byte) (Step, error) {
	t.Helper()
	var m peerwire.Message
	if n, _, err := peerwire.Parse(encoded, &m); err != nil || n != len(encoded) {
		t.Fatalf("%d of %d bytes are a message: %v", n, len(encoded), err)
	}
	return p.Receive(&m)
}

func hello(size int64) []byte {
	return peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: theirs, MetadataSize: size, Port: 6881})
}

func data(piece int64, b []byte) []byte {
	return peerwire.AppendMetadata(nil, ours, &peerwire.MetadataMessage{Type: peerwire.MetadataData, Piece: piece, Total: 1, Data: b})
}

// requested returns the pieces that encoded messages ask for.
func requested(t testing.TB, encoded []byte) (pieces []int64) {
	t.Helper()
	for len(encoded) > 0 {
		var m peerwire.Message
		n, _, err := peerwire.Parse(encoded, &m)
		if err != nil || n == 0 || m.ID != peerwire.Extended || m.Index != theirs {
			t.Fatalf("message %v %d: %v", m.ID, m.Index, err)
		}
		mm, err := peerwire.ParseMetadata(m.Payload)
		if err != nil || mm.Type != peerwire.MetadataRequest {
			t.Fatalf("%+v: %v", mm, err)
		}
		pieces = append(pieces, mm.Piece)
		encoded = encoded[n:]
	}
	return pieces
}

// info returns seven pieces of bytes in place of an info dictionary, which this package does
// not parse.
func info() []byte {
	b := make([]byte, 6*pieceLen+100)
	for i := range b {
		b[i] = byte(i * i >> 8)
	}
	return b
}

func pieceOf(b []byte, i int) []byte { return b[i*pieceLen : min((i+1)*pieceLen, len(b))] }

// TestPiecesAreRequestedInOrder checks a peer that gives all metadata: four requests are
// outstanding at a time, and the pieces together are the dictionary.
func TestPiecesAreRequestedInOrder(t *testing.T) {
	t.Parallel()
	raw := info()
	p := New(ours).Join()
	s, err := receive(t, p, hello(int64(len(raw))))
	if got := requested(t, s.Send); err != nil || !slices.Equal(got, []int64{0, 1, 2, 3}) || !s.Progress || s.Port != 6881 {
		t.Fatalf("requests %v, %+v, %v", got, s, err)
	}
	if s, err = receive(t, p, hello(5)); err != nil || s.Progress || len(s.Send) > 0 {
		t.Errorf("a second handshake: %+v, %v", s, err)
	}
	for i, want := range [][]int64{{4}, {5}, {6}, nil, nil, nil, nil} {
		s, err := receive(t, p, data(int64(i), pieceOf(raw, i)))
		if got := requested(t, s.Send); err != nil || !slices.Equal(got, want) || s.Complete != (i == 6) || s.Progress == s.Complete {
			t.Fatalf("after piece %d: requests %v, %+v, %v", i, got, s, err)
		}
	}
	if !bytes.Equal(p.Metadata(), raw) {
		t.Error("wrong metadata")
	}
}

// TestBadMessagesEndThePeer checks that the exchange ends with a peer that claims an invalid
// size, rejects a request, or gives a piece that was not requested or has the wrong length.
func TestBadMessagesEndThePeer(t *testing.T) {
	t.Parallel()
	raw := info()
	size := int64(len(raw))
	piece := func(err error) bool { return errors.As(err, new(*PieceError)) }
	none := func(err error) bool { return errors.Is(err, ErrNoMetadata) }
	malformed := func(err error) bool { return errors.Is(err, peerwire.ErrExtension) }
	for name, c := range map[string]struct {
		messages [][]byte
		is       func(error) bool
	}{
		"size zero":            {[][]byte{hello(0)}, none},
		"size too large":       {[][]byte{hello(metainfo.MaxSize + 1)}, none},
		"size beyond numbers":  {[][]byte{hello(1 << 62)}, none},
		"no metadata messages": {[][]byte{peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{MetadataSize: 9})}, none},
		"reject":               {[][]byte{hello(size), peerwire.AppendMetadata(nil, ours, &peerwire.MetadataMessage{Type: peerwire.MetadataReject})}, none},
		"no size":              {[][]byte{data(0, pieceOf(raw, 0))}, piece},
		"piece too long":       {[][]byte{hello(size), data(0, make([]byte, pieceLen+1))}, piece},
		"piece too short":      {[][]byte{hello(size), data(0, raw[:9])}, piece},
		"last piece too long":  {[][]byte{hello(9), data(0, raw[:10])}, piece},
		"empty piece":          {[][]byte{hello(size), data(0, nil)}, piece},
		"another piece":        {[][]byte{hello(size), data(1, pieceOf(raw, 1))}, piece},
		"piece again":          {[][]byte{hello(size), data(0, pieceOf(raw, 0)), data(0, pieceOf(raw, 0))}, piece},
		"piece beyond the end": {[][]byte{hello(9), data(0, raw[:9]), data(1, nil)}, piece},
		"malformed handshake":  {[][]byte{peerwire.AppendExtended(nil, 0, []byte("x"))}, malformed},
		"malformed metadata":   {[][]byte{hello(size), peerwire.AppendExtended(nil, ours, []byte("x"))}, malformed},
	} {
		p := New(ours).Join()
		for i, m := range c.messages {
			s, err := receive(t, p, m)
			if last := i == len(c.messages)-1; last != (err != nil) || last && !c.is(err) {
				t.Errorf("%s: message %d: %+v, %v", name, i, s, err)
			}
		}
	}
	p := New(ours).Join()
	for _, m := range [][]byte{
		peerwire.AppendSimple(nil, peerwire.Unchoke), peerwire.AppendExtended(nil, 7, []byte("x")),
		peerwire.AppendMetadata(nil, ours, &peerwire.MetadataMessage{Type: peerwire.MetadataRequest}),
		peerwire.AppendMetadata(nil, ours, &peerwire.MetadataMessage{Type: 9}),
	} {
		if s, err := receive(t, p, m); err != nil || s.Progress || len(s.Send) > 0 {
			t.Errorf("message %q: %+v, %v", m, s, err)
		}
	}
}

// TestUnverifiedMetadataIsBounded checks peers that never complete their metadata: before
// more than MaxUnverified bytes are kept, the peer that gave most is dropped, and the bytes
// of a peer do not count any more once it leaves.
func TestUnverifiedMetadataIsBounded(t *testing.T) {
	t.Parallel()
	f := New(ours)
	const pieces = (metainfo.MaxSize + pieceLen - 1) / pieceLen
	junk := make([]byte, pieceLen)
	give := func(p *Peer, from, to int) (drop *Peer, err error) {
		for i := from; i < to; i++ {
			s, err := receive(t, p, data(int64(i), junk[:min(pieceLen, metainfo.MaxSize-i*pieceLen)]))
			if err != nil || s.Drop != nil {
				return s.Drop, err
			}
		}
		return nil, nil
	}
	var p [4]*Peer
	for i := range p {
		p[i] = f.Join()
		receive(t, p[i], hello(metainfo.MaxSize))
	}
	const second = 1000
	const others = MaxUnverified/pieceLen - (pieces - 1) - second // pieces that the third peer may give
	for i, n := range []int{pieces - 1, second, others} {
		if drop, err := give(p[i], 0, n); drop != nil || err != nil {
			t.Fatalf("peer %d: drop %p, %v", i, drop, err)
		}
	}
	if drop, err := give(p[2], others, others+1); drop != p[0] || err != nil {
		t.Fatalf("drop %p, %v, want the peer that gave most", drop, err)
	}
	if _, err := give(p[0], pieces-1, pieces); !errors.Is(err, ErrTooMuch) {
		t.Errorf("the dropped peer goes on: %v", err)
	}
	if _, ok := p[0].TakeBacklog(); ok {
		t.Error("the connection of the dropped peer is kept")
	}
	// The other peers fill the freed bytes, and then the next peer is dropped.
	if drop, err := give(p[3], 0, pieces-2); drop != nil || err != nil {
		t.Fatalf("drop %p, %v", drop, err)
	}
	if drop, err := give(p[3], pieces-2, pieces-1); drop != nil || !errors.Is(err, ErrTooMuch) {
		t.Errorf("the peer that gave most goes on: drop %p, %v", drop, err)
	}
	f.Leave(p[1])
	f.Leave(p[2])
	if len(f.unverified) > 0 {
		t.Errorf("%d peers that left are counted", len(f.unverified))
	}
}

// TestBacklogIsBounded checks that messages are kept for the torrent only up to a limit for
// each peer and a limit for all peers.
func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	f := New(ours)
	p := f.Join()
	p.Keep([]byte("ab"))
	p.Keep([]byte("c"))
	if b, ok := p.TakeBacklog(); !ok || string(b) != "abc" {
		t.Errorf("backlog %q, %v", b, ok)
	}
	f.Leave(p)
	if f.backlogs != 3 {
		t.Errorf("%d bytes are counted, want those that were taken", f.backlogs)
	}
	long := f.Join()
	long.Keep(make([]byte, maxBacklog))
	long.Keep([]byte("x"))
	if b, ok := long.TakeBacklog(); ok || len(b) > 0 || f.backlogs != 3 {
		t.Errorf("of a backlog that is too long %d bytes are taken (%v), %d are counted", len(b), ok, f.backlogs)
	}
	var all []*Peer
	for range maxBacklogs/maxBacklog - 1 {
		q := f.Join()
		q.Keep(make([]byte, maxBacklog))
		all = append(all, q)
	}
	last := f.Join()
	last.Keep(make([]byte, maxBacklog))
	if _, ok := last.TakeBacklog(); ok {
		t.Error("the backlogs of all peers together are too long")
	}
	for _, q := range all {
		f.Leave(q)
	}
	if f.backlogs != 3 {
		t.Errorf("%d bytes are counted at the end", f.backlogs)
	}
}

// TestHashes checks that metadata must match every hash that a link names.
func TestHashes(t *testing.T) {
	t.Parallel()
	raw := []byte("d4:name1:xe")
	v1, v2 := spate.InfoHash(sha1.Sum(raw)), spate.InfoHashV2(sha256.Sum256(raw))
	other1, other2 := spate.InfoHash{1}, spate.InfoHashV2{2}
	for _, c := range []struct {
		name   string
		h      Hashes
		match  bool
		swarms []spate.InfoHash
		other  bool // a peer may answer with another v2 hash
	}{
		{"v1", Hashes{V1: v1}, true, []spate.InfoHash{v1}, true},
		{"v2", Hashes{V2: v2}, true, []spate.InfoHash{v2.Truncate()}, false},
		{"hybrid", Hashes{v1, v2}, true, []spate.InfoHash{v1, v2.Truncate()}, false},
		{"other v1", Hashes{other1, v2}, false, []spate.InfoHash{other1, v2.Truncate()}, false},
		{"other v2", Hashes{v1, other2}, false, []spate.InfoHash{v1, other2.Truncate()}, true},
	} {
		if c.h.Match(raw) != c.match || !slices.Equal(c.h.Swarms(), c.swarms) || c.h.Hybrid() != (len(c.swarms) == 2) {
			t.Errorf("%s: match %v, swarms %v, hybrid %v", c.name, c.h.Match(raw), c.h.Swarms(), c.h.Hybrid())
		}
		if !c.h.Accepts(v2.Truncate()) && c.h.V2 == v2 || c.h.Accepts(other2.Truncate()) != c.other {
			t.Errorf("%s: accepts %v, another hash %v", c.name, c.h.Accepts(v2.Truncate()), c.h.Accepts(other2.Truncate()))
		}
	}
}

// FuzzPeer checks that, whatever messages a peer sends, no bytes are kept beyond the size
// that the peer claimed, and none are counted after the peer has left.
func FuzzPeer(f *testing.F) {
	raw := info()[:pieceLen+9]
	all := hello(int64(len(raw)))
	all = append(append(all, data(0, pieceOf(raw, 0))...), data(1, pieceOf(raw, 1))...)
	f.Add(all)
	f.Add(append(hello(9), peerwire.AppendMetadata(nil, ours, &peerwire.MetadataMessage{Type: peerwire.MetadataReject})...))
	f.Add(append(hello(9), peerwire.AppendSimple(nil, peerwire.HaveAll)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		fetch := New(ours)
		p := fetch.Join()
		for {
			var m peerwire.Message
			n, _, err := peerwire.Parse(b, &m)
			if n == 0 || err != nil {
				break
			}
			if !p.IsMetadata(&m) {
				p.Keep(b[:n])
			}
			b = b[n:]
			s, err := p.Receive(&m)
			if len(p.Metadata()) > p.size || fetch.unverified[p] != len(p.Metadata()) || fetch.backlogs != len(p.backlog) {
				t.Fatalf("%d bytes of %d came, %d and %d are counted", len(p.Metadata()), p.size, fetch.unverified[p], fetch.backlogs)
			}
			if s.Complete != (p.size > 0 && len(p.Metadata()) == p.size) && err == nil && p.IsMetadata(&m) {
				t.Fatalf("complete: %v with %d of %d bytes", s.Complete, len(p.Metadata()), p.size)
			}
			if err != nil || s.Complete {
				break
			}
		}
		fetch.Leave(p)
		if len(fetch.unverified) > 0 || fetch.backlogs != 0 {
			t.Fatal("bytes of a peer that left are counted")
		}
	})
}
