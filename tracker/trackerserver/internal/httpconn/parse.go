package httpconn

import (
	"bytes"
	"strconv"
	"time"
)

// maxHead limits the size in bytes of a request's head that is parsed here.
const maxHead = 12 << 10

// head is the parsed head of a request.
type head struct {
	path  []byte
	query []byte
	keep  bool // the connection stays open
	size  int  // size in bytes, including the empty line
}

// verdict is the result of parsing the bytes that a connection has received.
type verdict uint8

const (
	wait    verdict = iota // the request is incomplete
	take                   // the worker answers the request
	decline                // net/http serves the connection
)

var (
	headStart = []byte("GET /")
	headEnd   = []byte("\r\n\r\n")
)

// parseHead parses the head of the first request in b. It declines, as early as possible,
// each request that is not a GET for a path of the handler, and each unusual request.
func (o *Options) parseHead(b []byte) (h head, v verdict) {
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
	h.path = target
	if i := bytes.IndexAny(target, "? "); i >= 0 {
		h.path = target[:i]
	} else if !whole && len(h.path) < o.MaxPath {
		return h, wait // the path may be incomplete
	}
	if !o.Handler.Match(h.path) {
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
	if len(target) > len(h.path) {
		h.query = target[len(h.path)+1:]
	}
	if bytes.IndexByte(h.path, '%') >= 0 || !plain(target) || !h.fields(b[len(line):end+2]) {
		return h, decline
	}
	return h, take
}

// bareLF reports whether a line of b ends without a CR, which net/http allows. Such a head
// can be complete without headEnd.
func bareLF(b []byte) bool {
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return false
		}
		i += n
		if i == 0 || b[i-1] != '\r' {
			return true
		}
	}
}

// plain reports whether target has only bytes that are allowed in a URL.
func plain(target []byte) bool {
	for _, c := range target {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// nameBytes and valueBytes are the bytes that the name and the value of a header field may
// have here. They are at most those of RFC 9110, sections 5.1 and 5.5.
var nameBytes, valueBytes = func() (name, value [256]bool) {
	for c := range 256 {
		b := byte(c)
		name[c] = 'a' <= b|0x20 && b|0x20 <= 'z' || '0' <= b && b <= '9' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), b) >= 0
		value[c] = b == '\t' || b >= ' ' && b != 0x7f
	}
	return name, value
}()

// only reports whether b has only bytes of a set.
func only(b []byte, set *[256]bool) bool {
	for _, c := range b {
		if !set[c] {
			return false
		}
	}
	return true
}

// fields parses the header fields in b, which starts with the CR after the first line and
// ends with a CRLF, of a request of HTTP/1.1 if h.keep is set. It sets keep, and reports
// whether net/http would accept the fields and no other field changes the meaning of the
// request.
func (h *head) fields(b []byte) bool {
	if b[1] != '\n' {
		return false
	}
	b = b[2:]
	hosts, required := 0, h.keep
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 1 || b[i-1] != '\r' {
			return false
		}
		line := b[:i-1]
		b = b[i+1:]
		colon := bytes.IndexByte(line, ':')
		if colon < 1 {
			return false
		}
		name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
		if !only(name, &nameBytes) || !only(value, &valueBytes) {
			return false
		}
		switch len(name) {
		case len("Host"):
			if equalFold(name, "host") {
				hosts++
				if !plainHost(value) {
					return false
				}
			}
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
				return false // net/http's handler knows whether to trust it
			}
		}
	}
	return hosts == 1 || hosts == 0 && !required
}

// plainHost reports whether host is a name or an address, perhaps with a port.
func plainHost(host []byte) bool {
	for _, c := range host {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

// equalFold reports whether b equals lower, which is in lower case, except for the case of
// ASCII letters.
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

// appendResponse appends a response with a body. date is the value of the field Date.
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

// appendDate appends the value of the field Date.
func appendDate(b []byte, now time.Time) []byte {
	return now.UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
}
