package krpc

import (
	"net/netip"

	"spate/bencode"
)

// Parser parses messages. It is reused, and is not safe for concurrent use.
type Parser struct {
	d *bencode.Decoder
}

// NewParser returns a parser.
func NewParser() *Parser {
	return &Parser{d: bencode.NewDecoder(nil, bencode.Options{Depth: maxDepth, Tokens: maxTokens})}
}

// Parse parses a packet into m, which points into the packet afterwards. It skips keys that
// it does not know, and optional values of the wrong type. It accepts keys in any order,
// because some programs do not sort them. The error is a [*MessageError].
func (p *Parser) Parse(m *Message, packet []byte) error {
	*m = Message{}
	if len(packet) > MaxPacket {
		return &MessageError{Cause: ErrTooLarge}
	}
	d := p.d
	d.Reset(packet)
	err := p.message(m)
	if err.Cause == nil && d.Finish() != nil {
		err.Cause = ErrSyntax
	}
	if err.Cause == nil {
		err = m.check()
	}
	if err.Cause == nil {
		return nil
	}
	failed := &MessageError{Cause: err.Cause, Key: err.Key, Query: m.Kind == Query}
	if len(m.TID) <= MaxTID {
		failed.TID = m.TID
	}
	return failed
}

// The bits of the keys that may occur once.
const (
	keyA = 1 << iota
	keyE
	keyT
	keyY
	keyQ
	keyV
	keyID
	keyTarget
	keyInfoHash
	keyToken
	keyK
	keySeq
	keySig
	keySalt
	keyPort
	keyNodes
	keyNodes6
	keyValues
	keySamples
)

// seen is a set of keys.
type seen uint32

// add adds a key to the set and reports whether the set contained it.
func (s *seen) add(key seen) bool {
	had := *s&key != 0
	*s |= key
	return had
}

// message parses the outer dictionary.
func (p *Parser) message(m *Message) (fail MessageError) {
	d := p.d
	var have seen
	for key := range d.Dict {
		var bit seen
		switch string(key) {
		case "a", "r":
			// A packet that has both is neither a query nor a response.
			bit = keyA
		case "e":
			bit = keyE
		case "t":
			bit = keyT
		case "y":
			bit = keyY
		case "q":
			bit = keyQ
		case "v":
			bit = keyV
		}
		if bit != 0 && have.add(bit) {
			return MessageError{Cause: ErrDuplicate, Key: string(key)}
		}
		switch string(key) {
		case "a", "r":
			if fail = p.body(m); fail.Cause != nil {
				return fail
			}
		case "e":
			p.failure(m)
		case "t":
			m.TID = bytesOf(d)
		case "y":
			if y := bytesOf(d); len(y) == 1 {
				m.Kind = Kind(y[0])
			}
		case "q":
			m.Method = methodOf(bytesOf(d))
		case "v":
			m.Version = bytesOf(d)
		case "ro":
			m.ReadOnly = intOf(d) == 1
		case "ip":
			m.External = addrOf(bytesOf(d))
		}
	}
	return fail
}

// body parses the arguments of a query or the values of a response.
func (p *Parser) body(m *Message) (fail MessageError) {
	d := p.d
	if d.Kind() != bencode.Dict {
		return MessageError{Cause: ErrValue, Key: "a"}
	}
	var have seen
	for key := range d.Dict {
		dst, bit := m.field(key)
		if bit != 0 && have.add(bit) {
			return MessageError{Cause: ErrDuplicate, Key: string(key)}
		}
		if dst != nil {
			*dst = bytesOf(d)
			continue
		}
		switch string(key) {
		case "id":
			id := bytesOf(d)
			if len(id) != len(m.ID) {
				return MessageError{Cause: ErrValue, Key: "id"}
			}
			m.ID = ID(id)
		case "target", "info_hash":
			target := bytesOf(d)
			if len(target) != len(m.Target) {
				return MessageError{Cause: ErrValue, Key: string(key)}
			}
			m.Target, m.HasTarget = ID(target), true
		case "seq":
			m.HasSeq = d.Kind() == bencode.Int
			m.Seq = intOf(d)
		case "cas":
			m.HasCAS = d.Kind() == bencode.Int
			m.CAS = intOf(d)
		case "v":
			m.Value = d.Raw()
		case "values":
			if d.Kind() == bencode.List {
				raw := d.Raw()
				m.Values = raw[min(1, len(raw)):max(len(raw)-1, min(1, len(raw)))]
			}
		case "samples":
			m.Sampled = d.Kind() == bencode.String
			m.Samples = bytesOf(d)
		case "want":
			p.want(m)
		default:
			p.number(m, key)
		}
	}
	if have&keyID == 0 && d.Err() == nil {
		return MessageError{Cause: ErrMissing, Key: "id"}
	}
	return fail
}

// field returns the slice of m that holds the string with that key, or nil, and the bit of
// the key, or 0 for keys that may be repeated because the last value counts.
func (m *Message) field(key []byte) (dst *[]byte, bit seen) {
	switch string(key) {
	case "id":
		return nil, keyID
	case "target":
		return nil, keyTarget
	case "info_hash":
		return nil, keyInfoHash
	case "token":
		return &m.Token, keyToken
	case "k":
		return &m.Key, keyK
	case "sig":
		return &m.Sig, keySig
	case "salt":
		return &m.Salt, keySalt
	case "seq":
		return nil, keySeq
	case "v":
		return nil, keyV
	case "port":
		return nil, keyPort
	case "nodes":
		return &m.Nodes, keyNodes
	case "nodes6":
		return &m.Nodes6, keyNodes6
	case "values":
		return nil, keyValues
	case "samples":
		return nil, keySamples
	case "BFsd":
		return &m.Seeds, 0
	case "BFpe":
		return &m.Peers, 0
	}
	return nil, 0
}

// number parses the value of a key if the value is a number.
func (p *Parser) number(m *Message, key []byte) {
	if p.d.Kind() != bencode.Int {
		return
	}
	n := p.d.Int()
	switch string(key) {
	case "port":
		if n == int64(uint16(n)) {
			m.Port = uint16(n)
		}
	case "implied_port":
		m.ImpliedPort = n != 0
	case "seed":
		m.Seed = n == 1
	case "noseed":
		m.NoSeed = n == 1
	case "scrape":
		m.Scrape = n == 1
	case "interval":
		m.Interval = n
	case "num":
		m.Num = n
	}
}

// want parses the families that a query asks for.
func (p *Parser) want(m *Message) {
	d := p.d
	if d.Kind() != bencode.List {
		return
	}
	for range d.List {
		switch string(bytesOf(d)) {
		case "n4":
			m.Want |= Want4
		case "n6":
			m.Want |= Want6
		}
	}
}

// failure parses the list of an error.
func (p *Parser) failure(m *Message) {
	d := p.d
	if d.Kind() != bencode.List {
		return
	}
	n := 0
	for range d.List {
		switch n {
		case 0:
			m.Code = intOf(d)
		case 1:
			m.Text = bytesOf(d)
		}
		n++
	}
}

// check checks the parts that the kind of the message requires, and the lengths of its
// strings.
func (m *Message) check() MessageError {
	switch {
	case m.Kind != Query && m.Kind != Response && m.Kind != Error:
		return MessageError{Cause: ErrValue, Key: "y"}
	case m.TID == nil:
		return MessageError{Cause: ErrMissing, Key: "t"}
	case len(m.TID) > MaxTID:
		return MessageError{Cause: ErrValue, Key: "t"}
	case m.Kind != Error && m.ID == ID{}:
		return MessageError{Cause: ErrMissing, Key: "id"}
	case len(m.Token) > MaxToken:
		return MessageError{Cause: ErrValue, Key: "token"}
	case m.Key != nil && len(m.Key) != 32:
		return MessageError{Cause: ErrValue, Key: "k"}
	case m.Sig != nil && len(m.Sig) != 64:
		return MessageError{Cause: ErrValue, Key: "sig"}
	case len(m.Nodes)%NodeLen4 != 0:
		return MessageError{Cause: ErrValue, Key: "nodes"}
	case len(m.Nodes6)%NodeLen6 != 0:
		return MessageError{Cause: ErrValue, Key: "nodes6"}
	case len(m.Samples)%len(ID{}) != 0:
		return MessageError{Cause: ErrValue, Key: "samples"}
	case m.Seeds != nil && len(m.Seeds) != 256:
		return MessageError{Cause: ErrValue, Key: "BFsd"}
	case m.Peers != nil && len(m.Peers) != 256:
		return MessageError{Cause: ErrValue, Key: "BFpe"}
	case m.Kind == Query && !m.HasTarget && (m.Method == FindNode || m.Method == GetPeers || m.Method == AnnouncePeer || m.Method == Get || m.Method == SampleInfohashes):
		return MessageError{Cause: ErrMissing, Key: "target"}
	case m.Kind == Query && (m.Method == AnnouncePeer || m.Method == Put) && m.Token == nil:
		return MessageError{Cause: ErrMissing, Key: "token"}
	case m.Kind == Query && m.Method == AnnouncePeer && m.Port == 0 && !m.ImpliedPort:
		return MessageError{Cause: ErrValue, Key: "port"}
	case m.Kind == Query && m.Method == Put && m.Value == nil:
		return MessageError{Cause: ErrMissing, Key: "v"}
	}
	return MessageError{}
}

// methodOf returns the method with that name.
func methodOf(name []byte) Method {
	switch string(name) {
	case "ping":
		return Ping
	case "find_node":
		return FindNode
	case "get_peers":
		return GetPeers
	case "announce_peer":
		return AnnouncePeer
	case "get":
		return Get
	case "put":
		return Put
	case "sample_infohashes":
		return SampleInfohashes
	}
	return Unknown
}

// bytesOf reads a string. It returns nil for a value of another type, which the caller's
// loop skips.
func bytesOf(d *bencode.Decoder) []byte {
	if d.Kind() != bencode.String {
		return nil
	}
	return d.Bytes()
}

// intOf reads an integer, or returns 0 for a value of another type.
func intOf(d *bencode.Decoder) int64 {
	if d.Kind() != bencode.Int {
		return 0
	}
	return d.Int()
}

// addrOf parses a compact address with its port. Some programs send the address without the
// port.
func addrOf(b []byte) netip.AddrPort {
	switch len(b) {
	case 6:
		return addr4(b)
	case 18:
		return addr6(b)
	case 4, 16:
		ip, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(ip.Unmap(), 0)
	}
	return netip.AddrPort{}
}
