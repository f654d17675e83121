package utp

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"spate/internal/sockerr"
)

// Times of a connection.
const (
	synTimeout   = time.Second            // the first wait for the answer to a SYN
	synTries     = 5                      // SYNs before Dial gives up, after 25 seconds
	minRTO       = 500 * time.Millisecond // BEP 29
	maxRTO       = 10 * time.Second
	initialRTO   = time.Second
	deadAfter    = 40 * time.Second // without progress while packets wait for an ACK
	deadTimeouts = 4
	keepAlive    = 29 * time.Second // as libutp; many routers forget a UDP mapping after 30 s
	lingerFor    = 20 * time.Second // how long a closed connection tries to deliver its last bytes
	lingerShare  = 4                // 1 of so many connections may be closed and deliver its last bytes
	never        = time.Duration(1<<63 - 1)
)

// Errors of connections. They are in a [net.OpError].
var (
	errRefused = fmt.Errorf("the peer refused the connection: %w", syscall.ECONNREFUSED)
	errReset   = fmt.Errorf("the peer reset the connection: %w", syscall.ECONNRESET)
	errTimeout = fmt.Errorf("the peer does not answer: %w", os.ErrDeadlineExceeded)
	errLost    = fmt.Errorf("the peer does not acknowledge data: %w", syscall.ETIMEDOUT)
)

// state is the state of a connection. A connection that has ended has a cause in addition.
type state uint8

const (
	dialing state = iota
	open
	ended
)

// machine is one side of a connection, without a socket, a clock or a lock. Packets go in with
// handle and come out of next; now is the time since any fixed point, the same for all calls. The
// caller calls timeout when the time that deadline returns has come, and next after any other
// call, until it returns nil.
type machine struct {
	state        state
	recvID       uint16 // the id in packets of the peer
	sendID       uint16 // the id in packets to the peer
	clock        uint32 // what the times in packets to the peer exceed now by, in microseconds
	cause        error  // why the connection ended; nil if it was closed and all is delivered
	opened       bool   // the peer has answered
	closed       bool   // nobody reads or writes any more
	resetDue     bool   // a RESET is to be sent
	resetAck     uint16
	duplicates   int // ACKs in a row that acknowledge nothing new
	r            receiver
	s            sender
	congestion   ledbat
	queue        queueing
	mtu          mtuSearch
	reply        uint32 // the delay of the peer's last packet, for the next header
	srtt, rttvar time.Duration
	backoff      int           // timeouts since the peer acknowledged something
	force        int           // packets that may be sent although the window is full
	retransmitAt time.Duration // 0 if no packet waits for an ACK
	probeAt      time.Duration // when the last packet is sent again, before it counts as lost; 0 if it is not
	lossAt       time.Duration // when a packet that others have overtaken counts as lost; 0 if none has been
	closedAt     time.Duration
	progressAt   time.Duration // when the peer acknowledged something, said that its window is closed, or got something to acknowledge
	sentAt       time.Duration // when the last packet was sent
	highest      uint32        // the latest transmission that arrived
	tolerance    uint32        // packets that may overtake another before it counts as lost
	cutOrder     uint32        // a loss of this or an earlier transmission does not shrink the window again
	inPieces     bool          // the packet that next has returned may be fragmented
	scratch      [headerLen + 2 + maxSACK]byte
}

// newMachine returns a connection that begins to send with the sequence number seq.
func newMachine(o *Options, now time.Duration, seq uint16, maxMTU int) *machine {
	m := &machine{progressAt: now, sentAt: now, tolerance: minTolerance}
	m.r.limit = o.ReceiveWindow
	m.s.una, m.s.next, m.s.end, m.s.firstHit = seq, seq, seq, seq
	m.s.window = safeWindow
	m.mtu = newMTUSearch(o.MTU, maxMTU)
	m.s.packet = m.mtu.size - headerLen
	m.congestion = newLedbat(o.TargetDelay, m.s.packet)
	return m
}

// newDialer returns a connection that sends a SYN.
func newDialer(o *Options, now time.Duration, id, seq uint16, maxMTU int) *machine {
	m := newMachine(o, now, seq, maxMTU)
	m.recvID, m.sendID = id, id+1
	m.s.add(stSyn, m.recvID)
	return m
}

// newAcceptor returns the connection for a SYN with the given id and sequence number whose answer
// had the proof p.
func newAcceptor(o *Options, now time.Duration, id, synSeq uint16, p proof, maxMTU int) *machine {
	m := newMachine(o, now, synSeq+p.seq, maxMTU)
	m.state, m.opened, m.recvID, m.sendID, m.clock = open, true, id+1, id, p.clock
	m.r.ack = synSeq
	return m
}

// handle takes a packet of the peer.
func (m *machine) handle(now time.Duration, h *header) {
	if m.state == ended || h.kind == stSyn {
		if h.kind == stSyn && m.state == open && h.seq == m.r.ack {
			m.r.ackNow = true // the answer to the SYN was lost, or the SYN was duplicated
		}
		return
	}
	// An ACK of data that was never sent, or that was acknowledged long ago, is forged or older
	// than the network keeps packets.
	back := int16(m.s.next - 1 - h.ack)
	if back < 0 || back > 2*maxInFlight {
		return
	}
	if h.kind == stReset {
		m.handleReset(h)
		return
	}
	if m.state == dialing {
		if h.kind != stState || h.ack != m.s.una {
			return
		}
		m.state, m.opened, m.r.ack = open, true, h.seq-1
		m.r.unacked, m.r.ackAt = 1, now+ackDelay // lets a peer that kept no state for the SYN accept
	}
	if h.timestamp != 0 {
		m.reply = timestamp(now, m.clock) - h.timestamp
		m.queue.received(now, m.reply)
	}
	m.handleAck(now, h)
	if h.kind == stData || h.kind == stFin {
		m.r.receive(now, h)
	}
	m.finish()
}

// handleReset ends the connection if the RESET answers a packet that was sent.
func (m *machine) handleReset(h *header) {
	if m.state == dialing {
		m.end(errRefused)
	} else {
		m.end(errReset)
	}
}

// end ends the connection.
func (m *machine) end(cause error) {
	if m.state == ended {
		return
	}
	m.state, m.cause = ended, cause
	m.s.clear()
	m.r.dropRing()
	m.mtu.drop()
}

// abort ends the connection and tells the peer.
func (m *machine) abort(cause error) {
	if m.state == ended {
		return
	}
	// libtorrent ignores a RESET that acknowledges a packet that it has not sent.
	m.resetDue, m.resetAck = m.state == open, m.r.ack
	m.end(cause)
}

// close stops reading and ends the stream of sent bytes. The connection ends when the peer has
// acknowledged them.
func (m *machine) close(now time.Duration) {
	if m.closed || m.state == ended {
		m.closed = true
		return
	}
	m.closed, m.closedAt = true, now
	if m.state == dialing {
		m.end(net.ErrClosed)
		return
	}
	m.r.stop()
	m.s.fin = true
	m.s.add(stFin, m.sendID)
	m.finish()
}

// finish ends a closed connection whose last packet is acknowledged.
func (m *machine) finish() {
	if m.state == open && m.closed && m.s.una == m.s.end {
		if m.r.unacked > 0 || m.r.ackNow {
			return // next sends the last ACK
		}
		m.end(nil)
	}
}

// readable returns the number of bytes that can be read, and whether no more will come.
func (m *machine) readable() (n int, eof bool) {
	return m.r.unread.size, m.r.ended || m.state == ended
}

// writable returns the number of bytes that can be written.
func (m *machine) writable() int {
	if m.state != open || m.s.fin {
		return 0
	}
	return m.s.room(int(m.congestion.window))
}

// write queues as many bytes of p as fit and returns their number.
func (m *machine) write(now time.Duration, p []byte) int {
	if m.s.una == m.s.end && now-m.sentAt > max(m.rto(), time.Second) {
		m.congestion.idled()
	}
	return m.s.write(p, m.sendID, m.writable())
}

// deadline returns when timeout must be called next.
func (m *machine) deadline() time.Duration {
	if m.state == ended {
		return never
	}
	d := m.sentAt + keepAlive
	for _, at := range [...]time.Duration{m.retransmitAt, m.probeAt, m.lossAt, m.r.ackAt} {
		if at != 0 {
			d = min(d, at)
		}
	}
	if m.closed {
		d = min(d, m.closedAt+lingerFor)
	}
	return d
}

// timeout does what is due.
func (m *machine) timeout(now time.Duration) {
	if m.state == ended {
		return
	}
	if m.closed && now >= m.closedAt+lingerFor {
		m.abort(errLost)
		return
	}
	if m.r.ackAt != 0 && now >= m.r.ackAt || now >= m.sentAt+keepAlive {
		m.r.ackNow = true
	}
	if m.lossAt != 0 && now >= m.lossAt {
		m.detectLoss(now)
	}
	if m.retransmitAt != 0 && now >= m.retransmitAt {
		m.retransmitTimeout(now)
	} else if m.probeAt != 0 && now >= m.probeAt {
		m.probeTail(now)
	}
}

// next returns a packet to send, or nil if there is none. The packet is valid until the next
// call of another method; packets of calls in a row are valid together.
func (m *machine) next(now time.Duration) []byte {
	m.inPieces = false
	if m.resetDue {
		m.resetDue = false
		ts := timestamp(now, m.clock)
		h := header{kind: stReset, id: m.sendID, timestamp: ts, delay: m.reply, seq: m.s.next, ack: m.resetAck}
		h.put(m.scratch[:])
		return m.scratch[:headerLen]
	}
	if m.state == ended {
		return nil
	}
	if b := m.nextData(now); b != nil {
		m.sentAt = now
		return b
	}
	if !m.r.ackNow || m.state != open {
		return nil
	}
	m.sentAt = now
	h := header{
		kind: stState, id: m.sendID, timestamp: timestamp(now, m.clock), delay: m.reply,
		window: uint32(m.r.window()), seq: m.s.next, ack: m.r.ack,
	}
	b := m.scratch[:]
	h.put(b)
	n := m.r.sack(b[headerLen+2:])
	m.r.advertised = int(h.window)
	m.r.acknowledged()
	m.finish()
	if n == 0 {
		return b[:headerLen]
	}
	b[1], b[headerLen], b[headerLen+1] = extSACK, extNone, byte(n)
	return b[:headerLen+2+n]
}

// nextData returns the next DATA, FIN or SYN packet, if the windows let it be sent.
func (m *machine) nextData(now time.Duration) []byte {
	s := &m.s
	var seq uint16
	switch {
	case s.lost > 0:
		seq = s.firstLost()
	case s.next != s.end:
		seq = s.next
	default:
		return nil
	}
	p := s.at(seq)
	if m.force == 0 && !m.maySend(p, seq) {
		if s.inFlight == 0 && m.retransmitAt == 0 {
			m.retransmitAt = now + m.rto() // a probe of the peer's closed window
		}
		return nil
	}
	m.force = max(m.force-1, 0)
	first := p.status == queued
	m.inPieces = m.mtu.fragments(int(p.b.end), p.sends)
	if first && seq == s.una {
		m.progressAt = now
	}
	s.sent(now, seq)
	if m.retransmitAt == 0 || s.inFlight == p.payload() {
		m.retransmitAt = now + m.backedOff()
	}
	if first {
		m.armProbe()
	}
	stamp(p.b.data[:], timestamp(now, m.clock), m.reply, m.r.window(), m.r.ack)
	m.r.advertised = m.r.window()
	if m.r.reordered == 0 {
		m.r.acknowledged()
	}
	if first && !m.inPieces && m.mtu.due(now, p.payload(), s.packet, s.inFlight) {
		return m.mtu.pad(seq, p.b.bytes())
	}
	return p.b.bytes()
}

// maySend reports whether the congestion window and the window of the peer allow a packet.
func (m *machine) maySend(p *slot, seq uint16) bool {
	n := m.s.inFlight + p.payload()
	if m.s.inFlight > 0 && n > int(m.congestion.window) {
		return false
	}
	if p.payload() > 0 && n > m.s.window {
		return false
	}
	return int(seq-m.s.una) < m.s.packets()
}

// sendFailed records that a packet of n bytes could not be sent. If the system says that it is
// too large, a probe of the MTU search has failed, or the link carries less than before.
func (m *machine) sendFailed(now time.Duration, n int, err error) {
	if !sockerr.Is(err, syscall.EMSGSIZE) {
		return
	}
	if !m.mtu.probing || n != m.mtu.next() {
		if n > m.mtu.start && n <= m.mtu.size && m.mtu.shrink(now) {
			m.resize()
		}
		return
	}
	seq := m.mtu.seq
	m.mtu.tries = probeTries - 1
	m.mtu.lost(now, seq)
	if m.s.at(seq).status == flying {
		m.s.lose(seq)
	}
}
