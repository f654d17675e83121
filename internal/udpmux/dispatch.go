package udpmux

import (
	"net/netip"
	"time"
)

// batch holds the packets of one read by their kind. Each reader owns one.
type batch struct {
	m      *Mux
	byKind [kinds][]Packet
	count  uint64
}

// add adds one message that was read. Its data consists of packets of size bytes, of which the
// last may be shorter, or is one packet if size is 0.
func (b *batch) add(from netip.AddrPort, local netip.Addr, data []byte, size int) {
	if size <= 0 || size > len(data) {
		size = len(data)
	}
	for {
		p := Packet{Addr: from, Local: local, Data: data[:size:size]}
		kind := Classify(p.Data)
		b.byKind[kind] = append(b.byKind[kind], p)
		b.count++
		if data = data[size:]; len(data) == 0 {
			return
		}
		size = min(size, len(data))
	}
}

// dispatch passes the packets to their receivers, sends what these have queued, and empties the
// batch.
func (b *batch) dispatch() {
	b.m.count.received.Add(b.count)
	b.count = 0
	for kind := range b.byKind {
		packets := b.byKind[kind]
		if len(packets) == 0 {
			continue
		}
		b.byKind[kind] = packets[:0]
		if !b.m.receivers[kind].call(packets) {
			b.m.count.unclaimed.Add(uint64(len(packets)))
		}
	}
	b.m.Flush()
}

// call calls the receiver. It returns false if there is none.
func (r *receiver) call(packets []Packet) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f == nil {
		return false
	}
	r.f(packets)
	return true
}

// Pauses of a reader whose socket fails again and again, so that it does not use the whole
// processor. The first failures get no pause, because most are the error of an earlier packet.
const (
	freeFailures = 100
	failurePause = 10 * time.Millisecond
)

// pause waits after the given number of failures in a row, until the Mux is closed.
func (m *Mux) pause(failures int) {
	if failures <= freeFailures {
		return
	}
	t := time.NewTimer(failurePause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.closed:
	}
}

// isClosed reports whether Close was called.
func (m *Mux) isClosed() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}
