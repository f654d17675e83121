package sctp

import (
	"bytes"
	"encoding/binary"
	"time"
)

// Messages that open a data channel (RFC 8832, 8.2.1).
const (
	dcepAck      = 2
	dcepOpen     = 3
	dcepOpenLen  = 12
	dcepReliable = 0 // ordered and reliable
)

// Times of the packets that open an association.
const (
	firstTry = 500 * time.Millisecond // until INIT or COOKIE ECHO is sent again; doubled each time
	maxTries = 8
)

// Start begins to open the association. Both sides do so (RFC 8831, 6.1), and one suffices.
func (c *Channel) Start(now time.Time) {
	c.mu.Lock()
	defer c.unlock()
	if c.err != nil || c.state != idle {
		return
	}
	c.state = cookieWait
	c.sendSetup(now)
}

// sendSetup sends INIT or COOKIE ECHO, and plans to send it again.
func (c *Channel) sendSetup(now time.Time) {
	if c.state == cookieWait {
		s := setup{tag: c.tag, window: maxReceive, tsn: c.tx.first}
		c.queue(appendChunk(c.begin(0), kindInit, 0, s.append(nil)))
	} else {
		c.sendChunk(kindCookieEcho, 0, c.peerCookie)
	}
	c.time.setup = now.Add(firstTry << min(c.tries, 3))
	c.tries++
	c.arm(now)
}

// meet records the other side.
func (c *Channel) meet(s *setup) {
	c.peerTag, c.noSum = s.tag, s.zero
	c.tx.peerWindow = int(min(s.window, 1<<30))
	c.rx.cumulative = s.tsn - 1
	c.rx.told = maxReceive
}

// receiveInit handles the other side's INIT. It answers until COOKIE ECHO of the other side has
// come: the other side sends no INIT after it.
func (c *Channel) receiveInit(value []byte) {
	s, ok := parseSetup(value)
	if !ok || c.state != cookieWait && (c.state != cookieEchoed || s.tag != c.peerTag) {
		return
	}
	if c.state == cookieWait {
		c.meet(&s)
	}
	ours := setup{tag: c.tag, window: maxReceive, tsn: c.tx.first, cookie: c.cookie[:]}
	c.sendChunk(kindInitAck, 0, ours.append(nil))
}

func (c *Channel) receiveInitAck(value []byte, now time.Time) {
	s, ok := parseSetup(value)
	if !ok || s.cookie == nil || c.state != cookieWait {
		return
	}
	c.meet(&s)
	c.peerCookie = bytes.Clone(s.cookie)
	c.state, c.tries = cookieEchoed, 0
	c.sendSetup(now)
}

func (c *Channel) receiveCookie(value []byte, now time.Time) {
	if !bytes.Equal(value, c.cookie[:]) || c.peerTag == 0 {
		return
	}
	c.reply(kindCookieAck, nil)
	c.establish(now)
}

// establish records that the association is open, and opens the channel.
func (c *Channel) establish(now time.Time) {
	if c.state == established {
		return
	}
	c.state, c.peerCookie = established, nil
	c.time.setup = time.Time{}
	if c.opt.Dial {
		open := [dcepOpenLen]byte{dcepOpen, dcepReliable} // without a label
		c.tx.add(ppidDCEP, open[:])
		c.opened()
	}
	c.arm(now)
}

// opened records that the channel is open.
func (c *Channel) opened() {
	c.isOpen = true
	close(c.done)
}

// receiveDCEP handles a message about the channel.
func (c *Channel) receiveDCEP(b []byte) {
	switch {
	case c.isOpen: // an acknowledgment, which says nothing new
	case len(b) < dcepOpenLen || b[0] != dcepOpen || b[1] != dcepReliable,
		int(binary.BigEndian.Uint16(b[8:]))+int(binary.BigEndian.Uint16(b[10:])) != len(b)-dcepOpenLen:
		c.sendChunk(kindAbort, 0, nil)
		c.endLocked(ErrRefused)
	default:
		c.tx.add(ppidDCEP, []byte{dcepAck})
		c.opened()
	}
}
