package daemon

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"spate/internal/weburl"
)

// clientIdle is the time without a request after which the listener for the graphical client closes.
// An open page always has a request: the stream of events.
const clientIdle = 5 * time.Minute

// activity counts the requests of clients. It is safe for concurrent use.
type activity struct {
	now     func() time.Time
	mu      sync.Mutex
	running int
	last    time.Time // when the last request ended
}

// of returns a handler that counts the requests of h.
func (a *activity) of(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.add(1)
		defer a.add(-1)
		h.ServeHTTP(w, r)
	})
}

func (a *activity) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running += n
	a.last = a.now()
}

// idle returns for how long there was no request.
func (a *activity) idle() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running > 0 {
		return 0
	}
	return a.now().Sub(a.last)
}

// clientDoor is the listener on loopback for the graphical client of a daemon whose API is not on the
// network. [clientDoor.run] opens it when it is asked for and closes it when it is idle.
type clientDoor struct {
	asks  chan chan doorAnswer
	ready chan struct{} // closed once the API is served
}

// doorAnswer is the answer to a request for the listener.
type doorAnswer struct {
	addr netip.AddrPort
	err  error
}

func newClientDoor() *clientDoor {
	return &clientDoor{asks: make(chan chan doorAnswer), ready: make(chan struct{})}
}

// ClientURL returns the URL of a listener that serves the API on the network, with which the graphical
// client comes, without a slash at its end. If there is none, it opens one on loopback, which closes
// again when it was idle for five minutes.
func (d *Daemon) ClientURL(ctx context.Context) (string, error) {
	select {
	case <-d.door.ready:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if d.apiAddr != "" {
		return d.apiURL()
	}
	answer := make(chan doorAnswer, 1)
	select {
	case d.door.asks <- answer:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	a := <-answer
	if a.err != nil {
		return "", a.err
	}
	return weburl.FromAddr("http", a.addr).String(), nil
}

// apiURL returns the URL of the API on the network for a browser of this machine.
func (d *Daemon) apiURL() (string, error) {
	addr, err := netip.ParseAddrPort(d.apiAddr)
	if err != nil {
		return "", err
	}
	if addr.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	}
	if d.trackerNode.tls == nil {
		return weburl.FromAddr("http", addr).String(), nil
	}
	u := weburl.FromAddr("https", addr) // the certificate is for the name of the site
	u.Host, err = weburl.Host("https", net.JoinHostPort(d.address.Load().base.Hostname(), u.Port()))
	return u.String(), err
}

// runDoor opens and closes the listener for the client until ctx ends.
func (d *Daemon) runDoor(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case answer := <-d.door.asks:
			access, err := d.networkAccess()
			var l net.Listener
			if err == nil {
				l, err = listenLoopback(ctx)
			}
			if err != nil {
				answer <- doorAnswer{err: err}
				continue
			}
			answer <- doorAnswer{addr: addrPortOf(l.Addr())}
			d.env.Log.Info("the graphical client can be opened", "addr", l.Addr())
			err = d.door.serve(ctx, d.trackerNode.server.Bound(l), d.requests.of(d.conf.Answer(d, access)), d.env.Now)
			if err != nil {
				d.env.Log.Error("the listener for the graphical client failed", "err", err)
			}
		}
	}
}

// serve serves h at l until ctx ends or the listener is idle.
func (c *clientDoor) serve(ctx context.Context, l net.Listener, h http.Handler, now func() time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	uses := &activity{now: now, last: now()}
	served := make(chan error, 1)
	go func() { served <- serveStreams(ctx, l, uses.of(h)) }()
	tick := time.NewTicker(clientIdle / 10)
	defer tick.Stop()
	for {
		select {
		case err := <-served:
			return err
		case answer := <-c.asks:
			uses.add(0)
			answer <- doorAnswer{addr: addrPortOf(l.Addr())}
		case <-tick.C:
			if uses.idle() >= clientIdle {
				cancel()
				return <-served
			}
		}
	}
}

// listenLoopback listens on any free port of loopback: on Linux and Windows at a random address of
// 127.0.0.0/8. Browsers send the cookies of an address to all its ports, so that a server of another
// user at 127.0.0.1 would receive the cookie of the client there.
func listenLoopback(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	var raw [3]byte
	rand.Read(raw[:]) // crypto/rand.Read never returns an error
	for i := range raw {
		raw[i] = 1 + raw[i]%254
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, raw[0], raw[1], raw[2]}), 0)
	if l, err := lc.Listen(ctx, "tcp", addr.String()); err == nil {
		return l, nil
	}
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, listenError(err, "the graphical client", "tcp", "127.0.0.1:0", "api")
	}
	return l, nil
}
