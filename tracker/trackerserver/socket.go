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

	"spate/internal/fairpool"
)

const (
	// maxQueued bounds the bytes that wait to be sent to a client. A client that does not read
	// the replies to its own messages is disconnected.
	maxQueued = 256 << 10
	// maxQueuedOffers and maxQueuedAnswers are the bytes in the queue up to which offers and
	// answers of other clients are added. They are dropped above that, so that others cannot get
	// a client with a slow line disconnected.
	maxQueuedOffers, maxQueuedAnswers = maxQueued / 2, maxQueued / 4 * 3
	// sendTime limits the time in which a client must take a message.
	sendTime = 10 * time.Second
	// firstTime limits the time until the first announce of a client.
	firstTime = time.Minute
	// pongTime limits the time in which a client must answer a ping.
	pongTime = 30 * time.Second
	// maxMalformed is the number of malformed messages after which a client is disconnected.
	maxMalformed = 16
)

// The rates at which a client may send messages and may make offers that are handed out: the time
// for each in the long run, and how many at once.
const (
	messageStep, messageBurst = 20 * time.Millisecond, 500
	offerStep, offerBurst     = 500 * time.Millisecond, 100
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
	swarms    joined
	until     time.Time // end of the time for the next announce
	malformed int
	messages  bucket
	offers    bucket

	taken    takenOffers
	checking atomic.Bool // see check

	mu      sync.Mutex
	queue   [][]byte // messages that wait to be sent; guarded by mu
	queued  int      // bytes that wait, with those that write took from queue; guarded by mu
	writing bool     // a goroutine writes; guarded by mu
}

// interval returns the longest interval that the client is told.
func (k *socket) interval() time.Duration {
	n := max(len(k.swarms.list), manySwarms)
	return min(socketInterval*time.Duration(n)/manySwarms, maxSocketInterval)
}

// check disconnects a client that does not answer a ping, and does not wait for that. A client that
// connects again before the tracker notices the end of the old connection is still in the swarms of
// the old one. The caller is the goroutine of another client.
func (ss *sockets) check(k *socket) {
	if !k.checking.CompareAndSwap(false, true) {
		return
	}
	ss.running.Go(func() {
		defer k.checking.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), ss.pongTime)
		defer cancel()
		k.raw.SetWriteDeadline(time.Now().Add(sendTime)) // that of the last message has passed
		if err := k.conn.Ping(ctx); err != nil {
			k.end()
		}
	})
}

// end disconnects the client and does not wait. The goroutine that reads then gets an error. The
// connection below TLS is closed, because TLS would first send that it closes, for up to 5 s.
func (k *socket) end() {
	raw := k.raw
	if below, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = below.NetConn()
	}
	raw.Close()
}

// send sends a message, or returns false if more than limit bytes would wait. It never waits: a
// goroutine writes what the connection does not take at once.
func (k *socket) send(message []byte, limit int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.queued+len(message) > limit {
		return false
	}
	k.queued += len(message)
	k.queue = append(k.queue, message)
	if !k.writing {
		k.writing = true
		go k.write()
	}
	return true
}

// reply sends a message of which the caller keeps the memory, and waits until it is written if no
// other message is being written. A client for which too much waits is disconnected. Only the
// goroutine that reads calls reply.
func (k *socket) reply(message []byte) {
	k.mu.Lock()
	if k.writing {
		k.mu.Unlock()
		if !k.send(bytes.Clone(message), maxQueued) {
			k.end()
		}
		return
	}
	k.writing = true
	k.mu.Unlock()
	k.writeOne(message)
	k.write()
}

// write writes the messages of the queue until it is empty. The caller has set writing.
func (k *socket) write() {
	for {
		k.mu.Lock()
		queue := k.queue
		k.queue = nil
		if len(queue) == 0 {
			k.writing = false
			k.mu.Unlock()
			return
		}
		k.mu.Unlock()
		for _, m := range queue {
			k.writeOne(m) // returns at once after an error
			k.mu.Lock()
			k.queued -= len(m)
			k.mu.Unlock()
		}
	}
}

// writeOne writes a message. It disconnects a client that does not take it in time.
func (k *socket) writeOne(message []byte) {
	k.raw.SetWriteDeadline(time.Now().Add(sendTime))
	if err := k.conn.Write(context.Background(), websocket.MessageText, message); err != nil {
		k.end()
	}
}

// await limits the time until the next announce.
func (k *socket) await(d time.Duration) {
	k.until = time.Now().Add(d)
	k.raw.SetReadDeadline(k.until)
}
