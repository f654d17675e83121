package utp

import (
	"testing"
	"testing/synctest"
	"time"
)

// sendAhead passes packets to a connection of s as if its peer had sent them after a packet that
// was lost.
func sendAhead(s *Socket, c *Conn, first, count int) {
	var b [headerLen + 1]byte
	for i := range count {
		h := header{kind: stData, id: c.m.recvID, timestamp: 1, seq: c.m.r.ack + 2 + uint16(first+i), ack: c.m.s.una - 1, window: 1 << 20}
		h.put(b[:])
		s.Handle(b[:], c.key.addr)
	}
}

// TestReorderedPacketsAreBounded checks that a Socket bounds the packets that wait for lost ones, and
// that a closed connection keeps none.
func TestReorderedPacketsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{})
		defer a.Close()
		defer b.Close()
		_, y := connect(t, a, b)
		sendAhead(b, y, 0, 100)
		if got := b.reordered.Load(); got != 100 {
			t.Errorf("the Socket counts %d packets, want 100", got)
		}
		b.reordered.Add(maxReorderAll)
		sendAhead(b, y, 100, 100)
		if got := b.reordered.Load() - maxReorderAll; got != 100 {
			t.Errorf("a connection keeps %d packets above the bound of the Socket, want 100", got)
		}
		_, z := connect(t, a, b)
		sendAhead(b, z, 0, 100)
		if z.m.r.reordered != minRingSize {
			t.Errorf("a new connection keeps %d packets above the bound of the Socket, want %d", z.m.r.reordered, minRingSize)
		}
		b.reordered.Add(-maxReorderAll)
		y.Close()
		sendAhead(b, y, 0, 100)
		z.Abort()
		if got := b.reordered.Load(); got != 0 {
			t.Errorf("closed connections keep %d packets", got)
		}
	})
}

// TestClosedConnectionsLeaveRoom checks that connections whose peers do not answer the end of the
// stream do not take all places of a Socket.
func TestClosedConnectionsLeaveRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newTestNet(time.Millisecond)
		a, b := n.listen(t, "10.0.0.1:1", Options{}), n.listen(t, "10.0.0.2:2", Options{MaxConns: 8})
		defer a.Close()
		defer b.Close()
		var open []*Conn
		for range 8 {
			_, y := connect(t, a, b)
			open = append(open, y)
		}
		a.Close() // the peers are gone, and their RESETs arrive after the connections were closed
		for _, y := range open {
			y.Close()
		}
		if conns, _ := b.sizes(); conns != 8/lingerShare {
			t.Errorf("%d of 8 closed connections remain, want %d", conns, 8/lingerShare)
		}
		time.Sleep(time.Minute)
		if conns, _ := b.sizes(); conns != 0 || b.lingering.Load() != 0 {
			t.Errorf("%d connections remain, %d are counted as closed", conns, b.lingering.Load())
		}
	})
}
