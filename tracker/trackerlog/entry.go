package trackerlog

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/netip"
	"strconv"
	"time"

	"spate"
	"spate/tracker"
)

// Privacy is the part of a peer's address that a [Log] writes.
type Privacy uint8

// The values of [Privacy].
const (
	PrivacyNetwork Privacy = iota // the IPv4 /24 or IPv6 /48; the other bits are 0
	PrivacyFull                   // the whole address
	PrivacyNone                   // no address, and no name of a user
)

// ParsePrivacy parses "network", "full" or "none".
func ParsePrivacy(s string) (Privacy, error) {
	for p, name := range [...]string{"network", "full", "none"} {
		if s == name {
			return Privacy(p), nil
		}
	}
	return 0, fmt.Errorf("privacy %q: want network, full or none", s)
}

// Entry is a line of the log, as JSON.
type Entry struct {
	Time time.Time `json:"time"` // in UTC
	// Event is "started", "completed" or "stopped".
	Event    string `json:"event"`
	InfoHash string `json:"info_hash"`      // 40 hexadecimal digits
	Name     string `json:"name,omitempty"` // name of the torrent, if the tracker knows it
	Addr     string `json:"addr,omitempty"` // address without port; see [Privacy]
	// Release is the main info-hash of a torrent with several swarms: see [tracker.Note]. It is
	// absent for other torrents.
	Release string `json:"release,omitempty"`
	// Peer is a pseudonym. The entries of one peer in the swarms of one release have the same one
	// until the tracker is restarted.
	Peer   string `json:"peer"`
	Client string `json:"client,omitempty"` // the program and its version
	User   string `json:"user,omitempty"`   // user whose token the peer used
	Via    string `json:"via"`              // "http", "udp" or "websocket"
	// Uploaded and Downloaded are the bytes that the peer reported since it started,
	// and Left is the number that it still has to download; -1 if unknown.
	Uploaded   int64 `json:"uploaded"`
	Downloaded int64 `json:"downloaded"`
	Left       int64 `json:"left"`
}

// appendEntry appends the line of an [Entry]. The caller holds queueMu.
func (l *Log) appendEntry(b []byte, event string, o *tracker.Observation) []byte {
	r := o.Request
	b = append(b, `{"time":"`...)
	b = o.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","event":"`...)
	b = append(b, event...)
	b = append(b, `","info_hash":"`...)
	b = hex.AppendEncode(b, r.InfoHash[:])
	b = append(b, '"')
	b = appendMember(b, `,"name":`, o.Name)
	if !o.Release.IsZero() {
		b = append(b, `,"release":"`...)
		b = hex.AppendEncode(b, o.Release[:])
		b = append(b, '"')
	}
	if l.opts.Privacy != PrivacyNone {
		b = append(b, `,"addr":"`...)
		b = l.address(o.Addr()).AppendTo(b)
		b = append(b, '"')
	}
	b = append(b, `,"peer":"`...)
	peer := l.pseudonym(o)
	b = hex.AppendEncode(b, peer[:])
	b = append(b, '"')
	b = appendMember(b, `,"client":`, l.client(&r.PeerID))
	if l.opts.Privacy != PrivacyNone {
		b = appendMember(b, `,"user":`, o.User)
	}
	b = append(b, `,"via":"`...)
	b = append(b, o.Transport.String()...)
	b = append(b, `","uploaded":`...)
	b = strconv.AppendInt(b, r.Uploaded, 10)
	b = append(b, `,"downloaded":`...)
	b = strconv.AppendInt(b, r.Downloaded, 10)
	b = append(b, `,"left":`...)
	b = strconv.AppendInt(b, r.Left, 10)
	return append(b, "}\n"...)
}

// appendMember appends a member of a JSON object unless its value is empty.
func appendMember(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, key...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(value) // never fails for a string
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}

// client returns the name of a peer's program. Names that were returned before are not
// allocated again. The caller holds queueMu.
func (l *Log) client(id *spate.PeerID) string {
	head := binary.BigEndian.Uint64(id[:8])
	name, ok := l.clients[head]
	if !ok {
		name = id.Client()
		if len(l.clients) < maxClients {
			l.clients[head] = name
		}
	}
	return name
}

// address returns the part of an address that is logged.
func (l *Log) address(a netip.Addr) netip.Addr {
	if l.opts.Privacy == PrivacyFull {
		return a
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

// pseudonym returns the same value for all announces of a peer to the swarms of a release.
func (l *Log) pseudonym(o *tracker.Observation) (p [8]byte) {
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.Write(o.Request.PeerID[:])
	ih := o.Request.InfoHash
	if !o.Release.IsZero() {
		ih = o.Release
	}
	h.Write(ih[:])
	binary.BigEndian.PutUint64(p[:], h.Sum64())
	return p
}
