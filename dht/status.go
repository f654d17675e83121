package dht

import (
	"net/netip"
	"time"
)

// Status describes a node.
type Status struct {
	Families []FamilyStatus
	// The counters begin at the start of the node.
	QueriesReceived uint64
	QueriesSent     uint64
	AnswersReceived uint64
	Timeouts        uint64 // queries without an answer
	Malformed       uint64 // packets that are no message of the DHT
	Limited         uint64 // queries that were not answered because their sender sent too many
	BytesReceived   uint64
	BytesSent       uint64
	Searches        int // searches that run
}

// FamilyStatus describes the network of one address family.
type FamilyStatus struct {
	IPv6 bool
	ID   [20]byte
	// Nodes is the number of nodes in the routing table, and Good the number of those that
	// have answered or asked in the last 15 minutes.
	Nodes, Good int
	// Usable reports whether the node knows enough nodes to search.
	Usable bool
	// External is the own address as other nodes see it. It is not valid while they do not
	// agree. Its port is 0 if it differs, as behind some NATs.
	External netip.AddrPort
	// Peers is the number of peers that the node stores for others, and InfoHashes the number
	// of their torrents.
	Peers, InfoHashes int
}

// Status returns the state of the node.
func (n *Node) Status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	st := n.core.Stats()
	s := Status{
		QueriesReceived: st.QueriesIn, QueriesSent: st.QueriesOut, AnswersReceived: st.Answered, Timeouts: st.TimedOut,
		Malformed: st.Malformed, Limited: st.Limited, BytesReceived: st.BytesIn, BytesSent: st.BytesOut, Searches: n.core.Running(),
	}
	for _, f := range n.core.Status(time.Now()) {
		s.Families = append(s.Families, FamilyStatus{
			IPv6: f.IPv6, ID: f.ID, Nodes: f.Nodes, Good: f.Good, Usable: f.Usable, External: f.External, Peers: f.Peers, InfoHashes: f.Hashes,
		})
	}
	return s
}
