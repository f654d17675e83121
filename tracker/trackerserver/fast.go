package trackerserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"time"
)

// The fast path of HTTP. An announce by net/http costs some twenty times what
// the table does for it, and a connection for each makes that forty. So a
// [Server.Listener] looks at what comes over its connections: announces and
// scrapes that are plainly put it answers itself, and a connection with anything
// else, from its first byte on, goes to the http.Server that accepts from it.

// maxHead is the longest head of a request that the fast path looks at.
const maxHead = 12 << 10

// idleLimit is the time that a connection of the fast path has for its next
// request, whole.
const idleLimit = 30 * time.Second

// head is the part of a request's head that matters.
type head struct {
	route route
	token []byte
	query []byte
	keep  bool // the connection stays open
	size  int  // in bytes
}

// verdict is what is to be done with what came over a connection.
type verdict uint8

const (
	wait    verdict = iota // for more
	take                   // it is for the fast path
	decline                // it is for net/http
)

var (
	headStart = []byte("GET /")
	headEnd   = []byte("\r\n\r\n")
)

// parseHead reads the head of the request that b begins with. It declines, as
// early as it can, whatever is not a GET of an announce or a scrape, and
// whatever is unusual: it need not know why.
func (s *Server) parseHead(b []byte) (h head, v verdict) {
	if len(b) < len(headStart) {
		if bytes.HasPrefix(headStart, b) {
			return h, wait
		}
		return h, decline
	}
	if !bytes.HasPrefix(b, headStart) {
		return h, decline
	}
	line := b
	whole := false
	if i := bytes.IndexByte(b, '\r'); i >= 0 {
		line, whole = b[:i], true
	}
	target := line[len("GET "):]
	path := target
	if i := bytes.IndexAny(target, "? "); i >= 0 {
		path = target[:i]
	} else if !whole && len(path) < len(s.prefix)+2*tokenLen {
		return h, wait // the path may go on
	}
	if h.route, h.token = s.routeOf(path); h.route == routeNone {
		return h, decline
	}
	end := bytes.Index(b, headEnd)
	switch {
	case end < 0 && (len(b) > maxHead || bareLF(b)):
		return h, decline
	case end < 0:
		return h, wait
	}
	h.size = end + len(headEnd)
	target, version, ok := bytes.Cut(target, []byte(" "))
	switch {
	case !ok:
		return h, decline
	case string(version) == "HTTP/1.1":
		h.keep = true
	case string(version) != "HTTP/1.0":
		return h, decline
	}
	if len(target) > len(path) {
		h.query = target[len(path)+1:]
	}
	if bytes.IndexByte(path, '%') >= 0 || !plain(target) || !h.fields(b[len(line):end+2]) {
		return h, decline
	}
	return h, take
}

// bareLF reports whether a line of b ends without a CR, as net/http lets it: the
// head may be whole, and never have the end that is looked for.
func bareLF(b []byte) bool {
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return false
		}
		if i += n; i == 0 || b[i-1] != '\r' {
			return true
		}
	}
}

// plain reports whether target has no byte that a URL may not have.
func plain(target []byte) bool {
	for _, c := range target {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// fields reads header fields, each of which begins after a CRLF and ends before
// one. It reports whether they leave the meaning of the request as it is.
func (h *head) fields(b []byte) bool {
	b = b[2:]
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 1 || b[i-1] != '\r' {
			return false
		}
		line := b[:i-1]
		b = b[i+1:]
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || line[0] == ' ' || line[0] == '\t' || line[colon-1] == ' ' || bytes.IndexByte(line, '\r') >= 0 {
			return false
		}
		name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
		switch len(name) {
		case len("Connection"):
			if equalFold(name, "connection") {
				switch {
				case equalFold(value, "close"):
					h.keep = false
				case !equalFold(value, "keep-alive"):
					return false
				}
			}
		case len("Content-Length"):
			if equalFold(name, "content-length") {
				return false
			}
		case len("Transfer-Encoding"):
			if equalFold(name, "transfer-encoding") {
				return false
			}
		case len("Upgrade"):
			if equalFold(name, "upgrade") {
				return false
			}
		case len("Expect"):
			if equalFold(name, "expect") {
				return false
			}
		case len("X-Forwarded-For"):
			if equalFold(name, "x-forwarded-for") {
				return false // clientAddr knows whether it counts
			}
		}
	}
	return true
}

// equalFold compares ASCII without regard to case; lower is in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// appendResponse appends a response with the body. date is that of the Date
// field, from [dateField].
func appendResponse(b, date, body []byte, keep bool) []byte {
	b = append(b, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: "...)
	b = append(b, date...)
	if !keep {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, headEnd...)
	return append(b, body...)
}

// appendDate appends now in the form of a Date field.
func appendDate(b []byte, now time.Time) []byte {
	return now.UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
}

// handedConn is a connection that goes on at net/http: what was read of it
// already comes first.
type handedConn struct {
	net.Conn
	read  []byte
	gate  *gate
	place *place // given back when the connection is closed

	requests int // that are being answered, as far as ConnContext tells; guarded by gate.mu
}

func (c *handedConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		if len(c.read) == 0 {
			c.read = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *handedConn) Write(p []byte) (int, error) {
	c.gate.write(c)
	n, err := c.Conn.Write(p)
	c.gate.wrote(c, int64(n))
	return n, err
}

// ReadFrom lets the kernel send files, as it does for a plain connection.
func (c *handedConn) ReadFrom(r io.Reader) (int64, error) {
	c.gate.write(c)
	n, err := io.Copy(c.Conn, r)
	c.gate.wrote(c, n)
	return n, err
}

// CloseWrite lets net/http say that it sends nothing more, and still read.
func (c *handedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close gives the place back and closes the connection.
func (c *handedConn) Close() error {
	c.gate.leave(c.gate.s.now(), c.place)
	return c.Conn.Close()
}

// end implements ender. net/http closes c itself when it sees that.
func (c *handedConn) end() { go c.Conn.Close() }
