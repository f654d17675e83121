package site

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
)

// torrentClients are the names at the beginning of the User-Agent, in lower case, of programs
// that ask for ranges of web seeds.
var torrentClients = []string{
	"aria2/", "biglybt", "azureus", "bittorrent/", "btwebclient/", "deluge", "ktorrent/", "libretorrent", "libtorrent", "lt/", "qbittorrent/", "rain/",
	"spate/", "tixati", "transmission/", "tribler/", "utorrent", "µtorrent", "vuze", "webtorrent", "anacrolix", "torrent/",
}

// libtorrentClients are those of torrentClients that use libtorrent.
var libtorrentClients = []string{"libtorrent", "lt/", "deluge", "libretorrent", "qbittorrent/", "tribler/"}

// isOneOf reports whether a User-Agent begins with one of the names, or contains one as a later
// word.
func isOneOf(names []string, agent string) bool {
	agent = strings.ToLower(agent)
	for _, name := range names {
		if strings.HasPrefix(agent, name) || strings.Contains(agent, " "+name) {
			return true
		}
	}
	return false
}

// byTorrentClient returns the User-Agent of a BitTorrent client that asks for a part of a file,
// or "" if another program asks, or if the request is for the whole file.
func (s *Site) byTorrentClient(r *http.Request) string {
	agent := s.agentOf(r)
	if r.Header.Get("Range") == "" || !isOneOf(torrentClients, agent) {
		return ""
	}
	return agent
}

// connAgentKey is the key of a *connAgent in the context of a connection.
type connAgentKey struct{}

// connAgent remembers the last User-Agent that was sent on a connection, and by whom, because
// a proxy uses one connection for several clients.
type connAgent struct{ last atomic.Pointer[sentAgent] }

type sentAgent struct {
	name string
	from netip.Addr
}

// ConnContext is for http.Server.ConnContext. With it, the site recognizes BitTorrent clients
// that send their User-Agent only with the first request of a connection, as libtorrent does.
func ConnContext(ctx context.Context) context.Context {
	return context.WithValue(ctx, connAgentKey{}, new(connAgent))
}

// agentOf returns the User-Agent of a request, or else that of an earlier request of the same
// client on the connection.
func (s *Site) agentOf(r *http.Request) string {
	agent := r.UserAgent()
	conn, _ := r.Context().Value(connAgentKey{}).(*connAgent)
	if conn == nil {
		return agent
	}
	from := s.clientAddr(r)
	if agent != "" {
		conn.last.Store(&sentAgent{agent, from})
	} else if last := conn.last.Load(); last != nil && last.from == from {
		agent = last.name
	}
	return agent
}

// singleRange returns the bytes that a Range header asks for of a file of size bytes, and
// whether it asks for one range that begins in the file.
func singleRange(header string, size int64) (off, n int64, ok bool) {
	spec, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(header), " ", ""), "bytes=")
	from, to, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return 0, 0, false
	}
	off, err := strconv.ParseInt(from, 10, 64)
	if err != nil || off < 0 || off >= size {
		return 0, 0, false
	}
	last := size - 1
	if to != "" {
		given, err := strconv.ParseInt(to, 10, 64)
		if err != nil || given < off {
			return 0, 0, false
		}
		last = min(last, given)
	}
	return off, last - off + 1, true
}
