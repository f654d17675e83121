package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"spate/internal/ratelimit"
)

const hang = 2 * time.Minute // a test that waits longer fails

// kinds holds a function for each kind of connection that the engine uses.
var kinds = map[string]func(t *testing.T) (ours, theirs net.Conn, opt Options){
	"tcp": func(t *testing.T) (net.Conn, net.Conn, Options) {
		a, b := tcpPair(t)
		return a, b, Options{}
	},
	"tcp, portable": func(t *testing.T) (net.Conn, net.Conn, Options) {
		a, b := tcpPair(t)
		return a, b, Options{Portable: true}
	},
	"pipe": func(t *testing.T) (net.Conn, net.Conn, Options) {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		return a, b, Options{}
	},
	"utp": func(t *testing.T) (net.Conn, net.Conn, Options) {
		a, b := utpPair(t)
		return a, b, Options{}
	},
	"tcp, encrypted": func(t *testing.T) (net.Conn, net.Conn, Options) {
		a, b := tcpPair(t)
		a, b = encrypt(t, a, b)
		return a, b, Options{}
	},
	"tcp, encrypted, portable": func(t *testing.T) (net.Conn, net.Conn, Options) {
		a, b := tcpPair(t)
		a, b = encrypt(t, a, b)
		return a, b, Options{Portable: true}
	},
	"utp, encrypted": func(t *testing.T) (net.Conn, net.Conn, Options) {
		a, b := utpPair(t)
		a, b = encrypt(t, a, b)
		return a, b, Options{}
	},
	"socket on another": func(t *testing.T) (net.Conn, net.Conn, Options) {
		a, b := tcpPair(t)
		return layer(t, a), &xorConn{Conn: b}, Options{}
	},
}

// tcpPair returns both ends of a connection over TCP.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// xorConn is a connection that changes each byte, as an encrypted one does.
type xorConn struct{ net.Conn }

const key = 0x5a

func xor(b []byte) []byte {
	for i := range b {
		b[i] ^= key
	}
	return b
}

func (c *xorConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	xor(b[:n])
	return n, err
}

func (c *xorConn) Write(b []byte) (int, error) { return c.Conn.Write(xor(bytes.Clone(b))) }

// xorSocket is an xorConn that implements [Socket] on top of another Socket.
type xorSocket struct {
	xorConn
	Socket
}

func (c *xorSocket) Close() error                  { return c.xorConn.Close() }
func (c *xorSocket) SetDeadline(t time.Time) error { return c.xorConn.SetDeadline(t) }

func (c *xorSocket) TryRead(b []byte) (int, error) {
	n, err := c.Socket.TryRead(b)
	xor(b[:n])
	return n, err
}

func (c *xorSocket) TryWrite(b []byte) int { return c.Socket.TryWrite(xor(bytes.Clone(b))) }

func (c *xorSocket) WriteBuffers(v *net.Buffers) error {
	out := make(net.Buffers, len(*v))
	for i, b := range *v {
		out[i] = xor(bytes.Clone(b))
	}
	return c.Socket.WriteBuffers(&out)
}

// layer returns a connection on top of nc that changes each byte. It is a [Socket] if the
// sockets of this system are, and otherwise a connection whose reads wait.
func layer(t *testing.T, nc net.Conn) net.Conn {
	s := systemSocket(nc, NewBuffers(LargeRead, 1))
	if s == nil {
		return &xorConn{nc}
	}
	return &xorSocket{xorConn{nc}, s}
}

// collect is a [Handler] that keeps all received bytes. Each message has size bytes.
type collect struct {
	c    *Conn
	size int
	got  bytes.Buffer
	fail error // returned after the first message
}

func (h *collect) Received() (int, error) {
	for len(h.c.In.Unread()) >= h.size {
		h.got.Write(h.c.In.Unread()[:h.size])
		h.c.In.Discard(h.size)
		if h.fail != nil {
			return 0, h.fail
		}
	}
	return h.size, nil
}

// TestReceiveDeliversEachByteOnce checks that every kind of connection delivers each byte
// once and in order, in messages shorter and longer than any buffer, that it reports the
// end of the stream, and that it holds no buffer afterwards.
func TestReceiveDeliversEachByteOnce(t *testing.T) {
	t.Parallel()
	for kind, pair := range kinds {
		for _, size := range []int{1, 17, 16<<10 + 13, smallRead, 3*LargeRead + 1} {
			t.Run(fmt.Sprintf("%s/messages of %d", kind, size), func(t *testing.T) {
				t.Parallel()
				ours, theirs, opt := pair(t)
				opt.Buffers = NewBuffers(LargeRead, 1)
				c := New(ours, opt)
				sent := make([]byte, (2<<20)/size*size)
				if size == 1 {
					sent = sent[:100_000]
				}
				rand.NewChaCha8([32]byte{byte(size)}).Read(sent)
				go func() {
					for rest := bytes.Clone(sent); len(rest) > 0; {
						n := min(len(rest), 1+rand.IntN(200_000))
						theirs.Write(rest[:n])
						rest = rest[n:]
					}
					theirs.Close()
				}()
				h := &collect{c: c, size: size}
				if err := c.Replay(sent[:size/2], h); err != nil {
					t.Fatal(err)
				}
				c.In.Release() // the test sends those bytes again
				if err := c.Receive(t.Context(), h); !errors.Is(err, io.EOF) {
					t.Errorf("Receive: %v, want io.EOF", err)
				}
				if !bytes.Equal(h.got.Bytes(), sent) {
					t.Errorf("received %d bytes, sent %d, or the bytes differ", h.got.Len(), len(sent))
				}
				if c.In.Held() || len(opt.Buffers.larges) != 0 || len(opt.Buffers.pauses) != 0 {
					t.Error("a buffer or a pause is still held")
				}
			})
		}
	}
}

// TestIdleHoldsNoBuffer checks that no idle connection holds a read buffer after a whole
// message.
func TestIdleHoldsNoBuffer(t *testing.T) {
	t.Parallel()
	for kind, pair := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ours, theirs, opt := pair(t)
			opt.Buffers = NewBuffers(LargeRead, 1)
			c := New(ours, opt)
			done := make(chan error, 1)
			go func() { done <- c.Receive(t.Context(), &collect{c: c, size: 100}) }()
			theirs.SetDeadline(time.Now().Add(hang))
			for range 3 {
				if _, err := theirs.Write(make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
				for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
					opt.Buffers.Small.mu.Lock()
					free := len(opt.Buffers.Small.free)
					opt.Buffers.Small.mu.Unlock()
					if free == 1 {
						break
					}
					if time.Now().After(end) {
						t.Fatal("the buffer was not given back")
					}
				}
			}
			c.Interrupt()
			if err := <-done; err == nil {
				t.Error("Receive returned no error after Interrupt")
			}
		})
	}
}

// TestReceiveReturnsTheReason checks the error of Receive for each reason for which it ends.
func TestReceiveReturnsTheReason(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong message")
	for kind, pair := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for name, end := range map[string]func(c *Conn, theirs net.Conn, cancel func()) error{
				"handler": func(_ *Conn, theirs net.Conn, _ func()) error {
					theirs.Write(make([]byte, 10))
					return wrong
				},
				"limit": func(c *Conn, theirs net.Conn, cancel func()) error {
					theirs.Write(make([]byte, 5))
					for !c.WaitingDown() {
						time.Sleep(time.Millisecond)
					}
					cancel()
					return context.Canceled
				},
				"interrupted": func(c *Conn, _ net.Conn, _ func()) error { c.Interrupt(); return nil },
			} {
				ours, theirs, opt := pair(t)
				opt.Buffers = NewBuffers(LargeRead, 1)
				if name == "limit" {
					opt.Down = []Limit{ratelimit.New(1)}
				}
				c := New(ours, opt)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- c.Receive(ctx, &collect{c: c, size: 10, fail: wrong}) }()
				want := end(c, theirs, cancel)
				if err := <-done; err == nil || want != nil && !errors.Is(err, want) {
					t.Errorf("%s: Receive: %v, want %v", name, err, want)
				}
				cancel()
				c.Close()
			}
		})
	}
}

// TestWritesArriveInOrder checks that the bytes of WriteBuffers, Write and TryWrite arrive
// once and in order.
func TestWritesArriveInOrder(t *testing.T) {
	t.Parallel()
	for kind, pair := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ours, theirs, opt := pair(t)
			opt.Buffers = NewBuffers(LargeRead, 1)
			c := New(ours, opt)
			var got bytes.Buffer
			var reading sync.WaitGroup
			reading.Go(func() { io.Copy(&got, theirs) })
			var want []byte
			next := func(n int) []byte {
				b := bytes.Repeat([]byte{byte(len(want) % 251)}, n)
				want = append(want, b...)
				return b
			}
			for i := range 10 {
				v := net.Buffers{next(13), next(16 << 10), next(13), next(500 * i)}
				if err := c.WriteBuffers(&v); err != nil {
					t.Fatal(err)
				}
				b := next(500_000)
				n := c.TryWrite(b)
				if n > 0 && !c.CanTryWrite() {
					t.Error("TryWrite wrote, and CanTryWrite says that it does not")
				}
				if err := c.Write(b[n:]); err != nil {
					t.Fatal(err)
				}
			}
			c.Close()
			reading.Wait()
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes arrived, %d were written, or the bytes differ", got.Len(), len(want))
			}
			v := net.Buffers{[]byte("x")}
			if err := c.WriteBuffers(&v); err == nil {
				t.Error("WriteBuffers returned no error after Close")
			}
		})
	}
}
