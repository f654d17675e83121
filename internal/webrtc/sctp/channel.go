package sctp

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Output sends packets. A Channel calls its methods one at a time.
type Output interface {
	// Buffer returns an empty buffer with a capacity of at least [MaxPacket].
	Buffer() []byte
	// Queue queues a packet, which is in the buffer of the last call of Buffer.
	Queue(packet []byte)
	// Flush sends the queued packets. What cannot be sent is lost. It must not wait long.
	Flush()
}

// Options configure a [Channel]. Output is required.
type Options struct {
	Output Output
	// Dial makes this side open the data channel. Otherwise it waits for the other side.
	Dial bool
	// Stream is the number of the stream if this side opens it.
	Stream uint16
	// Port and PeerPort are the SCTP ports of both sides.
	Port, PeerPort uint16
	// MaxMessage is the length in bytes of the longest message that the other side takes.
	MaxMessage int
	// Ended is called once, without locks, when the channel has ended; nil means nobody.
	Ended func(error)
}

// Bounds of the memory of a Channel in bytes.
const (
	maxReceive = 256 << 10 // received bytes that were not read; the other side waits beyond it
	maxUnsent  = 64 << 10  // written bytes that were never sent; Write waits beyond it
	maxWindow  = 1 << 20   // bytes in flight
	maxMessage = 64 << 10  // bytes of a message that this side sends
	maxDCEP    = 2 << 10   // bytes of a message that opens a channel
)

// Errors of a Channel.
var (
	ErrAborted  = errors.New("sctp: the other side aborted the connection")
	ErrSilent   = errors.New("sctp: the other side acknowledges nothing")
	ErrRefused  = errors.New("sctp: the other side opened no ordered, reliable data channel")
	ErrStreams  = errors.New("sctp: the other side opened a second data channel")
	ErrProtocol = errors.New("sctp: the other side broke the protocol")
)

// state is the state of an association (RFC 9260, 4).
type state int

const (
	idle state = iota
	cookieWait
	cookieEchoed
	established
)

// Channel is a data channel. Its methods are safe for concurrent use.
type Channel struct {
	opt  Options
	done chan struct{} // closed when the channel is open or has ended

	mu     sync.Mutex // guards the fields below
	state  state
	isOpen bool
	err    error // why the channel has ended; nil while it has not
	told   bool  // Ended was called
	reset  bool  // the other side has closed the stream

	tag, peerTag uint32
	cookie       [cookieLen]byte // that this side gives
	peerCookie   []byte
	noSum        bool // the other side accepts packets without a checksum
	stream       uint16
	hasStream    bool
	tries        int // of INIT or COOKIE ECHO
	replies      int // to the packet that is handled now

	tx   sender
	rx   receiver
	time timers

	readers, writers waiters
}

// New returns a channel that waits for Start.
func New(opt Options) *Channel {
	c := &Channel{opt: opt, done: make(chan struct{}), stream: opt.Stream, hasStream: opt.Dial}
	var random [8 + cookieLen]byte
	rand.Read(random[:])
	c.tag = max(1, binary.BigEndian.Uint32(random[:]))
	c.tx.init(binary.BigEndian.Uint32(random[4:]), opt.MaxMessage)
	copy(c.cookie[:], random[8:])
	c.readers.cond.L, c.writers.cond.L = &c.mu, &c.mu
	return c
}

// unlock ends a call: it sends what was queued, and tells the end of the channel.
func (c *Channel) unlock() {
	c.opt.Output.Flush()
	err := c.err
	tell := err != nil && !c.told
	c.told = c.told || tell
	c.mu.Unlock()
	if tell && c.opt.Ended != nil {
		c.opt.Ended(err)
	}
}

// endLocked ends the channel. It gives its memory back.
func (c *Channel) endLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	if !c.isOpen {
		close(c.done)
	}
	c.time.stop()
	c.tx.release()
	c.rx.release(err == io.EOF)
	c.readers.wake()
	c.writers.wake()
}

// Opened returns a channel that is closed when the data channel is open or has ended.
func (c *Channel) Opened() <-chan struct{} { return c.done }

// Err returns why the channel has ended, or nil.
func (c *Channel) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// End ends the channel without a word to the other side, for example because DTLS has ended. Bytes
// that have arrived can still be read if err is [io.EOF].
func (c *Channel) End(err error) {
	c.mu.Lock()
	defer c.unlock()
	c.endLocked(err)
}

// Close tells the other side that the stream ends, and ends the channel. Bytes that the other side
// has not acknowledged may be lost.
func (c *Channel) Close() error {
	c.mu.Lock()
	defer c.unlock()
	if c.err == nil && c.state == established && c.hasStream {
		c.sendReset()
	}
	c.endLocked(net.ErrClosed)
	return nil
}

// begin returns a buffer with the header of a packet.
func (c *Channel) begin(tag uint32) []byte {
	return appendHeader(c.opt.Output.Buffer(), c.opt.Port, c.opt.PeerPort, tag)
}

// queue queues a packet. A packet with an INIT or COOKIE ECHO chunk always has a checksum (RFC 9653, 5.2).
func (c *Channel) queue(packet []byte) {
	if kind := packet[headerLen]; !c.noSum || kind == kindInit || kind == kindCookieEcho {
		putChecksum(packet)
	}
	c.opt.Output.Queue(packet)
}

// sendChunk queues a packet of one chunk.
func (c *Channel) sendChunk(kind, flags byte, value []byte) {
	c.queue(appendChunk(c.begin(c.peerTag), kind, flags, value))
}

// maxReplies bounds the replies to one packet, which can have many chunks.
const maxReplies = 4

// reply queues a packet of one chunk as a reply to a chunk.
func (c *Channel) reply(kind byte, value []byte) {
	if c.replies < maxReplies {
		c.replies++
		c.sendChunk(kind, 0, value)
	}
}

// Receive handles a packet of the other side. The caller must call Flush when it has no more
// packets. Receive keeps nothing of b.
func (c *Channel) Receive(b []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.state == idle || len(b) < headerLen || !intact(b) ||
		binary.BigEndian.Uint16(b) != c.opt.PeerPort || binary.BigEndian.Uint16(b[2:]) != c.opt.Port {
		return
	}
	tag := binary.BigEndian.Uint32(b[4:])
	b = b[headerLen:]
	data := false
	c.replies = 0
	for first := true; c.err == nil; first = false {
		k, rest, ok := nextChunk(b)
		if !ok {
			break
		}
		b = rest
		if !c.tagFits(tag, &k, first) {
			return
		}
		if k.kind == kindData {
			data = true
			c.receiveData(&k)
		} else if !c.receiveControl(&k, now) {
			break
		}
	}
	if data && c.err == nil {
		c.rx.packets++
		if c.rx.packets >= ackAlways {
			c.queue(c.appendAck(c.begin(c.peerTag)))
		}
	}
}

// tagFits reports whether the tag of a packet allows a chunk (RFC 9260, 8.5).
func (c *Channel) tagFits(tag uint32, k *chunk, first bool) bool {
	switch k.kind {
	case kindInit:
		return first && tag == 0
	case kindAbort:
		return tag == c.tag || k.flags&flagNoTag != 0 && tag == c.peerTag && tag != 0
	}
	return tag == c.tag
}

// receiveControl handles a chunk without data. It returns false if the rest of the packet must be
// skipped.
func (c *Channel) receiveControl(k *chunk, now time.Time) bool {
	switch k.kind {
	case kindInit:
		c.receiveInit(k.value)
		return false // it is the only chunk of its packet
	case kindInitAck:
		c.receiveInitAck(k.value, now)
	case kindCookieEcho:
		c.receiveCookie(k.value, now)
	case kindCookieAck:
		if c.state == cookieEchoed {
			c.establish(now)
		}
	case kindSack:
		if c.state == established {
			c.receiveSack(k.value, now)
		}
	case kindHeartbeat:
		if c.state == established && len(k.value) <= maxCookie {
			c.reply(kindHeartbeatAck, k.value)
		}
	case kindAbort:
		c.endLocked(ErrAborted)
	case kindShutdown:
		c.reply(kindShutdownAck, nil)
		c.endLocked(io.EOF)
	case kindShutdownAck, kindShutdownComplete:
		c.endLocked(io.EOF)
	case kindReconfig:
		if c.state == established {
			c.receiveReconfig(k.value)
		}
	case kindHeartbeatAck, kindError, kindPad:
	default:
		return k.kind&0x80 != 0 // the highest bit says whether to skip one chunk or the packet
	}
	return true
}

// Flush sends what the packets of the other side ask for: acknowledgments, and bytes for which
// there is room now.
func (c *Channel) Flush(now time.Time) {
	c.mu.Lock()
	defer c.unlock()
	c.sendLocked(now)
}

// abort ends the channel because the other side broke the protocol.
func (c *Channel) abort() {
	c.sendChunk(kindAbort, 0, nil)
	c.endLocked(ErrProtocol)
}
