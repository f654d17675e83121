package torrent

import (
	"net/netip"
	"testing"
	"time"

	"spate/peerwire"
	"spate/storage"
)

// joinedPeer returns a torrent and its connection with a peer.
func joinedPeer(t *testing.T, opt AddOptions, pieces int) (*Torrent, *conn) {
	t.Helper()
	_, mi := noiseTorrent(t, pieces*16<<10, 16<<10)
	s := testSession(t, Options{})
	opt.Storage = storage.NewMemory(int64(pieces) * 16 << 10)
	tor := added(t, s, mi, opt)
	p := dialPeer(t, s.Addr(), mi.Hash(), extendedAndFast())
	p.send(peerwire.AppendSimple(nil, peerwire.HaveNone))
	if !p.alive(0) {
		t.Fatal("the connection ended")
	}
	tor.mu.Lock()
	defer tor.mu.Unlock()
	for _, c := range tor.peerConns.byID {
		if c != nil {
			return tor, c
		}
	}
	t.Fatal("there is no connection")
	return nil, nil
}

// TestShortMessagesCauseFewPasses checks that a batch of short messages causes at most a few
// passes over all connections of the torrent, whatever the messages are.
func TestShortMessagesCauseFewPasses(t *testing.T) {
	t.Parallel()
	const n = 64
	message := func(id peerwire.ID, index int) peerwire.Message {
		m := peerwire.Message{ID: id, Index: uint32(index)}
		switch id {
		case peerwire.Request, peerwire.Cancel, peerwire.Reject:
			m.Length = 16 << 10
		case peerwire.Extended:
			m.Index, m.Payload = extDontHave, []byte{0, 0, 0, byte(index)}
		}
		return m
	}
	for name, ids := range map[string][]peerwire.ID{
		"reject":         {peerwire.Reject},
		"interest":       {peerwire.Interested, peerwire.NotInterested},
		"no interest":    {peerwire.NotInterested},
		"interested":     {peerwire.Interested},
		"choke":          {peerwire.Choke, peerwire.Unchoke},
		"have":           {peerwire.Have},
		"have and not":   {peerwire.Have, peerwire.Extended},
		"not have":       {peerwire.Extended},
		"all":            {peerwire.HaveAll, peerwire.Extended},
		"allowed fast":   {peerwire.AllowedFast},
		"suggest":        {peerwire.Suggest},
		"cancel":         {peerwire.Cancel},
		"request":        {peerwire.Request},
		"request cancel": {peerwire.Request, peerwire.Cancel},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tor, c := joinedPeer(t, AddOptions{}, n)
			now := time.Now()
			tor.mu.Lock()
			defer tor.mu.Unlock()
			for i := range n - 1 { // the peer has most pieces, and this side requests them
				if err := c.haveLocked(int64(i)); err != nil {
					t.Fatal(err)
				}
			}
			c.wire.peerChoking, c.req.pipe.depth = false, n
			c.refillLocked(now)
			if tor.pick.PendingOf(c.id) == 0 {
				t.Fatal("no block is requested")
			}
			before := tor.slots.passes
			for i := range maxBatch {
				m := message(ids[i%len(ids)], i%n)
				if err := c.handleLocked(&m, now); err != nil {
					t.Fatal(err)
				}
			}
			c.doDueLocked(now)
			if got := tor.slots.passes - before; got > 4 {
				t.Errorf("%d messages cause %d passes over all connections", maxBatch, got)
			}
		})
	}
}

// TestCancelsCauseBoundedWork checks that an honest peer can cancel all its requests in any
// order, and that cancels of a hostile peer are ignored once they have caused too much work.
func TestCancelsCauseBoundedWork(t *testing.T) {
	t.Parallel()
	tor, c := joinedPeer(t, AddOptions{}, 1)
	tor.mu.Lock()
	defer tor.mu.Unlock()
	fill := func() {
		c.tx.uploads = c.tx.uploads[:0]
		for i := range maxUploadQueue {
			c.tx.uploads = append(c.tx.uploads, upload{piece: uint32(i), length: 16 << 10})
		}
	}
	cancel := func(piece int, now time.Time) {
		c.canceledLocked(&peerwire.Message{ID: peerwire.Cancel, Index: uint32(piece), Length: 16 << 10}, now)
	}
	now := time.Now()
	for name, order := range map[string]func(i int) int{
		"ascending": func(i int) int { return i }, "descending": func(i int) int { return maxUploadQueue - 1 - i }, "mixed": func(i int) int { return i * 7 % maxUploadQueue },
	} {
		fill()
		now = now.Add(time.Hour)
		for i := range maxUploadQueue {
			cancel(order(i), now)
		}
		if n := len(c.tx.uploads); n != 0 {
			t.Errorf("%d requests are left after all were canceled in %s order", n, name)
		}
	}
	fill()
	now = now.Add(time.Hour)
	for range 100_000 {
		cancel(maxUploadQueue, now) // no such request
	}
	if c.work.spent > workBurst {
		t.Errorf("cancels caused %d steps, want at most %d", c.work.spent, workBurst)
	}
	cancel(0, now)
	if len(c.tx.uploads) != maxUploadQueue {
		t.Error("a cancel beyond the bound caused work")
	}
	cancel(0, now.Add(time.Minute))
	if len(c.tx.uploads) != maxUploadQueue-1 {
		t.Error("a cancel after a pause was ignored")
	}
	c.tx.uploads = c.tx.uploads[:0]
}

// TestRevokedPiecesCauseBoundedWork checks that a seed may revoke each of its pieces, and that a
// peer that becomes a seed and revokes a piece again and again is dropped.
func TestRevokedPiecesCauseBoundedWork(t *testing.T) {
	t.Parallel()
	const n = 1000
	tor, c := joinedPeer(t, AddOptions{}, n)
	tor.mu.Lock()
	defer tor.mu.Unlock()
	now := time.Now()
	become := func() error { return c.moreLocked(tor.emptyLocked().Zeros()) }
	revoke := func(i int) error {
		return c.dontHaveLocked([]byte{0, 0, byte(i >> 8), byte(i)}, now)
	}
	if err := become(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := revoke(i); err != nil {
			t.Fatal(err)
		}
	}
	flips := 0
	for ; flips < 100_000; flips++ {
		if err := become(); err != nil {
			t.Fatal(err)
		}
		if revoke(0) != nil {
			break
		}
	}
	if work := flips * n; work < workBurst/2 || work > workBurst {
		t.Errorf("the peer revoked a piece of a complete torrent %d times, which is %d steps, want about %d", flips, work, workBurst)
	}
}

// TestPeerTellsOurAddressOnce checks that one peer can change this side's idea of its own
// address only once, and that it cannot name the port of another service.
func TestPeerTellsOurAddressOnce(t *testing.T) {
	t.Parallel()
	tor, c := joinedPeer(t, AddOptions{}, 1)
	tor.mu.Lock()
	defer tor.mu.Unlock()
	c.peer.incoming = true
	for i := range 100 {
		h := peerwire.ExtHandshake{YourIP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), Port: 25}
		const before = 6 // bytes of the length, the message id and the extension id
		if err := c.extHandshakeReceivedLocked(peerwire.AppendExtHandshake(nil, &h)[before:]); err != nil {
			t.Fatal(err)
		}
	}
	port := tor.s.AdvertisedPort()
	for i, own := range []bool{true, false, false} {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), port)
		if usable := tor.peers.Usable(a, 0); usable == own {
			t.Errorf("the address number %d that the peer told is our own: %v", i, !usable)
		}
	}
	if c.ext.listens.IsValid() {
		t.Errorf("the peer listens at %v, want no address", c.ext.listens)
	}
}

// TestWorkBudget checks that the budget allows a burst, then a rate, and each thing once.
func TestWorkBudget(t *testing.T) {
	t.Parallel()
	var b workBudget
	now := time.Unix(1e9, 0)
	for i, c := range []struct {
		after time.Duration
		steps int
		want  bool
	}{
		{0, workBurst, true}, {0, 1, false}, {time.Microsecond, 1, false}, {time.Second, workRate, true}, {0, 2, false},
		{time.Hour, 10 * workBurst, true}, {time.Minute, 1, false}, {time.Hour, workBurst - 1, true}, {0, 1, true}, {0, 1, false},
	} {
		now = now.Add(c.after)
		if got := b.take(c.steps, now); got != c.want {
			t.Errorf("step %d: %d steps after %v: %v, want %v", i, c.steps, c.after, got, c.want)
		}
	}
}
