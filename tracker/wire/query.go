package wire

import (
	"bytes"
	"math"
	"net/netip"

	"spate"
	"spate/tracker"
)

// QueryError describes what is wrong with the query of an HTTP request. It can be sent
// to the client as failure reason.
type QueryError string

func (e QueryError) Error() string { return string(e) }

// The errors for bad queries.
const (
	ErrNoInfoHash    QueryError = "info_hash is missing"
	ErrManyHashes    QueryError = "more info_hash than one announce or scrape may have"
	ErrInfoHash      QueryError = "info_hash is not 20 bytes"
	ErrNoPeerID      QueryError = "peer_id is missing"
	ErrPeerID        QueryError = "peer_id is not 20 bytes"
	ErrPort          QueryError = "port is missing or not from 1 to 65535"
	ErrNumber        QueryError = "uploaded, downloaded, left or numwant is not a number"
	ErrEvent         QueryError = "event is none of started, stopped, completed, paused"
	ErrEscape        QueryError = "broken percent escape"
	ErrQueryTooLarge QueryError = "query is too large"
)

// MaxQuery is the length in bytes of the longest query that is parsed. A scrape of
// [tracker.MaxScrapeUDP] info-hashes fits, even if every byte is escaped.
const MaxQuery = 8 << 10

// nextPair splits the first key=value pair off a query.
func nextPair(q []byte) (key, value, rest []byte) {
	if i := bytes.IndexByte(q, '&'); i >= 0 {
		q, rest = q[:i], q[i+1:]
	}
	if i := bytes.IndexByte(q, '='); i >= 0 {
		return q[:i], q[i+1:], rest
	}
	return q, nil, rest
}

// ParseAnnounceQuery parses the query of an HTTP announce, including percent escapes,
// into req. It sets all fields of req and keeps no reference to query. It ignores
// unknown keys; if a key is repeated the last one counts, but a second info_hash is an
// error. If left is missing or negative, req.Left is [tracker.Unknown].
func ParseAnnounceQuery(query []byte, req *tracker.AnnounceRequest) error {
	if len(query) > MaxQuery {
		return ErrQueryTooLarge
	}
	*req = tracker.AnnounceRequest{Left: tracker.Unknown, NumWant: tracker.DefaultNumWant}
	hashes, ids := 0, 0
	for len(query) > 0 {
		var key, value []byte
		key, value, query = nextPair(query)
		var err error
		switch string(key) {
		case "info_hash":
			hashes++
			if hashes > 1 {
				return ErrManyHashes
			}
			err = unescape20((*[20]byte)(&req.InfoHash), value, ErrInfoHash)
		case "peer_id":
			ids++
			err = unescape20((*[20]byte)(&req.PeerID), value, ErrPeerID)
		default:
			err = parseField(key, value, req)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case hashes == 0:
		return ErrNoInfoHash
	case ids == 0:
		return ErrNoPeerID
	case req.Port == 0:
		return ErrPort
	}
	return nil
}

// parseField parses all parameters except info_hash and peer_id.
func parseField(key, value []byte, req *tracker.AnnounceRequest) error {
	var err error
	switch string(key) {
	case "port":
		var n int64
		n, err = parseNumber(value)
		if err != nil || n <= 0 || n > math.MaxUint16 {
			return ErrPort
		}
		req.Port = uint16(n)
	case "uploaded":
		req.Uploaded, err = parseAmount(value)
	case "downloaded":
		req.Downloaded, err = parseAmount(value)
	case "left":
		req.Left, err = parseNumber(value)
		if req.Left < 0 {
			req.Left = tracker.Unknown
		}
	case "numwant":
		var n int64
		n, err = parseNumber(value)
		req.NumWant = int(max(min(n, math.MaxInt32), tracker.DefaultNumWant))
	case "event":
		req.Event, err = parseEvent(value)
	case "key":
		req.Key = parseKey(value)
	case "ip":
		req.IP = parseIP(value)
	case "compact":
		req.NotCompact = string(value) == "0"
	case "no_peer_id":
		req.NoPeerID = string(value) == "1"
	case "ranges":
		req.Ranges = string(value) == "1"
	case "trackerid":
		var id []byte
		id, err = appendUnescaped(nil, value, maxText)
		req.TrackerID = string(id)
	}
	return err
}

func parseEvent(value []byte) (tracker.Event, error) {
	switch string(value) {
	case "", "empty":
		return tracker.EventNone, nil
	case "started":
		return tracker.EventStarted, nil
	case "stopped":
		return tracker.EventStopped, nil
	case "completed":
		return tracker.EventCompleted, nil
	case "paused":
		return tracker.EventPaused, nil
	}
	return tracker.EventNone, ErrEvent
}

// parseNumber parses a decimal number. A number that does not fit becomes the largest
// int64, because some clients send 2^64-1 for an unknown number.
func parseNumber(b []byte) (int64, error) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 20 {
		return 0, ErrNumber
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, ErrNumber
		}
		if d := int64(c - '0'); n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + d
		}
	}
	if negative {
		n = -n
	}
	return n, nil
}

// parseAmount parses a number of bytes. A negative number becomes 0.
func parseAmount(b []byte) (int64, error) {
	n, err := parseNumber(b)
	return max(n, 0), err
}

// parseKey converts the key of an announce to a number. Up to eight hexadecimal digits
// are parsed, so that a client has the same key over HTTP and UDP. Other keys are
// hashed with FNV-1a.
func parseKey(b []byte) uint32 {
	var n uint32
	for _, c := range b {
		d, ok := unhex(c)
		if !ok || len(b) > 8 {
			return fnv1a(b)
		}
		n = n<<4 | uint32(d)
	}
	return n
}

func fnv1a(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// parseIP parses the address that a peer claims to have. It returns the zero address
// for host names and garbage. It allocates, which few announces need because few
// clients send an address.
func parseIP(b []byte) netip.Addr {
	if len(b) == 0 || len(b) > 64 {
		return netip.Addr{}
	}
	var buf [64]byte
	s, err := appendUnescaped(buf[:0], b, len(buf))
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(string(s))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

// QueryValue returns the decoded value of the first occurrence of key in query. ok is
// false if there is no such key, or its value is malformed or longer than limit bytes.
func QueryValue(query []byte, key string, limit int) (value []byte, ok bool) {
	for len(query) > 0 {
		var k, v []byte
		k, v, query = nextPair(query)
		if string(k) == key {
			value, err := appendUnescaped(nil, v, limit)
			return value, err == nil
		}
	}
	return nil, false
}

// ParseScrapeQuery appends to dst the info-hashes of an HTTP scrape. It returns
// [ErrManyHashes] if there are more than limit. A query without info-hashes asks for
// all swarms.
func ParseScrapeQuery(dst []spate.InfoHash, query []byte, limit int) ([]spate.InfoHash, error) {
	if len(query) > MaxQuery {
		return dst, ErrQueryTooLarge
	}
	n := 0
	for len(query) > 0 {
		var key, value []byte
		key, value, query = nextPair(query)
		if string(key) != "info_hash" {
			continue
		}
		n++
		if n > limit {
			return dst, ErrManyHashes
		}
		var h spate.InfoHash
		if err := unescape20((*[20]byte)(&h), value, ErrInfoHash); err != nil {
			return dst, err
		}
		dst = append(dst, h)
	}
	return dst, nil
}

// AppendAnnounceQuery appends the query of an announce, without the question mark.
func AppendAnnounceQuery(b []byte, req *tracker.AnnounceRequest) []byte {
	b = append(b, "info_hash="...)
	b = appendEscaped(b, req.InfoHash[:])
	b = append(b, "&peer_id="...)
	b = appendEscaped(b, req.PeerID[:])
	b = appendIntParam(b, "&port=", int64(req.Port))
	b = appendIntParam(b, "&uploaded=", req.Uploaded)
	b = appendIntParam(b, "&downloaded=", req.Downloaded)
	left := req.Left
	if left < 0 {
		left = math.MaxInt64
	}
	b = appendIntParam(b, "&left=", left)
	b = append(b, "&key="...)
	const digits = "0123456789ABCDEF"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[req.Key>>shift&15])
	}
	if req.NumWant >= 0 {
		b = appendIntParam(b, "&numwant=", int64(req.NumWant))
	}
	if req.Event != tracker.EventNone {
		b = append(b, "&event="...)
		b = append(b, req.Event.String()...)
	}
	if req.NotCompact {
		b = append(b, "&compact=0"...)
	} else {
		b = append(b, "&compact=1"...)
	}
	if req.NoPeerID {
		b = append(b, "&no_peer_id=1"...)
	}
	if req.Ranges {
		b = append(b, "&ranges=1"...)
	}
	if req.IP.IsValid() {
		b = append(b, "&ip="...)
		b = appendEscaped(b, []byte(req.IP.String()))
	}
	if req.TrackerID != "" {
		b = append(b, "&trackerid="...)
		b = appendEscaped(b, []byte(req.TrackerID))
	}
	return b
}

// AppendScrapeQuery appends the query of a scrape, without the question mark.
func AppendScrapeQuery(b []byte, hashes []spate.InfoHash) []byte {
	for i := range hashes {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, "info_hash="...)
		b = appendEscaped(b, hashes[i][:])
	}
	return b
}
