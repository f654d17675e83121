package sctp

import (
	"encoding/binary"
	"time"
)

// maxLate bounds how far after the first missing packet others are kept.
const maxLate = 512

// Packets are acknowledged together if they come together. A single one waits for a second (RFC
// 9260, 6.2).
const (
	ackDelay  = 100 * time.Millisecond // how long a single packet waits
	ackAlways = 4                      // packets that share an acknowledgment; Chromium sends no more than 4 after each
)

// late is a packet that came before one that is missing.
type late struct {
	present bool
	flags   byte
	stream  uint16
	ppid    uint32
	data    []byte
}

// receiver is the state of the bytes that come.
type receiver struct {
	cumulative uint32 // the TSN up to which all packets came
	highest    int    // the highest packet in late, after cumulative; 0 if there is none
	late       []late // a ring by TSN; nil if there was none
	lateBytes  int
	dcep       []byte // the part of a message about the channel that came
	buf        bytesQueue
	packets    int  // packets that were not acknowledged
	now        bool // an acknowledgment must be sent at once
	told       int  // the window that the other side knows
}

// room returns how many bytes may still come.
func (r *receiver) room() int { return maxReceive - r.buf.n - r.lateBytes }

// window returns the window for the other side. It is 0 if there is no room for some packets, so
// that the other side sends no short ones (RFC 9260, 6.2.1).
func (r *receiver) window() int {
	if n := r.room(); n >= 4*MaxPacket {
		return n
	}
	return 0
}

// release gives the memory back. It keeps the bytes that can be read if keep is true.
func (r *receiver) release(keep bool) {
	r.late, r.highest, r.lateBytes, r.dcep = nil, 0, 0, nil
	if !keep {
		r.buf.release()
	}
}

// receiveData handles a DATA chunk.
func (c *Channel) receiveData(k *chunk) {
	r := &c.rx
	if c.state != established {
		return
	}
	const header = dataHeader - chunkHeader
	if len(k.value) <= header {
		c.abort() // a chunk without data is not allowed (RFC 9260, 6.2)
		return
	}
	tsn := binary.BigEndian.Uint32(k.value)
	stream, ppid := binary.BigEndian.Uint16(k.value[4:]), binary.BigEndian.Uint32(k.value[8:])
	data := k.value[header:]
	after := int(int32(tsn - r.cumulative))
	if k.flags&flagImmediate != 0 || after != 1 {
		r.now = true
	}
	switch {
	case after <= 0 || after > maxLate || len(data) > r.room(): // it came before, or there is no room
		r.now = true
	case after > 1:
		c.keepLate(tsn, after, late{true, k.flags, stream, ppid, data})
	default:
		r.cumulative++
		c.deliver(k.flags, stream, ppid, data)
		if r.highest > 0 {
			r.highest--
			c.deliverLate()
		}
	}
}

// keepLate keeps a copy of a packet that came too early.
func (c *Channel) keepLate(tsn uint32, after int, l late) {
	r := &c.rx
	if r.late == nil {
		r.late = make([]late, maxLate)
	}
	at := &r.late[tsn%maxLate]
	if at.present {
		return
	}
	l.data = append([]byte(nil), l.data...)
	*at = l
	r.lateBytes += len(l.data)
	r.highest = max(r.highest, after)
}

// deliverLate delivers the packets that are not too early any more.
func (c *Channel) deliverLate() {
	r := &c.rx
	r.now = true
	for c.err == nil {
		at := &r.late[(r.cumulative+1)%maxLate]
		if !at.present {
			break
		}
		l := *at
		*at = late{}
		r.lateBytes -= len(l.data)
		r.cumulative++
		r.highest--
		c.deliver(l.flags, l.stream, l.ppid, l.data)
	}
	if r.highest == 0 {
		r.late = nil
	}
}

// deliver handles the data of the packets in order. Fragments of a message have consecutive TSNs.
func (c *Channel) deliver(flags byte, stream uint16, ppid uint32, data []byte) {
	r := &c.rx
	if !c.hasStream && ppid == ppidDCEP {
		c.stream, c.hasStream = stream, true
	}
	if !c.hasStream || stream != c.stream {
		c.sendChunk(kindAbort, 0, nil)
		c.endLocked(ErrStreams)
		return
	}
	if c.reset {
		return
	}
	switch ppid {
	case ppidBinary, ppidString:
		if !c.isOpen {
			return
		}
		r.buf.add(data)
		c.readers.wake()
	case ppidDCEP:
		if flags&flagBegin != 0 {
			r.dcep = r.dcep[:0]
		}
		if len(r.dcep)+len(data) > maxDCEP {
			c.abort()
			return
		}
		r.dcep = append(r.dcep, data...)
		if flags&flagEnd != 0 {
			c.receiveDCEP(r.dcep)
			r.dcep = nil
		}
	} // others are empty messages, which have one byte without a meaning
}

// wantsAck reports whether an acknowledgment has to be sent now.
func (r *receiver) wantsAck(now, due time.Time) bool {
	return r.now || r.packets > 1 || !due.IsZero() && !now.Before(due)
}

// appendAck appends an acknowledgment (RFC 9260, 3.3.4).
func (c *Channel) appendAck(b []byte) []byte {
	r := &c.rx
	r.now, r.packets, r.told = false, 0, r.window()
	c.time.ack = time.Time{}
	at := len(b)
	b = append(b, kindSack, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, r.cumulative)
	b = binary.BigEndian.AppendUint32(b, uint32(r.told))
	b = append(b, 0, 0, 0, 0)
	gaps, begin := 0, 0
	for i := 2; i <= r.highest+1 && gaps < maxGaps; i++ {
		switch here := i <= r.highest && r.late[(r.cumulative+uint32(i))%maxLate].present; {
		case here && begin == 0:
			begin = i
		case !here && begin > 0:
			b = binary.BigEndian.AppendUint16(b, uint16(begin))
			b = binary.BigEndian.AppendUint16(b, uint16(i-1))
			gaps, begin = gaps+1, 0
		}
	}
	binary.BigEndian.PutUint16(b[at+2:], uint16(sackHeader+sackGapLen*gaps))
	binary.BigEndian.PutUint16(b[at+12:], uint16(gaps))
	return b
}
