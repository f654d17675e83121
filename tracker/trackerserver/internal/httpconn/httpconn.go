// Package httpconn accepts the HTTP connections of a tracker. [Options.Listen] returns a
// listener for an http.Server that limits the number of connections and, on Linux, answers
// simple GET requests for some paths itself. With net/http an announce costs about twenty
// times as much as its lookup in the table, and about forty times as much if each announce
// has its own connection. Every other connection is given to the http.Server, from its
// first byte on.
//
// reactor_linux.go reads a request, parse.go parses it, and a [Worker] answers it. gate.go
// limits the connections, and proxyheader.go reads the headers of the PROXY protocol.
package httpconn

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"spate/internal/sockqueue"
)

// Handler answers the requests that a listener reads itself. Its methods are called
// concurrently.
type Handler interface {
	// Match reports whether requests for a path are for the handler. The path has its
	// first slash, and no query. Other requests are answered by the http.Server.
	Match(path []byte) bool
	// NewWorker returns a worker. The listener uses one for each of its goroutines.
	NewWorker() Worker
}

// Worker answers requests, one at a time. It must not wait.
type Worker interface {
	// Answer returns the body of the response, which has the status 200. The slice is
	// valid until the next call.
	Answer(r *Request) []byte
}

// Request is a GET request without a body, whose header fields do not change its meaning.
// It and its slices are valid during the call of [Worker.Answer].
type Request struct {
	Now         time.Time
	From        netip.Addr // the client; in canonical form
	Path, Query []byte     // as they are in the request line, still escaped
}

// Options configures listeners. It must not change while they are in use.
type Options struct {
	Handler Handler
	// MaxPath is the length in bytes of the longest path for which Match returns true.
	MaxPath int
	// MaxConns limits the connections of each listener. It must be positive.
	MaxConns int
	// IsProxy reports whether connections from an address come from a trusted proxy.
	// They are always given to the http.Server, and are limited one by one instead of
	// by network. nil means that there are no proxies.
	IsProxy func(netip.Addr) bool
	// ProxyProtocol means that connections from proxies start with a header of the
	// PROXY protocol.
	ProxyProtocol bool
	// Now is the clock. Log receives warnings. Counts are incremented by all listeners.
	Now    func() time.Time
	Log    *slog.Logger
	Counts *Counts
}

// Counts are numbers since the start.
type Counts struct {
	// Dropped are the responses that did not fit into the send buffer of a connection,
	// because the client did not read.
	Dropped atomic.Uint64
	// Overflowed are the connections that were closed at once because the limit was
	// reached.
	Overflowed atomic.Uint64
	// Ended are the connections that were closed so that another one could be accepted.
	Ended atomic.Uint64
}

// maxUnsent limits the bytes of a connection that wait to be sent for the first time. It
// is enough to keep a line busy between two writes, at the cost of a third more CPU time
// for each byte over loopback. Without it, megabytes that a client never reads would
// count as read.
const maxUnsent = 64 << 10

// Listen returns a listener for an http.Server that answers requests for Handler itself
// if the system is Linux and l is a TCP listener; otherwise it is like Bound. It owns l.
// Closing it also closes the connections that were not given to the http.Server.
func (o *Options) Listen(l net.Listener) net.Listener {
	if t, ok := l.(*net.TCPListener); ok {
		_ = sockqueue.LimitUnsent(t, maxUnsent) // the gate is less exact without it
		if f, err := o.listenFast(t); err == nil {
			return f
		}
	}
	return o.Bound(l)
}

// Bound returns a listener for an http.Server that limits the connections of l and reads
// headers of the PROXY protocol. It owns l.
func (o *Options) Bound(l net.Listener) net.Listener {
	if t, ok := l.(*net.TCPListener); ok {
		_ = sockqueue.LimitUnsent(t, maxUnsent) // the gate is less exact without it
	}
	return &boundListener{Listener: l, o: o, gate: newGate(o)}
}

// proxy reports whether a is the address of a trusted proxy.
func (o *Options) proxy(a netip.Addr) bool { return o.IsProxy != nil && o.IsProxy(a) }

// connKey is the key of a request's connection in its context.
type connKey struct{}

// ConnContext is for http.Server.ConnContext. It adds the connection to the context, for
// [Busy].
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	switch c := conn.(type) {
	case *stdConn:
		return context.WithValue(ctx, connKey{}, c)
	case *proxyConn:
		return context.WithValue(ctx, connKey{}, c.stdConn)
	}
	return ctx
}

// Busy notes that the server is answering a request with the context ctx: until the
// returned function is called, the connection does not count as idle, even if nothing is
// sent.
func Busy(ctx context.Context) (done func()) {
	c, ok := ctx.Value(connKey{}).(*stdConn)
	if !ok {
		return func() {}
	}
	c.gate.begin(c)
	return func() { c.gate.finish(c) }
}

// Release frees the slot of a connection whose request has the context ctx, so that it does not
// count any more. The caller has taken the connection over, and limits it otherwise.
func Release(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*stdConn); ok {
		c.gate.leave(c.gate.o.Now(), c.slot)
	}
}

// Watch calls f with the connection of the operating system under a new connection with the
// context ctx, and calls the function that f returns each time the connection is closed. It
// does nothing if ctx is not from ConnContext.
func Watch(ctx context.Context, f func(net.Conn) (closing func())) {
	if c, ok := ctx.Value(connKey{}).(*stdConn); ok {
		c.closing = f(c.Conn)
	}
}

// addrOf returns the canonical IP address in a. It is not valid if a is not a TCP address.
func addrOf(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return t.AddrPort().Addr().Unmap().WithZone("")
}
