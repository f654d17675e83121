package sctp

import (
	"bytes"
	"context"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/sctp"
)

// pipe is one end of a path in real time. It implements [net.Conn] for pion.
type pipe struct {
	in, out chan []byte
	done    chan struct{}
	once    *sync.Once
}

func newPipe() (a, b *pipe) {
	x, y, done, once := make(chan []byte, 4096), make(chan []byte, 4096), make(chan struct{}), new(sync.Once)
	return &pipe{x, y, done, once}, &pipe{y, x, done, once}
}

func (p *pipe) Read(b []byte) (int, error) {
	select {
	case q := <-p.in:
		return copy(b, q), nil
	case <-p.done:
		return 0, net.ErrClosed
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	select {
	case p.out <- bytes.Clone(b):
	case <-p.done:
		return 0, net.ErrClosed
	}
	return len(b), nil
}

func (p *pipe) Close() error                     { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipe) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (p *pipe) RemoteAddr() net.Addr             { return &net.UDPAddr{} }
func (p *pipe) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (p *pipe) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (p *pipe) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
func (p *pipe) Buffer() []byte                   { return make([]byte, 0, MaxPacket) }
func (p *pipe) Queue(b []byte)                   { p.Write(b) }
func (p *pipe) Flush()                           {}

// TestSpeaksWithPion checks that a channel opens, carries bytes both ways and closes with pion's
// SCTP at the other side, whichever side opens it, and with and without checksums.
func TestSpeaksWithPion(t *testing.T) {
	t.Parallel()
	const patience = 2 * time.Minute
	for _, c := range []struct {
		name       string
		dial, zero bool
	}{{"dials", true, true}, {"accepts", false, true}, {"dials with checksums", true, false}, {"accepts with checksums", false, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := newPipe()
			defer ours.Close()
			ch := New(Options{Output: ours, Dial: c.dial, Stream: 3, Port: 5000, PeerPort: 5000, MaxMessage: 64 << 10})
			defer ch.Close()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				b := make([]byte, 4096)
				for {
					n, err := ours.Read(b)
					if err != nil {
						return
					}
					ch.Receive(b[:n], time.Now())
					ch.Flush(time.Now())
				}
			}()
			ch.Start(time.Now())
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			a, err := sctp.ClientContext(ctx, sctp.WithNetConn(theirs), sctp.WithLoggerFactory(logging.NewDefaultLoggerFactory()),
				sctp.WithEnableZeroChecksum(c.zero), sctp.WithMaxMessageSize(64<<10), sctp.WithBlockWrite(true))
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			s := pionStream(t, a, c.dial)
			<-ch.Opened()
			if err := ch.Err(); err != nil {
				t.Fatal(err)
			}
			data := noise(1 << 20)
			sent := send(ch, data, 16397)
			var got []byte
			b := make([]byte, 64<<10)
			for len(got) < len(data) {
				n, kind, err := s.ReadSCTP(b)
				if err != nil {
					t.Fatal(err)
				}
				if kind == sctp.PayloadTypeWebRTCBinary {
					got = append(got, b[:n]...)
				}
			}
			if !bytes.Equal(got, data) || <-sent != nil {
				t.Error("the bytes to pion differ")
			}
			back := make(chan error, 1)
			go func() {
				for at := 0; at < len(data); at += 30_000 {
					if _, err := s.WriteSCTP(data[at:min(at+30_000, len(data))], sctp.PayloadTypeWebRTCBinary); err != nil {
						back <- err
						return
					}
				}
				back <- nil
			}()
			if got, err := receive(ch, len(data)); err != nil || !bytes.Equal(got, data) {
				t.Errorf("the bytes from pion differ, %v", err)
			}
			if err := <-back; err != nil {
				t.Error(err)
			}
			if c.dial {
				s.Close()
				if _, err := ch.Read(b); err == nil {
					t.Error("bytes came after the end")
				}
			} else {
				ch.Close()
				if _, _, err := s.ReadSCTP(b); err == nil {
					t.Error("pion read bytes after the end")
				}
			}
			ours.Close()
			<-ended
		})
	}
}

// pionStream opens or accepts the stream at pion's side.
func pionStream(t *testing.T, a *sctp.Association, accept bool) *sctp.Stream {
	t.Helper()
	if accept {
		s, err := a.AcceptStream()
		if err != nil {
			t.Fatal(err)
		}
		if n, kind, err := s.ReadSCTP(make([]byte, 100)); err != nil || kind != sctp.PayloadTypeWebRTCDCEP || n != dcepOpenLen {
			t.Fatalf("the channel was opened with %d bytes, %v, %v", n, kind, err)
		}
		s.WriteSCTP([]byte{dcepAck}, sctp.PayloadTypeWebRTCDCEP)
		return s
	}
	s, err := a.OpenStream(8, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		t.Fatal(err)
	}
	open := make([]byte, dcepOpenLen)
	open[0] = dcepOpen
	s.WriteSCTP(open, sctp.PayloadTypeWebRTCDCEP)
	return s
}
