package transport

import (
	"bytes"
	"crypto/sha1"
	"io"
	"net"
	"testing"
	"time"

	"spate"
	"spate/peerwire/mse"
)

// encrypt makes the encrypted handshake over both ends of a connection.
func encrypt(t *testing.T, ours, theirs net.Conn) (net.Conn, net.Conn) {
	t.Helper()
	ours.SetDeadline(time.Now().Add(hang))
	theirs.SetDeadline(time.Now().Add(hang))
	defer ours.SetDeadline(time.Time{})
	defer theirs.SetDeadline(time.Time{})
	answered := make(chan *mse.Result, 1)
	go func() {
		a := mse.Acceptor{
			Torrent: func([sha1.Size]byte) (spate.InfoHash, bool) { return spate.InfoHash{}, true },
			Choose:  func(mse.Method) mse.Method { return mse.RC4 },
		}
		r, err := a.Handshake(theirs, nil)
		if err != nil {
			t.Error(err)
		}
		answered <- r
	}()
	i := mse.Initiator{Offer: mse.RC4}
	r, err := i.Handshake(ours)
	if err != nil {
		t.Fatal(err)
	}
	return mse.NewConn(ours, r), mse.NewConn(theirs, <-answered)
}

// TestEncryptedConnectionNeedsNoWait checks that an encrypted connection is a [Socket] if the
// connection below is one.
func TestEncryptedConnectionNeedsNoWait(t *testing.T) {
	t.Parallel()
	for kind, pair := range kinds {
		if kind != "tcp, encrypted" && kind != "utp, encrypted" {
			continue
		}
		ours, _, opt := pair(t)
		opt.Buffers = NewBuffers(LargeRead, 1)
		below := New(ours.(*mse.Conn).NetConn(), opt)
		if c := New(ours, opt); c.CanTryWrite() != below.CanTryWrite() {
			t.Errorf("%s: TryWrite can write: %v, without encryption %v", kind, c.CanTryWrite(), below.CanTryWrite())
		}
	}
}

// fullSocket is a [Socket] that takes few bytes at a time without waiting.
type fullSocket struct {
	Socket
	takes int
	got   bytes.Buffer
}

func (s *fullSocket) TryWrite(b []byte) int {
	n := min(len(b), s.takes)
	s.got.Write(b[:n])
	return n
}

func (s *fullSocket) WriteBuffers(v *net.Buffers) error {
	_, err := v.WriteTo(&s.got)
	return err
}

// TestEncryptedSocketThatIsFull checks that the other side can decrypt all bytes although the
// socket takes only some of those that TryWrite offers, and that TryWrite changes none of them.
func TestEncryptedSocketThatIsFull(t *testing.T) {
	t.Parallel()
	a, b := tcpPair(t)
	ours, theirs := encrypt(t, a, b)
	below := &fullSocket{takes: 1000}
	s := &encrypted{Socket: below, c: ours.(*mse.Conn), free: NewFreeList(smallRead, 1)}
	sent := bytes.Repeat([]byte("sent in pieces. "), 10_000)
	for rest, n := bytes.Clone(sent), 0; len(rest) > 0; rest = rest[n:] {
		if n = s.TryWrite(rest); n == 0 {
			n = min(len(rest), 2000)
			v := net.Buffers{rest[:n/2], rest[n/2 : n]}
			if err := s.WriteBuffers(&v); err != nil {
				t.Fatal(err)
			}
		} else if !bytes.HasSuffix(sent, rest) {
			t.Fatal("TryWrite changed its argument")
		}
		below.takes = (below.takes * 7) % 70_001 / (1 + below.takes%3) // sometimes more than one buffer
		if below.takes%5 == 0 {
			below.takes = 0
		} else if below.takes == 0 {
			below.takes = 1
		}
	}
	go func() { a.Write(below.got.Bytes()); a.Close() }()
	got, err := io.ReadAll(theirs)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d bytes, %v, want %d, or the bytes differ", len(got), err, len(sent))
	}
}

// TestEncryptedWritesNeedNoAllocation checks that writing and reading an encrypted connection
// allocate no memory for each byte.
func TestEncryptedWritesNeedNoAllocation(t *testing.T) {
	a, b := tcpPair(t)
	ours, _ := encrypt(t, a, b)
	s := &encrypted{Socket: discard{}, c: ours.(*mse.Conn), free: NewFreeList(smallRead, 1)}
	block, vec := make([]byte, 16<<10), make(net.Buffers, 8)
	in := make([]byte, smallRead)
	n := testing.AllocsPerRun(100, func() {
		for i := range vec {
			vec[i] = block
		}
		v := vec
		s.WriteBuffers(&v)
		s.TryWrite(block)
		s.TryRead(in)
	})
	if n > 1 { // the header of v
		t.Errorf("writing and reading makes %v allocations", n)
	}
}

// discard is a [Socket] that takes all and reads zeros.
type discard struct{ Socket }

func (discard) TryRead(b []byte) (int, error)   { return len(b), nil }
func (discard) TryWrite(b []byte) int           { return len(b) }
func (discard) WriteBuffers(*net.Buffers) error { return nil }
