// Package krpc encodes and decodes the messages of the DHT (BEP 5, 32, 33, 42, 43, 44 and
// 51). Parsing and appending allocate no memory: a [Message] points into the packet that it
// was parsed from.
package krpc

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// ID is a node id, an info-hash or another target: a point of the key space of BEP 5.
type ID = [20]byte

// Limits of what Parse accepts.
const (
	// MaxPacket bounds the bytes of a packet. Ethernet carries no larger packet in one
	// frame.
	MaxPacket = 1500
	maxDepth  = 16
	maxTokens = 600
	// MaxTID bounds the bytes of a transaction id, because a reply repeats it.
	MaxTID = 32
	// MaxToken bounds the bytes of a token, because an announce repeats it.
	MaxToken = 128
)

// Kind is the type of a message.
type Kind byte

// The types of messages (BEP 5).
const (
	Query    Kind = 'q'
	Response Kind = 'r'
	Error    Kind = 'e'
)

// Method is the method of a query.
type Method uint8

// The methods of queries.
const (
	Unknown          Method = iota // another method, or none
	Ping                           // BEP 5
	FindNode                       // BEP 5
	GetPeers                       // BEP 5
	AnnouncePeer                   // BEP 5
	Get                            // BEP 44
	Put                            // BEP 44
	SampleInfohashes               // BEP 51
)

var methods = [...]string{Unknown: "", Ping: "ping", FindNode: "find_node", GetPeers: "get_peers", AnnouncePeer: "announce_peer", Get: "get", Put: "put", SampleInfohashes: "sample_infohashes"}

// String returns the name of the method in a query.
func (m Method) String() string {
	if int(m) < len(methods) {
		return methods[m]
	}
	return ""
}

// The codes of errors (BEP 5 and 44).
const (
	CodeGeneric  = 201
	CodeServer   = 202
	CodeProtocol = 203
	CodeMethod   = 204
	CodeTooBig   = 205
	CodeBadSig   = 206
	CodeBigSalt  = 207
	CodeCAS      = 301
	CodeOldSeq   = 302
)

// Want is a set of address families (BEP 32).
type Want uint8

// The families of the nodes that a query asks for. The zero value selects the family of the
// socket.
const (
	Want4 Want = 1 << iota // n4
	Want6                  // n6
)

// Message is a query, a response or an error. Its slices point into the packet that it was
// parsed from, and are nil for keys that the packet lacks.
type Message struct {
	Kind     Kind
	Method   Method         // of a query
	TID      []byte         // transaction id
	Version  []byte         // v: the client
	ReadOnly bool           // ro: the sender answers no queries (BEP 43)
	External netip.AddrPort // ip: the address of the receiver as the sender sees it (BEP 42)

	ID        ID // the sender; zero in an error
	Target    ID // target or info_hash of a query
	HasTarget bool
	Token     []byte

	// Of queries.
	Want        Want
	Port        uint16 // port of announce_peer
	ImpliedPort bool   // the peer listens on the port that the packet came from
	Seed        bool   // announce_peer: the peer has all pieces (BEP 33)
	NoSeed      bool   // get_peers: the sender wants no seeds (BEP 33)
	Scrape      bool   // get_peers: the sender wants Bloom filters (BEP 33)
	Salt        []byte // put (BEP 44)
	CAS         int64  // put (BEP 44)
	HasCAS      bool

	// Of items (BEP 44), in put and in responses to get.
	Value  []byte // v, bencoded
	Key    []byte // k: an ed25519 public key of 32 bytes
	Sig    []byte // 64 bytes
	Seq    int64
	HasSeq bool

	// Of responses.
	Nodes    []byte // 26 bytes for each IPv4 node (BEP 5)
	Nodes6   []byte // 38 bytes for each IPv6 node (BEP 32)
	Values   []byte // the bencoded addresses of peers, without the list around them
	Seeds    []byte // BFsd: Bloom filter of 256 bytes (BEP 33)
	Peers    []byte // BFpe: Bloom filter of 256 bytes (BEP 33)
	Samples  []byte // 20 bytes for each info-hash (BEP 51)
	Sampled  bool   // the response has samples, which may be empty
	Interval int64  // seconds until other samples are chosen (BEP 51)
	Num      int64  // number of info-hashes that the node stores (BEP 51)

	// Of errors.
	Code int64
	Text []byte
}

// The causes of a [*MessageError].
var (
	ErrTooLarge  = errors.New("packet is too large")
	ErrSyntax    = errors.New("packet is not bencoded")
	ErrDuplicate = errors.New("key occurs twice")
	ErrMissing   = errors.New("key is missing")
	ErrValue     = errors.New("value is not valid")
)

// MessageError reports why a packet is not a message. TID holds the transaction id if it
// could be read, so that a query can be answered with an error.
type MessageError struct {
	Cause error  // one of the causes above
	Key   string // the key, if the cause concerns one
	TID   []byte
	Query bool // the packet is a query
}

// Error implements the error interface.
func (e *MessageError) Error() string {
	if e.Key == "" {
		return "krpc: " + e.Cause.Error()
	}
	return "krpc: " + e.Key + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *MessageError) Unwrap() error { return e.Cause }

// The bytes of one node in Nodes and Nodes6.
const (
	NodeLen4 = 20 + 6
	NodeLen6 = 20 + 18
)

// Node is the address of a node.
type Node struct {
	ID   ID
	Addr netip.AddrPort
}

// AppendNode appends the compact form of a node: 26 bytes with an IPv4 address, 38 bytes with
// an IPv6 address.
func AppendNode(b []byte, n Node) []byte {
	return appendAddr(append(b, n.ID[:]...), n.Addr)
}

// AppendNodes4 appends at most most of the nodes in the compact list b to dst.
func AppendNodes4(dst []Node, b []byte, most int) []Node {
	for ; len(b) >= NodeLen4 && most > 0; b, most = b[NodeLen4:], most-1 {
		dst = append(dst, Node{ID: ID(b[:20]), Addr: addr4(b[20:])})
	}
	return dst
}

// AppendNodes6 appends at most most of the nodes in the compact list b to dst.
func AppendNodes6(dst []Node, b []byte, most int) []Node {
	for ; len(b) >= NodeLen6 && most > 0; b, most = b[NodeLen6:], most-1 {
		dst = append(dst, Node{ID: ID(b[:20]), Addr: addr6(b[20:])})
	}
	return dst
}

// AppendValue appends the bencoded compact address of a peer to the content of Values.
func AppendValue(b []byte, peer netip.AddrPort) []byte {
	if peer.Addr().Unmap().Is4() {
		return appendAddr(append(b, "6:"...), peer)
	}
	return appendAddr(append(b, "18:"...), peer)
}

// AppendPeers appends at most most of the peers in Values to dst. It skips strings that are
// no address.
func (m *Message) AppendPeers(dst []netip.AddrPort, most int) []netip.AddrPort {
	for b := m.Values; len(b) > 0 && most > 0; {
		n, i := 0, 0
		for ; i < len(b) && b[i]-'0' <= 9 && n < len(b); i++ {
			n = n*10 + int(b[i]-'0')
		}
		if i == 0 || i >= len(b) || b[i] != ':' || n > len(b)-i-1 {
			break
		}
		s := b[i+1:][:n]
		b = b[i+1+n:]
		switch n {
		case 6:
			dst = append(dst, addr4(s))
			most--
		case 18:
			dst = append(dst, addr6(s))
			most--
		}
	}
	return dst
}

func addr4(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[4:]))
}

func addr6(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:16])).Unmap(), binary.BigEndian.Uint16(b[16:]))
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	if ip := a.Addr().Unmap(); ip.Is4() {
		v := ip.As4()
		b = append(b, v[:]...)
	} else {
		v := ip.As16()
		b = append(b, v[:]...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port())
}
