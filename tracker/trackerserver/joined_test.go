package trackerserver

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/tracker/swarm"
	"spate/tracker/wire"
)

// numbered returns an info-hash.
func numbered(n int) (ih spate.InfoHash) {
	binary.BigEndian.PutUint32(ih[:], uint32(n))
	return ih
}

// TestSeederOfManyTorrentsIsServed checks that one connection can announce 5,000 torrents, that its
// interval grows with them, and that all swarms are left when it ends.
func TestSeederOfManyTorrentsIsServed(t *testing.T) {
	t.Parallel()
	const n = 5000
	var calls atomic.Int64
	start := time.Now()
	s := newServer(t, Options{Now: func() time.Time { return start.Add(time.Duration(calls.Add(1)) * messageStep) }})
	c := dialWS(t, serveHTTP(t, s), "/announce", 1)
	go func() {
		for i := range n {
			c.write(wire.AppendWSRequest(nil, &wire.WSRequest{InfoHash: numbered(i), PeerID: c.id}))
		}
	}()
	var last wire.WSReply
	for i := range n {
		if last = c.read(); last.Failure != "" {
			t.Fatalf("torrent %d: %+v", i, last)
		}
	}
	if last.Interval != 5*uint32(socketInterval/time.Second) {
		t.Errorf("the interval is %d s", last.Interval)
	}
	if n := s.store.Totals().SocketSeeders; n != 5000 {
		t.Errorf("%d seeders", n)
	}
	c.conn.CloseNow()
	eventually(t, "the client leaves", func() bool { return s.store.Totals().SocketSeeders == 0 && s.Counts().Sockets == 0 })
	s.sockets.spare.mu.Lock()
	defer s.sockets.spare.mu.Unlock()
	if s.sockets.spare.used != 0 || len(s.sockets.spare.by) != 0 {
		t.Errorf("%d swarms of %d networks are left", s.sockets.spare.used, len(s.sockets.spare.by))
	}
}

// TestSpareSwarmsAreShared checks that one network cannot take all, and that another one then finds
// room.
func TestSpareSwarmsAreShared(t *testing.T) {
	t.Parallel()
	var s spareSwarms
	take := func(n fairpool.Network) (got int) {
		for s.take(n) {
			got++
		}
		return got
	}
	first, second := take(1), take(2)
	if first != maxSpare/2 || second < maxSpare/5 {
		t.Errorf("the first network took %d of %d, and the second one %d", first, maxSpare, second)
	}
	for range first {
		s.free(1)
	}
	if third := take(3); third < maxSpare/5 {
		t.Errorf("a third network took %d", third)
	}
}

// TestSmallSwarmsTakeLittleMemory measures the memory of swarms with one peer.
func TestSmallSwarmsTakeLittleMemory(t *testing.T) {
	const n = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all meetings
	k := &socket{}
	for i := range n {
		ih := numbered(i)
		ih[0] = byte(i)
		a := &attendee{socket: k, hash: ih}
		k.swarms.add(a)
		all.shard(&ih).join(a)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes for each", each)
	if each > 400 {
		t.Errorf("a swarm of one peer takes %d bytes", each)
	}
	runtime.KeepAlive(&all)
}

// TestShortIntervalOfOneSwarmKeepsTheConnection checks that a client has time for its next announce
// that does not depend on the interval of one swarm.
func TestShortIntervalOfOneSwarmKeepsTheConnection(t *testing.T) {
	t.Parallel()
	s, err := New(newTable(t, swarm.Options{Interval: 10 * time.Second}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.sockets.close)
	c := dialWS(t, serveHTTP(t, s), "/announce", 1)
	before := time.Now()
	if r := c.announce(wire.WSRequest{Left: 5}); r.Interval > 60 {
		t.Fatalf("the interval is %d s", r.Interval)
	}
	if until := onlySocket(t, s).until; until.Before(before.Add(2 * socketInterval)) {
		t.Errorf("the client is disconnected after %v", until.Sub(before))
	}
}

// TestDeadConnectionLeavesAllSwarms checks that a client that connects again is no longer in the other
// swarms of its old connection, if that does not answer.
func TestDeadConnectionLeavesAllSwarms(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.sockets.pongTime = time.Millisecond
	addr := serveHTTP(t, s)
	dead := dialWS(t, addr, "/announce", 1) // it answers no ping, because nobody reads
	dead.announce(wire.WSRequest{Left: 5})
	dead.write(wire.AppendWSRequest(nil, &wire.WSRequest{InfoHash: numbered(1), PeerID: dead.id, Left: 5}))
	dead.read()
	again := dialWS(t, addr, "/announce", 1)
	if r := again.announce(wire.WSRequest{Left: 5}); r.Incomplete != 1 {
		t.Errorf("%+v", r)
	}
	eventually(t, "the old connection leaves its other swarm", func() bool {
		_, n, _, _ := s.store.Scrape(s.now(), numbered(1))
		return n == 0 && s.Counts().Sockets == 1
	})
}

// TestTwoConnectionsOfOneClientStay checks that a client with two connections keeps both, such as one
// that finds two addresses of the tracker in a torrent.
func TestTwoConnectionsOfOneClientStay(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	addr := serveHTTP(t, s)
	first := dialWS(t, addr, "/announce", 1)
	first.announce(wire.WSRequest{Left: 5})
	k := onlySocket(t, s)
	go first.conn.Read(t.Context()) // a ping arrives while the client reads
	second := dialWS(t, addr, "/announce", 1)
	second.announce(wire.WSRequest{Left: 5})
	eventually(t, "the first connection answers", func() bool { return !k.checking.Load() })
	if r := second.announce(wire.WSRequest{Left: 5}); r.Incomplete != 1 || s.Counts().Sockets != 2 {
		t.Errorf("%d clients, %+v", s.Counts().Sockets, r)
	}
}

// TestMessagesThatWaitAreCharged checks the rate of messages of a client that always sends.
func TestMessagesThatWaitAreCharged(t *testing.T) {
	t.Parallel()
	var b bucket
	start := time.Unix(1e9, 0)
	now := start
	for range messageBurst + 1000 {
		now = now.Add(b.pay(now, messageStep, messageBurst))
	}
	if took := now.Sub(start); took != 1000*messageStep {
		t.Errorf("1,000 messages beyond the burst took %v, want %v", took, 1000*messageStep)
	}
}
