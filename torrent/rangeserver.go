package torrent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"spate/internal/fairpool"
)

// Pages in browsers fetch pieces from the peer port over HTTP, which costs a browser a tenth of
// WebRTC. The peer port tells such a connection from the handshake of a peer by its first bytes.
// net/http reads the requests; rangerequest.go parses what they ask for, and rangeserve.go decides
// and sends. Nothing is served but verified pieces of a torrent whose info-hash the asker knows.

// Limits of the HTTP connections at the peer port.
const (
	maxRangeConns    = 64                    // connections
	rangePause       = 20 * time.Second      // how long a client that took its data fast may take nothing before others get its place
	rangeFloor       = 8 << 10               // bytes a second below which others may get the place of a connection
	rangeHeaderBytes = 8 << 10               // bytes of a request
	rangeHeaderTime  = 10 * time.Second      // time to send a request
	rangeIdleTime    = time.Minute           // time between two requests
	rangeStuckTime   = 30 * time.Second      // time in which a client must take a part of the answer
	rangeBurst       = 40                    // requests of a connection at once
	rangeEvery       = 50 * time.Millisecond // time after which one more request may come
)

// errHTTP means that a connection begins with a request over HTTP.
var errHTTP = errors.New("the connection asks over HTTP")

// rangeMethods are the beginnings of requests that the peer port recognises.
var rangeMethods = [][]byte{[]byte("GET /"), []byte("HEAD /"), []byte("OPTIONS /")}

// asksHTTP reports whether a connection begins with a request over HTTP. more means that the bytes
// do not tell yet.
func asksHTTP(begin []byte) (asks, more bool) {
	for _, m := range rangeMethods {
		switch {
		case bytes.HasPrefix(begin, m):
			return true, false
		case bytes.HasPrefix(m, begin):
			more = true
		}
	}
	return false, more
}

// readAsHTTP reads more of a connection until its bytes tell whether it asks over HTTP, and returns
// all bytes. An encrypted handshake is longer than a method, so that this does not wait for bytes
// that never come.
func readAsHTTP(r io.Reader, begin []byte) (all []byte, asks bool, err error) {
	for {
		asks, more := asksHTTP(begin)
		if !more {
			return begin, asks, nil
		}
		var b [16]byte
		n, err := r.Read(b[:])
		begin = append(begin, b[:n]...)
		if err != nil && n == 0 {
			return begin, false, err
		}
	}
}

// servesRanges reports whether the session serves ranges to pages. Who requires encryption wants the
// port to look like noise.
func (s *Session) servesRanges() bool {
	return !s.opt.NoRanges && s.opt.Encryption != EncryptionRequire
}

// offersRanges reports whether pages should be told of this session.
func (s *Session) offersRanges() bool {
	return !s.opt.NoListen && !s.opt.NoTCP && (s.opt.OfferRanges == nil || s.opt.OfferRanges())
}

// rangeServer serves ranges over HTTP on connections that the peer port hands over. It implements
// [net.Listener] for its server.
type rangeServer struct {
	s      *Session
	server http.Server
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	handlers sync.WaitGroup // counts the requests that are answered

	mu     sync.Mutex                 // guards the fields below
	pool   *fairpool.Pool[*rangeConn] // connections
	open   map[*rangeConn]struct{}    // the same connections
	ending bool                       // close was called
}

// rangeConn is a connection over HTTP. Only the goroutine of net/http uses its fields, except for
// slot.
type rangeConn struct {
	net.Conn
	raw    net.Conn // the connection below, without the bytes that were read from it
	server *rangeServer
	slot   *fairpool.Member[*rangeConn] // guarded by rangeServer.mu

	peer   *rangePeer // the torrent from which the connection last got a range; nil before
	line   SendLimit  // limits what all senders of the process send together; nil: no limit
	lined  bool       // line is set
	tokens float64    // requests that may come now
	filled time.Time  // when tokens was computed
	ended  sync.Once
}

type rangeConnKey struct{}

func newRangeServer(s *Session) *rangeServer {
	r := &rangeServer{
		s: s, conns: make(chan net.Conn), closed: make(chan struct{}), open: map[*rangeConn]struct{}{},
		pool: fairpool.New[*rangeConn](fairpool.Options{Slots: maxRangeConns, Floor: rangeFloor, Pause: rangePause}),
	}
	r.server = http.Server{
		Handler: r, MaxHeaderBytes: rangeHeaderBytes, ReadHeaderTimeout: rangeHeaderTime, ReadTimeout: rangeHeaderTime, IdleTimeout: rangeIdleTime,
		DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, rangeConnKey{}, nc)
		},
	}
	r.server.Protocols.SetHTTP1(true)
	return r
}

// run serves until close.
func (r *rangeServer) run() { _ = r.server.Serve(r) }

// close ends all connections. The caller then halts the torrents and calls handlers.Wait.
func (r *rangeServer) close() {
	r.Close()
	r.server.Close()
	r.mu.Lock()
	r.ending = true
	all := slices.Collect(maps.Keys(r.open))
	r.mu.Unlock()
	for _, c := range all { // net/http may not know the last ones
		c.Conn.Close()
	}
}

// drop ends the connections from addresses for which blocked returns true.
func (r *rangeServer) drop(blocked func(netip.Addr) bool) {
	r.mu.Lock()
	all := slices.Collect(maps.Keys(r.open))
	r.mu.Unlock()
	for _, c := range all {
		if blocked(c.address().Addr()) {
			c.Conn.Close() // its goroutine ends, and calls Close
		}
	}
}

// begin counts a request, and returns false after close.
func (r *rangeServer) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ending {
		r.handlers.Add(1)
	}
	return !r.ending
}

// Accept implements [net.Listener].
func (r *rangeServer) Accept() (net.Conn, error) {
	select {
	case nc := <-r.conns:
		return nc, nil
	case <-r.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (r *rangeServer) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

// Addr implements [net.Listener].
func (r *rangeServer) Addr() net.Addr { return &net.TCPAddr{} }

// take hands a connection over, whose first bytes nc returns again. raw is the connection below.
func (r *rangeServer) take(nc, raw net.Conn) {
	now := time.Now()
	c := &rangeConn{Conn: nc, raw: raw, server: r, tokens: rangeBurst, filled: now}
	r.mu.Lock()
	if r.ending {
		r.mu.Unlock()
		nc.Close()
		return
	}
	m, out := r.pool.Enter(now, fairpool.NetworkOf(remoteAddr(raw).Addr()), c)
	c.slot = m
	if m != nil {
		r.open[c] = struct{}{}
		m.Offer(now) // a connection that asks for nothing is like one that takes nothing
	}
	r.mu.Unlock()
	if out != nil {
		out.Value.Conn.Close() // its goroutine ends, and calls Close
	}
	if m == nil {
		nc.Close()
		return
	}
	select {
	case r.conns <- c:
	case <-r.closed:
		c.Close()
	}
}

// Close implements [net.Conn].
func (c *rangeConn) Close() error {
	c.ended.Do(func() {
		c.server.mu.Lock()
		c.slot.Leave(time.Now())
		delete(c.server.open, c)
		c.server.mu.Unlock()
		if c.line != nil {
			c.line.Close()
		}
		if c.peer != nil {
			c.peer.leave()
		}
	})
	return c.Conn.Close()
}

// mayAsk counts a request, and returns false if the client sends too many.
func (c *rangeConn) mayAsk(now time.Time) bool {
	c.tokens = min(rangeBurst, c.tokens+now.Sub(c.filled).Seconds()/rangeEvery.Seconds())
	c.filled = now
	if c.tokens < 1 {
		return false
	}
	c.tokens--
	return true
}

// took records that the client has taken n bytes of an answer.
func (c *rangeConn) took(n int) {
	now := time.Now()
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.slot.Took(now, int64(n))
	c.slot.Offer(now)
}

// address returns the address of the client.
func (c *rangeConn) address() netip.AddrPort { return remoteAddr(c.raw) }
