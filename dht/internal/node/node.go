// Package node holds the protocol of a DHT node (BEP 5, 32, 33, 42, 43, 44, 45 and 51):
// packets in, packets out, and the searches that run. It has no socket, no clock and no lock,
// so that tests simulate networks of thousands of nodes.
//
// A packet takes these steps:
//
//  1. Handle parses it (krpc) and drops it if its family is off.
//  2. A query is answered (reply.go), unless its sender exceeds a limit, and its sender is
//     asked whether it answers, if the routing table has a place for it.
//  3. An answer is matched to a query in flight by its transaction id and its sender
//     (query.go). It proves that the sender receives packets at its address, and updates the
//     routing table and the search that the query belongs to (search.go).
//  4. Tick ends queries without an answer and keeps the routing tables alive (upkeep.go).
//
// The packets to send collect in the node until the caller takes them with [Node.Packets].
package node

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"spate/dht/internal/itemstore"
	"spate/dht/internal/krpc"
	"spate/dht/internal/limit"
	"spate/dht/internal/peerstore"
	"spate/dht/internal/siphash"
	"spate/dht/internal/table"
	"spate/dht/internal/token"
	"spate/dht/internal/vote"
)

// ID is a point of the key space.
type ID = krpc.ID

// Contact is the address of a node with its id.
type Contact = krpc.Node

// Packet is a packet that was received from Addr or is to be sent there.
type Packet struct {
	Addr netip.AddrPort // not an IPv4 address in its IPv6 form
	// Local is the own address that a received packet was sent to, or the source of a packet to
	// send. It is not valid if it is unknown or does not matter.
	Local netip.Addr
	Data  []byte
}

// Options configures a node.
type Options struct {
	// IPv4 and IPv6 turn on the DHT of each family. At least one must be on.
	IPv4, IPv6 bool
	// ReadOnly makes the node answer no queries (BEP 43).
	ReadOnly bool
	// Known lists nodes to start from: those of the last run, and those that a torrent or
	// a magnet link names.
	Known []netip.AddrPort
	// Bootstrap lists nodes that are asked if Known does not lead into the network soon.
	Bootstrap []netip.AddrPort
	// MaxPeers bounds the stored peers of each family. 0 selects the default.
	MaxPeers int
	// MaxItems bounds the stored items of each family. 0 selects the default.
	MaxItems int
	// Addresses is the number of addresses whose rates and proofs the node remembers. 0
	// selects 8192.
	Addresses int
	// Version is sent in every message as the client, if it is not empty.
	Version string
	// Random supplies ids, targets and transaction ids. It must be unpredictable outside
	// of tests.
	Random rand.Source
}

// family is the DHT of one address family: BEP 32 makes them two networks.
type family struct {
	v6    bool
	id    ID
	table *table.Table
	peers *peerstore.Store
	items *itemstore.Store
	boot  boot

	poll     vote.Poll
	external vote.Result    // as the nodes of poll agree
	adapted  bool           // the id has been changed to fit an external address
	seen     netip.AddrPort // the own address as a node of the local network sees it
}

// Stats counts what a node has done.
type Stats struct {
	QueriesIn, QueriesOut uint64
	Answered, TimedOut    uint64 // queries of this node
	Malformed, Limited    uint64 // packets and queries that were dropped
	BytesIn, BytesOut     uint64
}

// Node is a DHT node. Use [New] to make one. It is not safe for concurrent use.
type Node struct {
	o        Options
	rng      *rand.Rand
	families []*family
	tokens   *token.Issuer
	proved   *limit.Proved
	limits   *limit.Rates
	meets    bucket // pings of nodes that sent queries
	inFlight inFlight
	searches map[*Search]struct{}
	upkeepAt time.Time
	version  []byte
	stats    Stats

	parser   *krpc.Parser
	handled  Packet       // the packet of the current Handle, else zero
	in, out  krpc.Message // reused
	tid      [4]byte      // transaction id of out
	nodes    []Contact    // reused
	compact  []byte       // reused
	values   []byte       // reused
	tokenBuf [token.Size]byte
	filters  [2]peerstore.Filter
	buf      []byte // data of the packets to send
	packets  []Packet
}

// The limits of queries, and the size of the tables that hold addresses.
var (
	addressRate = limit.Rate{PerSecond: 20, Burst: 100}
	networkRate = limit.Rate{PerSecond: 100, Burst: 400}
	meetRate    = bucket{perSecond: 10, burst: 50}
)

const defaultAddresses = 8192

// signatureRates limits the signatures of items that a node checks which remembers that many addresses.
func signatureRates(addresses int) limit.Options {
	o := itemstore.DefaultSignatures
	o.Cells = min(addresses, o.Cells)
	return o
}

// New returns a node that starts to look for others at the first Tick.
func New(now time.Time, o Options) (*Node, error) {
	if !o.IPv4 && !o.IPv6 {
		return nil, errors.New("dht: no address family is on")
	}
	if o.Addresses == 0 {
		o.Addresses = defaultAddresses
	}
	n := &Node{
		o: o, rng: rand.New(o.Random), parser: krpc.NewParser(), searches: map[*Search]struct{}{},
		inFlight: newInFlight(), meets: meetRate, version: []byte(o.Version), upkeepAt: now,
	}
	if o.Version == "" {
		n.version = nil
	}
	var secret siphash.Key
	binary.LittleEndian.PutUint64(secret[:8], n.rng.Uint64())
	binary.LittleEndian.PutUint64(secret[8:], n.rng.Uint64())
	n.tokens, n.proved = token.New(secret.Derive(1), now), limit.NewProved(secret.Derive(2), now, o.Addresses)
	var err error
	if n.limits, err = limit.NewRates(secret.Derive(3), now, limit.Options{Address: addressRate, Network: networkRate, Cells: o.Addresses}); err != nil {
		return nil, err
	}
	for i, v6 := range []bool{false, true} {
		if v6 && !o.IPv6 || !v6 && !o.IPv4 {
			continue
		}
		f := &family{v6: v6, id: n.randomID()}
		f.table = table.New(f.id)
		if f.peers, err = peerstore.New(f.id, v6, now, peerstore.Options{MaxPeers: o.MaxPeers, Random: rand.NewPCG(n.rng.Uint64(), n.rng.Uint64())}); err != nil {
			return nil, err
		}
		if f.items, err = itemstore.New(f.id, secret.Derive(uint64(4+i)), now, itemstore.Options{MaxItems: o.MaxItems, Signatures: signatureRates(o.Addresses)}); err != nil {
			return nil, err
		}
		f.boot = newBoot(now, v6, o.Known, o.Bootstrap)
		n.families = append(n.families, f)
	}
	return n, nil
}

// randomID returns a random point of the key space.
func (n *Node) randomID() (id ID) {
	binary.BigEndian.PutUint64(id[:], n.rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], n.rng.Uint64())
	binary.BigEndian.PutUint32(id[16:], n.rng.Uint32())
	return id
}

// family returns the family of an address, or nil if it is off.
func (n *Node) family(a netip.Addr) *family { return n.familyOf(a.Is6()) }

func (n *Node) familyOf(v6 bool) *family {
	for _, f := range n.families {
		if f.v6 == v6 {
			return f
		}
	}
	return nil
}

// Handle handles a received packet.
func (n *Node) Handle(now time.Time, p Packet) {
	from := p.Addr
	f := n.family(from.Addr())
	if f == nil || from.Port() == 0 {
		return
	}
	n.handled = p
	defer func() { n.handled = Packet{} }()
	n.stats.BytesIn += uint64(len(p.Data))
	if err := n.parser.Parse(&n.in, p.Data); err != nil {
		n.stats.Malformed++
		n.malformed(now, from, len(p.Data), err)
		return
	}
	switch n.in.Kind {
	case krpc.Query:
		n.query(now, f, from, len(p.Data))
	case krpc.Response, krpc.Error:
		n.answer(now, f, from)
	}
}

// send appends the message in n.out to the packets to send. What goes to the sender of the packet
// that is handled goes out from the address that this packet was sent to, because a NAT or the
// sender may drop packets from another one.
func (n *Node) send(to netip.AddrPort) {
	n.out.Version = n.version
	from := len(n.buf)
	n.buf = n.out.Append(n.buf)
	p := Packet{Addr: to, Data: n.buf[from:len(n.buf):len(n.buf)]}
	if to == n.handled.Addr {
		p.Local = n.handled.Local
	}
	n.packets = append(n.packets, p)
	n.stats.BytesOut += uint64(len(n.buf) - from)
}

// Packets returns the packets to send and forgets them. They are valid until the next call of
// another method.
func (n *Node) Packets() []Packet {
	out := n.packets
	n.packets, n.buf = n.packets[:0], n.buf[:0]
	return out
}

// Add adds nodes that may be in the network, such as one that a peer names in a PORT message.
func (n *Node) Add(now time.Time, addrs ...netip.AddrPort) {
	for _, a := range addrs {
		f := n.family(a.Addr())
		if f == nil || a.Port() == 0 {
			continue
		}
		if _, known := f.table.IDOf(a); !known {
			f.boot.add(a)
		}
	}
	n.upkeepAt = now
}

// AddBootstrap adds a node that is asked if other nodes do not lead into the network.
func (n *Node) AddBootstrap(now time.Time, a netip.AddrPort) {
	f := n.family(a.Addr())
	if f == nil || a.Port() == 0 || slices.Contains(f.boot.bootstrap, a) {
		return
	}
	f.boot.bootstrap = append(f.boot.bootstrap, a)
	f.boot.asked = false
	n.upkeepAt = now
}

// FamilyStatus describes the DHT of one address family.
type FamilyStatus struct {
	IPv6     bool
	ID       ID
	Nodes    int            // nodes in the routing table
	Good     int            // those that answered or asked in the last 15 minutes
	Usable   bool           // searches can begin
	External netip.AddrPort // the own address as others see it; not valid while it is unknown, port 0 if it differs
	Peers    int            // stored peers of other nodes
	Hashes   int            // info-hashes of those peers
	Items    int            // stored items of other nodes (BEP 44)
}

// Status returns the state of each family that is on.
func (n *Node) Status(now time.Time) (list []FamilyStatus) {
	for _, f := range n.families {
		list = append(list, FamilyStatus{
			IPv6: f.v6, ID: f.id, Nodes: f.table.Len(), Good: f.table.Good(now), Usable: f.usable(now), External: netip.AddrPortFrom(f.external.Addr, f.external.Port),
			Peers: f.peers.Len(), Hashes: f.peers.Hashes(), Items: f.items.Len(),
		})
	}
	return list
}

// Stats returns the counters.
func (n *Node) Stats() Stats { return n.stats }

// Contacts returns the nodes of the routing tables that answer, those closest to the own ids
// first.
func (n *Node) Contacts() (list []Contact) {
	for _, f := range n.families {
		list = f.table.Closest(list, f.id, f.table.Len())
	}
	return list
}

// setID changes the id of a family, and looks for the nodes close to the new one.
func (n *Node) setID(now time.Time, f *family, id ID) {
	f.id = id
	f.table.Rebase(id)
	f.peers.SetSelf(id)
	f.items.SetSelf(id)
	f.boot.restart(now)
	n.upkeepAt = now
}
