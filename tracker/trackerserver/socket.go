package trackerserver

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"spate"
	"spate/internal/fairpool"
)

const (
	// maxQueued bounds the bytes that wait to be sent to a client. A client that does not read
	// them is disconnected.
	maxQueued = 256 << 10
	// sendTime limits the time in which a client must take a message.
	sendTime = 10 * time.Second
	// firstTime limits the time until the first announce of a client.
	firstTime = time.Minute
	// maxSwarms bounds the swarms that one client can be in.
	maxSwarms = 1000
	// maxMalformed is the number of malformed messages after which a client is disconnected.
	maxMalformed = 16
)

// The rates at which a client may send messages, may make offers that are handed out, and is
// handed offers of others: the time for each in the long run, and how many at once.
const (
	messageStep, messageBurst = 20 * time.Millisecond, 500
	offerStep, offerBurst     = 500 * time.Millisecond, 100
	takeStep, takeBurst       = 200 * time.Millisecond, 50
)

// socket is a client that is connected over WebSocket. One goroutine reads its messages, in
// sockethandle.go. While the client is idle, it has no buffer.
type socket struct {
	conn    *websocket.Conn
	raw     net.Conn // the connection under conn
	from    netip.Addr
	token   []byte                    // the token in the URL; empty if there is none
	slot    *fairpool.Member[*socket] // guarded by sockets.mu
	evicted bool                      // another client got the slot; guarded by sockets.mu

	// The fields below belong to the goroutine that reads.
	swarms    []*attendee
	until     time.Time // end of the time for the next announce
	malformed int
	messages  bucket
	offers    bucket

	taken atomic.Int64 // what is paid of the offers of others, see bucket

	mu      sync.Mutex
	queue   [][]byte // messages that wait to be sent; guarded by mu
	queued  int      // bytes in queue; guarded by mu
	writing bool     // a goroutine writes; guarded by mu
}

// bucket limits a rate: it is the time, in nanoseconds since 1970, up to which all events are paid.
type bucket int64

// take counts an event, or returns how long it must wait.
func (b *bucket) take(now time.Time, step time.Duration, burst int) time.Duration {
	t := now.UnixNano()
	paid := max(int64(*b), t) + int64(step)
	if over := time.Duration(paid - t - int64(burst)*int64(step)); over > 0 {
		return over
	}
	*b = bucket(paid)
	return 0
}

// accepts counts an offer of another client, and reports whether the socket takes it. It can be
// called concurrently.
func (k *socket) accepts(now time.Time) bool {
	for {
		old := k.taken.Load()
		b := bucket(old)
		if b.take(now, takeStep, takeBurst) > 0 {
			return false
		}
		if k.taken.CompareAndSwap(old, int64(b)) {
			return true
		}
	}
}

// attendee returns the peer of a swarm, or nil.
func (k *socket) attendee(ih *spate.InfoHash) *attendee {
	for _, a := range k.swarms {
		if a.hash == *ih {
			return a
		}
	}
	return nil
}

// end disconnects the client. The goroutine that reads then gets an error.
func (k *socket) end() { k.raw.Close() }

// send sends a message. It never waits: a goroutine writes what the connection does not take at
// once. If too much waits, the client is disconnected.
func (k *socket) send(message []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.queued += len(message); k.queued > maxQueued {
		k.end()
		return
	}
	k.queue = append(k.queue, message)
	if !k.writing {
		k.writing = true
		go k.write()
	}
}

// reply sends a message of which the caller keeps the memory, and waits until it is written. Only
// the goroutine that reads calls it, so that a client that does not read gets no more replies.
func (k *socket) reply(message []byte) {
	k.mu.Lock()
	if k.writing {
		k.mu.Unlock()
		k.send(bytes.Clone(message))
		return
	}
	k.writing = true
	k.mu.Unlock()
	k.writeOne(message)
	k.write()
}

// write writes the messages of the queue until it is empty.
func (k *socket) write() {
	for {
		k.mu.Lock()
		queue := k.queue
		k.queue, k.queued = nil, 0
		if len(queue) == 0 {
			k.writing = false
			k.mu.Unlock()
			return
		}
		k.mu.Unlock()
		for _, m := range queue {
			if !k.writeOne(m) {
				break
			}
		}
	}
}

// writeOne writes a message. It disconnects a client that does not take it in time.
func (k *socket) writeOne(message []byte) bool {
	k.raw.SetWriteDeadline(time.Now().Add(sendTime))
	err := k.conn.Write(context.Background(), websocket.MessageText, message)
	if err != nil {
		k.end()
	}
	return err == nil
}

// await limits the time until the next announce.
func (k *socket) await(d time.Duration) {
	k.until = time.Now().Add(d)
	k.raw.SetReadDeadline(k.until)
}
