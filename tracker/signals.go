package tracker

// Signals makes offers of WebRTC connections for the peers of a swarm and answers theirs.
// WebSocket trackers pass both on. Descriptions are SDP (RFC 8866) with all candidates. It is
// safe for concurrent use, and its methods do not wait for the network.
type Signals interface {
	// Offers returns at most n new offers: none if the torrent needs no peers now.
	Offers(n int) []Offer
	// Answer answers the offer of another peer. It returns an error if it is not a valid
	// offer or this side takes no more connections.
	Answer(offer string) (answer string, err error)
}

// Offer is an offer that waits for the answer of another peer.
type Offer interface {
	// Description returns the offer as SDP.
	Description() string
	// Accept begins to connect to the peer that sent an answer. It returns an error if the
	// answer is not valid, or if the offer is over.
	Accept(answer string) error
	// Withdraw ends an offer that was not accepted.
	Withdraw()
}
