package trackerserver

import (
	"bytes"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// minScrape is the wait between scrapes that clients are asked for, in seconds.
const minScrape = 5 * 60

// route is what a path asks for.
type route uint8

const (
	routeNone route = iota
	routeAnnounce
	routeScrape
)

// routeOf reads a path: /announce, /announce/TOKEN or /TOKEN/announce, and the
// same with scrape (BEP 48).
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

// routeOf reads a path that may have the prefix.
func (s *Server) routeOf(path []byte) (route, []byte) {
	if len(s.prefix) > 0 {
		if rest, ok := bytes.CutPrefix(path, s.prefix); ok && len(rest) > 0 && rest[0] == '/' {
			path = rest
		}
	}
	return routeOf(path)
}

// Handler returns a handler that answers announces and scrapes and leaves every
// other path to next; nil: they are not found.
func (s *Server) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer busy(r)()
		if route, _ := s.routeOf([]byte(r.URL.Path)); route != routeNone {
			s.ServeHTTP(w, r)
		} else {
			next.ServeHTTP(w, r)
		}
	})
}

// ServeHTTP answers an announce or a scrape.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, token := s.routeOf([]byte(r.URL.Path))
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
	c.reset(s.now(), HTTP, from)
	c.trusted = c.trusted && trusted
	c.token = token
	out := s.answerHTTP(c, s.shared, route, []byte(r.URL.RawQuery))
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	w.Write(out)
}

// ClientAddr returns the address of the client behind a request: that of the connection,
// or, where that is a named proxy's, the one that the proxy says. It is not valid if the
// proxy does not say.
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

// clientAddr returns the address of who is behind remote: for a named proxy, the
// right-most address of the X-Forwarded-For headers that is no named proxy. A
// proxy that does not say hides its client, which may then not say its address
// itself: trusted is false.
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
			if from, trusted = a, true; !contains(s.proxies, a) {
				return from, trusted
			}
		}
	}
	return from, trusted
}

// parseForwarded reads an item of X-Forwarded-For: an address, which some
// proxies send with a port.
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

// answerHTTP returns the bencoded answer to a request whose origin is in c. The
// answer is part of c.
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

// appendFailure appends a refusal with everything that BEP 31 and good manners
// put beside it.
func (s *Server) appendFailure(b []byte, r *Refusal) []byte {
	interval, shortest := s.intervals()
	retry := minutes(r.RetryIn)
	if retry == 0 && !r.Never {
		retry = minutes(time.Duration(interval) * time.Second)
	}
	return wire.AppendFailure(b, &wire.FailureReply{Reason: r.Reason, Interval: interval, MinInterval: shortest, RetryIn: retry, Never: r.Never})
}

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
	if full {
		for st := range s.table.All() {
			c.hashes = append(c.hashes, st.InfoHash)
		}
	}
	n.scrapes[HTTP].Add(1)
	slices.SortFunc(c.hashes, func(a, b spate.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	out := wire.AppendScrapeStart(c.out)
	for _, ih := range slices.Compact(c.hashes) {
		if seeders, leechers, completed, ok := s.scrape(c.now, ih); ok {
			out = wire.AppendScrapeEntry(out, ih, seeders, completed, leechers)
		}
	}
	if full {
		c.hashes = nil // may be large
	}
	return wire.AppendScrapeEnd(out, minScrape)
}
