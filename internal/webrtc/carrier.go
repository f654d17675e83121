package webrtc

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pion/dtls/v3"

	"spate/internal/udpmux"
	"spate/internal/webrtc/record"
	"spate/internal/webrtc/sctp"
)

var (
	errKeys    = errors.New("webrtc: the DTLS handshake gave no keys")
	errMessage = errors.New("webrtc: the other side takes only very short messages")
)

// leastMessage is the length in bytes of messages that the other side must take at least. Shorter
// ones would make this side hold much more memory than bytes.
const leastMessage = 1024

// carrier carries the packets of a data channel in records of DTLS. The lock of the channel guards
// seal and out.
type carrier struct {
	l    *link
	ch   *sctp.Channel
	seal *record.Sealer
	out  *outgoing // nil while no packets are queued

	touched bool // packets came since the last call of Endpoint.Flush; Endpoint.mu guards it

	mu     sync.Mutex // guards the fields below
	open   *record.Opener
	flight []byte    // the last packet of the handshake, if the other side may have missed it
	again  time.Time // when flight was last sent again
}

// flightEvery limits how often the last packet of the handshake is sent again.
const flightEvery = 100 * time.Millisecond

// outgoingLen is the number of packets that are sent together at most.
const outgoingLen = 64

// outgoing holds packets that are sent together.
type outgoing struct {
	packets [outgoingLen]udpmux.Packet
	n       int
	data    [outgoingLen][sctp.MaxPacket + record.Overhead]byte
}

// takeOver takes the keys of a connection after its handshake, ends the connection without a word
// to the other side, and passes the packets of the link to a data channel from now on.
func (l *link) takeOver(d *dtls.Conn) (*carrier, error) {
	if l.theirs.maxMessage < leastMessage {
		d.Close()
		return nil, errMessage
	}
	early, flight := l.path.take()
	state, ok := d.ConnectionState()
	d.Close()
	if !ok {
		return nil, errKeys
	}
	seal, open, err := record.Import(&state)
	if err != nil {
		return nil, err
	}
	if l.active {
		flight = nil // the last packet of a client was answered
	}
	c := &carrier{l: l, seal: seal, open: open, flight: flight}
	opt := sctp.Options{
		Output: c, Dial: l.offered, Stream: 1, Port: l.ours.sctpPort, PeerPort: l.theirs.sctpPort,
		MaxMessage: l.theirs.maxMessage, Ended: c.ended,
	}
	if l.active {
		opt.Stream = 0 // the DTLS client has the even numbers
	}
	c.ch = sctp.New(opt)
	e := l.e
	e.mu.Lock()
	gone := l.gone
	if !gone {
		l.carrier = c
	}
	e.mu.Unlock()
	if gone {
		return nil, errEnd
	}
	now := time.Now()
	c.ch.Start(now)
	for len(l.path.in) > 0 {
		early = append(early, <-l.path.in)
	}
	for _, q := range early {
		c.receive(q.data[:q.n], now)
		e.free.Put(q)
	}
	c.ch.Flush(now)
	return c, nil
}

// receive handles a packet of the other side. It decrypts in place.
func (c *carrier) receive(b []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		kind, payload, rest, ok := c.open.Open(b)
		b = rest
		if !ok {
			c.l.e.count.dropped.Add(1)
			continue
		}
		c.l.lastHeard.Store(now.UnixNano()) // DTLS proves who sent it
		switch {
		case kind == record.TypeData:
			c.ch.Receive(payload, now)
		case kind == record.TypeAlert && record.Ends(payload):
			c.ch.End(io.EOF)
			return
		case kind == record.TypeHandshake && c.flight != nil && now.Sub(c.again) >= flightEvery:
			c.again = now // the other side did not get the end of the handshake
			c.l.path.send(c.flight)
		}
	}
}

// ended ends the link after the channel.
func (c *carrier) ended(err error) {
	if b, err := c.seal.CloseNotify(); err == nil {
		c.l.path.send(b)
	}
	c.l.end(err)
}

// Buffer implements [sctp.Output].
func (c *carrier) Buffer() []byte {
	if c.out == nil {
		c.out = c.l.e.outgoing.Get().(*outgoing)
	}
	return c.out.data[c.out.n][record.Before:record.Before]
}

// Queue implements [sctp.Output].
func (c *carrier) Queue(packet []byte) {
	o := c.out
	b, err := c.seal.Seal(record.TypeData, o.data[o.n][:record.Before+len(packet)])
	if err != nil {
		return // the channel ends because the other side acknowledges nothing
	}
	o.packets[o.n].Data = b
	o.n++
	if o.n == outgoingLen {
		c.Flush()
	}
}

// Flush implements [sctp.Output].
func (c *carrier) Flush() {
	o := c.out
	if o == nil {
		return
	}
	c.out = nil
	e := c.l.e
	if to := c.l.remote.Load(); to != nil && o.n > 0 {
		for i := range o.packets[:o.n] {
			o.packets[i].Addr, o.packets[i].Local = to.addr, to.local
		}
		e.opt.SendBatch(o.packets[:o.n])
	}
	o.n = 0
	e.outgoing.Put(o)
}
