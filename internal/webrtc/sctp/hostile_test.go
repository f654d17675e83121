package sctp

import (
	"encoding/binary"
	mathrand "math/rand/v2"
	"testing"
	"time"
)

// nowhere drops all packets, and counts them.
type nowhere struct {
	buf     [MaxPacket]byte
	packets int
}

func (n *nowhere) Buffer() []byte { return n.buf[:0] }
func (n *nowhere) Queue(b []byte) { n.packets++ }
func (n *nowhere) Flush()         {}

// victim returns an open channel whose other side is simulated by the test.
func victim(out Output) *Channel {
	c := New(Options{Output: out, Port: 5000, PeerPort: 5000, MaxMessage: 64 << 10})
	now := time.Now()
	c.Start(now)
	s := setup{tag: 7, window: 1 << 20, tsn: 100}
	put := func(kind byte, value []byte) {
		tag := c.tag
		if kind == kindInit {
			tag = 0
		}
		c.Receive(appendChunk(appendHeader(nil, 5000, 5000, tag), kind, 3, value), now)
	}
	put(kindInit, s.append(nil))
	put(kindCookieEcho, c.cookie[:])
	open := [dcepOpenLen]byte{dcepOpen}
	put(kindData, append(binary.BigEndian.AppendUint32(nil, 100), append([]byte{0, 1, 0, 0, 0, 0, 0, ppidDCEP}, open[:]...)...))
	return c
}

// held returns the bytes that a channel holds for the other side, and checks its counts.
func held(t *testing.T, c *Channel) int {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for i := range c.rx.late {
		n += len(c.rx.late[i].data)
	}
	if n != c.rx.lateBytes {
		t.Errorf("%d bytes came early, but %d are counted", n, c.rx.lateBytes)
	}
	flight, lost, bytes := 0, 0, 0
	for i, x := range c.tx.cells {
		bytes += x.n
		if i < c.tx.sent && x.lost {
			lost++
		} else if i < c.tx.sent && !x.acked {
			flight += x.n
		}
	}
	if flight != c.tx.flight || lost != c.tx.lost || bytes != c.tx.bytes {
		t.Errorf("counted %d in flight, %d lost, %d bytes; there are %d, %d, %d", c.tx.flight, c.tx.lost, c.tx.bytes, flight, lost, bytes)
	}
	return n + len(c.rx.buf.blocks)*blockLen + len(c.rx.dcep)
}

// TestFloodIsBounded checks that a side that ignores the window, leaves out packets and never ends
// messages makes this side hold a bounded number of bytes.
func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	out := new(nowhere)
	c := victim(out)
	defer c.Close()
	if !c.isOpen {
		t.Fatal("not open")
	}
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	data := make([]byte, 1100)
	for range 5000 {
		c.mu.Lock() // its timer may run
		at := c.rx.cumulative
		c.mu.Unlock()
		v := binary.BigEndian.AppendUint32(nil, at+1+rng.Uint32N(2000)*(rng.Uint32N(4)))
		v = append(v, 0, 1, 0, 0, 0, 0, 0, []byte{ppidBinary, ppidDCEP, 7}[rng.IntN(100)/49])
		p := appendChunk(appendHeader(nil, 5000, 5000, c.tag), kindData, byte(rng.Uint32()), append(v, data[:1+rng.IntN(len(data)-1)]...))
		c.Receive(p, time.Now())
	}
	c.Flush(time.Now())
	if n := held(t, c); n > maxReceive+blockLen+maxDCEP {
		t.Errorf("%d bytes are held", n)
	}
}

// TestRepliesAreBounded checks that a packet of many chunks gets few replies.
func TestRepliesAreBounded(t *testing.T) {
	t.Parallel()
	out := new(nowhere)
	c := victim(out)
	defer c.Close()
	p := appendHeader(nil, 5000, 5000, c.tag)
	for range 90 {
		p = appendChunk(p, kindHeartbeat, 0, nil)
		p = appendChunk(p, kindReconfig, 0, appendParam(nil, paramResetOut, make([]byte, 12)))
		p = appendChunk(p, kindCookieEcho, 0, c.cookie[:])
	}
	before := out.packets
	c.Receive(p, time.Now())
	c.Flush(time.Now())
	if n := out.packets - before; n == 0 || n > 5 {
		t.Errorf("%d replies to one packet", n)
	}
}

// TestOneChannel checks that empty messages are not read, that a second channel ends the connection,
// so that nobody fills streams that are not read, and that a channel that is not reliable is refused.
func TestOneChannel(t *testing.T) {
	t.Parallel()
	c := victim(new(nowhere))
	data := func(tsn uint32, stream, ppid byte, b string) {
		v := append(binary.BigEndian.AppendUint32(nil, tsn), 0, stream, 0, 0, 0, 0, 0, ppid)
		c.Receive(appendChunk(appendHeader(nil, 5000, 5000, c.tag), kindData, 3, append(v, b...)), time.Now())
	}
	data(101, 1, ppidBinary, "ours")
	data(102, 1, 57, "\x00")
	b := make([]byte, 100)
	if n, err := c.Read(b); string(b[:n]) != "ours" || err != nil {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if c.rx.cumulative != 102 || c.rx.buf.n != 0 {
		t.Errorf("acknowledged up to %d, %d bytes are left", c.rx.cumulative, c.rx.buf.n)
	}
	data(103, 9, ppidDCEP, "\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	c.Flush(time.Now())
	if c.Err() != ErrStreams {
		t.Errorf("a second channel: %v", c.Err())
	}
	c = victim(new(nowhere))
	c.isOpen, c.done = false, make(chan struct{}) // as before the message that opens it
	data(101, 1, ppidDCEP, "\x03\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	c.Flush(time.Now())
	if c.Err() != ErrRefused {
		t.Errorf("a channel that is not reliable: %v", c.Err())
	}
}

// FuzzReceive checks that no sequence of chunks makes a channel panic, lose count of what it holds,
// or send much more than it got.
func FuzzReceive(f *testing.F) {
	chunks := func(all ...[]byte) (b []byte) {
		for _, c := range all {
			b = append(b, c...)
		}
		return b
	}
	sack := func(cumulative uint32, gaps ...byte) []byte {
		v := binary.BigEndian.AppendUint32(nil, cumulative)
		v = append(v, 0, 1, 0, 0, 0, byte(len(gaps)/4), 0, 0)
		return appendChunk(nil, kindSack, 0, append(v, gaps...))
	}
	data := func(tsn uint32) []byte {
		return appendChunk(nil, kindData, 3, append(binary.BigEndian.AppendUint32(nil, tsn), 0, 1, 0, 0, 0, 0, 0, ppidBinary, 'x'))
	}
	f.Add(chunks(sack(3, 0, 2, 0, 3), data(101), data(105), data(103)))
	f.Add(chunks(sack(0, 0, 5, 0, 9, 0, 11, 0, 60), sack(2), sack(70), sack(200)))
	f.Add(chunks(appendChunk(nil, kindHeartbeat, 0, []byte("info")), appendChunk(nil, kindReconfig, 0, appendParam(nil, paramResetOut, make([]byte, 14)))))
	f.Add(chunks(appendChunk(nil, 0x80, 0, nil), appendChunk(nil, kindShutdown, 0, make([]byte, 4)), appendChunk(nil, kindAbort, 0, nil)))
	s := setup{tag: 7, window: 1, tsn: 2, cookie: []byte("cookie")}
	f.Add(chunks(appendChunk(nil, kindInitAck, 0, s.append(nil)), appendChunk(nil, kindCookieAck, 0, nil), appendChunk(nil, kindInit, 0, s.append(nil))))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := new(nowhere)
		c := victim(out)
		defer c.Close()
		c.tx.first = 1
		c.tx.add(ppidBinary, make([]byte, maxUnsent))
		now := time.Now()
		c.Flush(now)
		for len(b) > 0 { // a packet for each chunk
			_, rest, ok := nextChunk(b)
			if !ok {
				rest = nil
			}
			p := append(appendHeader(nil, 5000, 5000, c.tag), b[:len(b)-len(rest)]...)
			b = rest
			before := out.packets
			c.Receive(p, now)
			c.Flush(now)
			if n := out.packets - before; n > 100 {
				t.Fatalf("%d packets were sent for one", n)
			}
			now = now.Add(50 * time.Millisecond)
			if c.Err() == nil {
				held(t, c)
			}
		}
	})
}
