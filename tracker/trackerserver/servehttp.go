package trackerserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate/internal/weburl"
	"spate/tracker"
	"spate/tracker/trackerserver/internal/httpconn"
	"spate/tracker/wire"
)

// minScrape is the minimum time between two scrapes in the answers to scrapes, in seconds.
const minScrape = 5 * 60

// route is the kind of request that a path stands for.
type route uint8

const (
	routeNone route = iota
	routeAnnounce
	routeScrape
)

// routeOf parses a path: /announce, /announce/TOKEN or /TOKEN/announce, and the same with
// scrape (BEP 48).
func routeOf(path []byte) (r route, token []byte) {
	if len(path) == 0 || path[0] != '/' {
		return routeNone, nil
	}
	first, second := path[1:], []byte(nil)
	if i := bytes.IndexByte(first, '/'); i >= 0 {
		first, second = first[:i], first[i+1:]
		if len(second) == 0 || bytes.IndexByte(second, '/') >= 0 {
			return routeNone, nil
		}
	}
	switch {
	case string(first) == "announce":
		return routeAnnounce, second
	case string(first) == "scrape":
		return routeScrape, second
	case string(second) == "announce":
		return routeAnnounce, first
	case string(second) == "scrape":
		return routeScrape, first
	}
	return routeNone, nil
}

// plainRouteOf parses an encoded path that may start with Options.Prefix. It returns routeNone
// if the path has percent escapes after the prefix; net/http reads such requests.
func (s *Server) plainRouteOf(path []byte) (route, []byte) {
	rest := path
	if len(s.prefix) > 0 {
		if cut, ok := bytes.CutPrefix(path, s.prefix); ok && len(cut) > 0 && cut[0] == '/' {
			rest = cut
		}
	}
	if bytes.IndexByte(rest, '%') >= 0 {
		return routeNone, nil
	}
	return routeOf(rest)
}

// routeOf parses an encoded path, which may start with Options.Prefix, by its decoded segments.
func (s *Server) routeOf(path string) (route, []byte) {
	segments, err := weburl.Segments(path)
	if rest, ok := weburl.CutPrefix(segments, s.prefixSegments); ok && len(rest) > 0 {
		segments = rest
	}
	if err != nil || !strings.HasPrefix(path, "/") || slices.ContainsFunc(segments, func(s string) bool { return strings.Contains(s, "/") }) {
		return routeNone, nil
	}
	return routeOf([]byte("/" + strings.Join(segments, "/")))
}

// Listener returns a listener for an http.Server with the handler [Server.Handler] or one
// that contains it. The listener limits the connections to Options.MaxConns and reads
// headers of the PROXY protocol. On Linux, if l is a TCP listener, it answers announces and
// scrapes itself, without net/http. It owns l; closing it also closes the connections that
// were not given to the http.Server.
//
// When all connections are in use, one that is idle or whose client does not read its
// answer is closed for another. That is less exact if l uses Multipath TCP, which is the
// default of package net: see [net.ListenConfig.SetMultipathTCP].
func (s *Server) Listener(l net.Listener) net.Listener { return s.conns.Listen(l) }

// TLSListener is like Listener for TLS connections. A header of the PROXY protocol comes
// before the TLS handshake.
func (s *Server) TLSListener(l net.Listener, config *tls.Config) net.Listener {
	return tls.NewListener(s.conns.Bound(l), config)
}

// Bound returns a listener for another http.Server of the process. It limits the
// connections of l as Listener does, separately, and answers nothing itself.
func (s *Server) Bound(l net.Listener) net.Listener { return s.conns.Bound(l) }

// ConnContext is for http.Server.ConnContext. With it, a connection does not count as idle
// while [Server.Handler] answers a request of it, even if nothing is sent.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return httpconn.ConnContext(ctx, conn)
}

// WatchConn calls f with the TCP connection under a new connection, and calls the function that
// f returns each time the connection is closed, before that. ctx is the result of [ConnContext].
func WatchConn(ctx context.Context, f func(net.Conn) (closing func())) { httpconn.Watch(ctx, f) }

// httpHandler answers requests that a Listener reads itself.
type httpHandler struct{ s *Server }

func (h httpHandler) Match(path []byte) bool {
	route, _ := h.s.plainRouteOf(path)
	return route != routeNone
}

func (h httpHandler) NewWorker() httpconn.Worker {
	return &httpWorker{s: h.s, n: h.s.newCounters()}
}

// httpWorker answers the requests of one goroutine of a Listener.
type httpWorker struct {
	s    *Server
	call call
	n    *counters
}

func (w *httpWorker) Answer(r *httpconn.Request) []byte {
	w.call.reset(r.Now, tracker.HTTP, r.From)
	route, token := w.s.plainRouteOf(r.Path)
	w.call.token = token
	return w.s.answerHTTP(&w.call, w.n, route, r.Query)
}

// Handler returns a handler that answers announces and scrapes. Requests for other paths
// go to next; if next is nil, they get the status 404.
func (s *Server) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer httpconn.Busy(r.Context())()
		if route, _ := s.routeOf(weburl.RawPath(r.URL)); route != routeNone {
			s.ServeHTTP(w, r)
		} else {
			next.ServeHTTP(w, r)
		}
	})
}

// ServeHTTP answers an announce or a scrape. A request for a WebSocket connection with the path of
// announces becomes one. Other paths get the status 404.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if token, ok := s.webSocketRoute(r); ok {
		s.sockets.upgrade(w, r, token)
		return
	}
	route, token := s.routeOf(weburl.RawPath(r.URL))
	switch {
	case route == routeNone:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "announces and scrapes are GET requests", http.StatusMethodNotAllowed)
		return
	}
	c := s.calls.Get().(*call)
	defer s.calls.Put(c)
	from, trusted := s.clientAddr(remoteAddr(r), r.Header["X-Forwarded-For"])
	c.reset(s.now(), tracker.HTTP, from)
	c.trusted = c.trusted && trusted
	c.token = token
	out := s.answerHTTP(c, s.shared, route, []byte(r.URL.RawQuery))
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	w.Write(out)
}

// ClientAddr returns the address of the client of a request: the address of the
// connection, or the one that a trusted proxy reports. It is not valid if a trusted proxy
// reports none.
func (s *Server) ClientAddr(r *http.Request) netip.Addr {
	from, trusted := s.clientAddr(remoteAddr(r), r.Header["X-Forwarded-For"])
	if !trusted || contains(s.proxies, from) {
		return netip.Addr{}
	}
	return from
}

// remoteAddr returns the address at the other end of a request's connection.
func remoteAddr(r *http.Request) netip.Addr {
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	return remote.Addr().Unmap().WithZone("")
}

// clientAddr returns the address of the client of a connection from remote. For a trusted
// proxy it is the right-most address in the fields X-Forwarded-For that is not a trusted
// proxy. If the proxy does not report its client, from is the address of the proxy and
// trusted is false, so that the client cannot claim another address.
func (s *Server) clientAddr(remote netip.Addr, forwarded []string) (from netip.Addr, trusted bool) {
	from, trusted = remote, true
	if len(s.proxies) == 0 || !contains(s.proxies, remote) {
		return from, trusted
	}
	trusted = false
	for _, header := range slices.Backward(forwarded) {
		for header != "" {
			item := header
			if i := strings.LastIndexByte(header, ','); i >= 0 {
				header, item = header[:i], header[i+1:]
			} else {
				header = ""
			}
			a, ok := parseForwarded(strings.TrimSpace(item))
			if !ok {
				return from, trusted
			}
			from, trusted = a, true
			if !contains(s.proxies, a) {
				return from, trusted
			}
		}
	}
	return from, trusted
}

// parseForwarded parses an item of X-Forwarded-For: an address, which some proxies send
// with a port.
func parseForwarded(item string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(item)
	if err != nil {
		ap, err := netip.ParseAddrPort(item)
		if err != nil {
			return netip.Addr{}, false
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone(""), true
}

// answerHTTP returns the bencoded answer to a request whose client is in c. The answer is
// valid until c is used again.
func (s *Server) answerHTTP(c *call, n *counters, r route, query []byte) []byte {
	c.out = c.out[:0]
	if len(c.token) == 0 && s.opts.Tokens != nil {
		c.token, _ = wire.QueryValue(query, "token", tokenLen)
	}
	if r == routeScrape {
		c.out = s.scrapeHTTP(c, n, query)
		return c.out
	}
	if err := wire.ParseAnnounceQuery(query, &c.req); err != nil {
		n.malformed.Add(1)
		c.out = s.appendFailure(c.out, &Refusal{Reason: err.Error(), Never: true})
		return c.out
	}
	c.want4, c.want6 = true, true
	refusal := s.announce(c)
	n.announced(c, refusal)
	if refusal != nil {
		c.out = s.appendFailure(c.out, refusal)
		return c.out
	}
	if c.reply.Counted {
		s.flush()
	}
	reply := wire.AnnounceReply{
		Interval: inSeconds(c.reply.Interval), MinInterval: inSeconds(c.reply.MinInterval),
		Complete: c.reply.Seeders, Incomplete: c.reply.Leechers, Downloaded: c.reply.Completed,
		Peers4: c.reply.Peers4, Peers6: c.reply.Peers6,
		ExternalIP: c.from, NotCompact: c.req.NotCompact,
	}
	if c.note != nil {
		reply.Warning = c.note.Warning
	}
	c.out = wire.AppendAnnounceReply(c.out, &reply)
	return c.out
}

// appendFailure appends a refusal with the time of the next attempt (BEP 31) and the
// intervals.
func (s *Server) appendFailure(b []byte, r *Refusal) []byte {
	interval, shortest := s.intervals()
	retry := minutes(r.RetryIn)
	if retry == 0 && !r.Never {
		retry = minutes(time.Duration(interval) * time.Second)
	}
	return wire.AppendFailure(b, &wire.FailureReply{Reason: r.Reason, Interval: interval, MinInterval: shortest, RetryIn: retry, Never: r.Never})
}

// scrapeHTTP appends the answer to a scrape to c.out.
func (s *Server) scrapeHTTP(c *call, n *counters, query []byte) []byte {
	refusal := s.admitScrape(c)
	var err error
	c.hashes, err = wire.ParseScrapeQuery(c.hashes[:0], query, tracker.MaxScrapeUDP)
	full := err == nil && len(c.hashes) == 0
	switch {
	case refusal != nil:
	case err != nil:
		n.malformed.Add(1)
		return s.appendFailure(c.out, &Refusal{Reason: err.Error(), Never: true})
	case full && s.opts.Scrapes != ScrapesAll:
		refusal = refuseFull
	}
	if refusal != nil {
		n.refused.Add(1)
		if refusal == &c.limited {
			n.limited.Add(1)
		}
		return s.appendFailure(c.out, refusal)
	}
	n.scrapes[tracker.HTTP].Add(1)
	if full {
		return s.appendFullScrape(c.out)
	}
	return s.appendScrape(c.out, c.now, c.hashes)
}
