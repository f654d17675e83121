package torrent

import (
	"net/netip"

	"spate/peerwire"
)

// dhtNode is the DHT node of the process, as a session uses it.
type dhtNode struct {
	port  uint16
	found func(netip.AddrPort)
}

// SetDHT makes the session tell peers the UDP port of the DHT node of this process, and pass the
// address of each DHT node that a peer names to found (BEP 5). found must not wait. Peers of private
// torrents are neither told nor heard. Peers that are connected already are not told.
func (s *Session) SetDHT(port uint16, found func(node netip.AddrPort)) {
	s.dht.Store(&dhtNode{port, found})
}

// dhtOfLocked returns the DHT node if the peer may learn about it, or nil.
func (c *conn) dhtOfLocked() *dhtNode {
	if !c.peer.reserved.DHT() || c.t.info.Private {
		return nil
	}
	return c.t.s.dht.Load()
}

// sendPortLocked queues a message with the port of the DHT node.
func (c *conn) sendPortLocked() {
	if d := c.dhtOfLocked(); d != nil {
		c.tx.control = peerwire.AppendPort(c.tx.control, d.port)
	}
}

// portLocked handles the port of the peer's DHT node. Only the first one counts, so that a peer
// cannot make this side send many packets.
func (c *conn) portLocked(m *peerwire.Message) {
	d := c.dhtOfLocked()
	if d == nil || c.peer.namedNode || !c.peer.addr.IsValid() || m.Index == 0 {
		return
	}
	c.peer.namedNode = true
	d.found(netip.AddrPortFrom(c.peer.addr.Addr(), uint16(m.Index)))
}
