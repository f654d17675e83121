package trackerserver

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
)

// Privacy is how much of an address an [ActivityLog] keeps.
type Privacy uint8

// The kinds of privacy. The zero value is the one in the middle.
const (
	PrivacyNetwork Privacy = iota // the /24 or /48, with the rest zero
	PrivacyFull                   // the address
	PrivacyNone                   // nothing of it, and no user
)

// ParsePrivacy reads "network", "full" or "none".
func ParsePrivacy(s string) (Privacy, error) {
	for p, name := range [...]string{"network", "full", "none"} {
		if s == name {
			return Privacy(p), nil
		}
	}
	return 0, fmt.Errorf("privacy %q: want network, full or none", s)
}

// Activity is an entry of the log: a line of JSON.
type Activity struct {
	Time time.Time `json:"time"`
	// Event is "started", "completed" or "stopped".
	Event    string `json:"event"`
	InfoHash string `json:"info_hash"`
	Name     string `json:"name,omitempty"`
	Addr     string `json:"addr,omitempty"` // see Privacy
	// Peer tells the entries of one peer from those of others. It says nothing
	// about who that is, and changes when the tracker is restarted.
	Peer   string `json:"peer"`
	Client string `json:"client,omitempty"`
	User   string `json:"user,omitempty"`
	Via    string `json:"via"`
	// Bytes since the peer started, and those that it still wants; -1: unknown.
	Uploaded   int64 `json:"uploaded"`
	Downloaded int64 `json:"downloaded"`
	Left       int64 `json:"left"`
}

// appendEntry appends the line of an entry: [Activity] as JSON.
func (l *ActivityLog) appendEntry(b []byte, event string, o *Observation) []byte {
	r := o.Request
	b = append(b, `{"time":"`...)
	b = o.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","event":"`...)
	b = append(b, event...)
	b = append(b, `","info_hash":"`...)
	b = hex.AppendEncode(b, r.InfoHash[:])
	b = append(b, '"')
	if o.Note != nil {
		b = appendMember(b, `,"name":`, o.Note.Name)
	}
	if l.opts.Privacy != PrivacyNone {
		b = append(b, `,"addr":"`...)
		b = l.address(o.Peer.Addr()).AppendTo(b)
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
			quoted, _ := json.Marshal(value) // a string has JSON
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}

// client is the name of a peer's program. Known ones cost no memory.
func (l *ActivityLog) client(id *spate.PeerID) string {
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

// address is as much of an address as is kept.
func (l *ActivityLog) address(a netip.Addr) netip.Addr {
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

// pseudonym is the same for all announces of a peer to a swarm.
func (l *ActivityLog) pseudonym(o *Observation) (p [8]byte) {
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.Write(o.Request.PeerID[:])
	h.Write(o.Request.InfoHash[:])
	binary.BigEndian.PutUint64(p[:], h.Sum64())
	return p
}
