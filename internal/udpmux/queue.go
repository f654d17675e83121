package udpmux

import "sync"

// Bounds of a queue. A packet that is longer than maxQueued is sent at once.
const (
	queueLen  = 64
	maxQueued = 1500
)

// queue collects the packets for one socket until they are sent together.
type queue struct {
	mu      sync.Mutex // guards the fields below; held while the packets are sent
	packets []Packet
	data    []byte // the data of all packets
}

// Queue copies a packet, and sends it together with others: after the batch that the receivers
// have now, when 64 packets are queued, or with the next [Mux.Flush]. Code that does not run in a
// receiver must call Flush itself. Packets that cannot be sent are dropped and counted.
func (m *Mux) Queue(p Packet) {
	s := m.socketFor(p.Addr.Addr())
	if s == nil || len(p.Data) > maxQueued {
		m.Send([]Packet{p})
		return
	}
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.packets == nil {
		q.packets, q.data = make([]Packet, 0, queueLen), make([]byte, 0, queueLen*maxQueued)
	}
	begin := len(q.data)
	q.data = append(q.data, p.Data...)
	p.Data = q.data[begin:len(q.data):len(q.data)]
	q.packets = append(q.packets, p)
	if len(q.packets) == queueLen {
		q.flush(m)
	}
}

// Flush sends the packets that wait in the queues.
func (m *Mux) Flush() {
	for _, s := range m.sockets {
		s.queue.mu.Lock()
		s.queue.flush(m)
		s.queue.mu.Unlock()
	}
}

// flush sends the packets. The caller holds the lock.
func (q *queue) flush(m *Mux) {
	if len(q.packets) == 0 {
		return
	}
	m.Send(q.packets)
	q.packets, q.data = q.packets[:0], q.data[:0]
}
