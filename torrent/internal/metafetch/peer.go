package metafetch

import (
	"errors"
	"fmt"

	"spate/internal/units"
	"spate/metainfo"
	"spate/peerwire"
)

// Errors that end the exchange with a peer.
var (
	// ErrNoMetadata is the error for a peer that has no metadata or rejects a request.
	ErrNoMetadata = errors.New("the peer gives no metadata")
	// ErrMismatch is the error for metadata that does not match the hashes of the link.
	ErrMismatch = errors.New("the metadata does not match the hash")
	// ErrTooMuch is the error for the peer that sent most when all peers together sent
	// more than is kept.
	ErrTooMuch = errors.New("the peers gave too much metadata, and this peer gave most of it")
)

// PieceError is the error for a piece of metadata that was not requested or has the
// wrong length.
type PieceError struct {
	Piece  int64
	Length int // length of the piece in bytes
}

func (e *PieceError) Error() string {
	return fmt.Sprintf("protocol: metadata piece %d of %s was not requested", e.Piece, units.Plural(e.Length, "byte"))
}

// Peer is a peer that is asked for metadata. Make one with [Fetch.Join].
type Peer struct {
	f           *Fetch
	number      uint8  // message number of metadata that the peer assigned
	size        int    // bytes of metadata that the peer claims to have; 0 if it has not said
	raw         []byte // the pieces that arrived, in order
	have, asked int    // pieces that arrived; pieces that were requested
	dropped     bool   // the peer sent too much
	backlog     []byte
	backlogLost bool // the backlog became too long and was dropped
}

// Step tells the caller what to do after a message of a peer.
type Step struct {
	Send     []byte // messages to write to the peer
	Progress bool   // the peer answered: restart the time limit for its next answer
	Port     uint16 // the port on which the peer says that it accepts connections; 0 if unknown
	Complete bool   // all pieces have arrived: compare Metadata with the hashes
	Drop     *Peer  // another peer that sent too much: close its connection
}

// Receive handles a message of the peer. An error ends the exchange with the peer.
func (p *Peer) Receive(m *peerwire.Message) (Step, error) {
	switch {
	case m.ID != peerwire.Extended:
		return Step{}, nil
	case m.Index == 0:
		return p.handshake(m.Payload)
	case p.IsMetadata(m):
		return p.metadata(m.Payload)
	}
	return Step{}, nil
}

// IsMetadata reports whether the message belongs to the metadata extension. All other
// messages are for the torrent that is added later.
func (p *Peer) IsMetadata(m *peerwire.Message) bool {
	return m.ID == peerwire.Extended && m.Index == uint32(p.f.number)
}

// handshake handles an extension handshake. The first one starts the requests. A later one
// may only change the message number.
func (p *Peer) handshake(payload []byte) (Step, error) {
	h, err := peerwire.ParseExtHandshake(payload)
	if err != nil {
		return Step{}, err
	}
	if h.Metadata == 0 || h.MetadataSize <= 0 || h.MetadataSize > metainfo.MaxSize {
		return Step{}, ErrNoMetadata
	}
	s := Step{Port: h.Port}
	p.number = h.Metadata
	if p.size == 0 {
		p.size = int(h.MetadataSize)
		s.Send, s.Progress = p.request(), true
	}
	return s, nil
}

func (p *Peer) metadata(payload []byte) (Step, error) {
	m, err := peerwire.ParseMetadata(payload)
	if err != nil {
		return Step{}, err
	}
	switch m.Type {
	case peerwire.MetadataReject:
		return Step{}, ErrNoMetadata
	case peerwire.MetadataData:
		return p.data(&m)
	}
	return Step{}, nil
}

// data appends the next piece to p.raw. The buffer grows with the pieces that arrive,
// whatever size the peer claimed.
func (p *Peer) data(m *peerwire.MetadataMessage) (Step, error) {
	want := min(peerwire.MetadataPieceLen, p.size-len(p.raw))
	if p.have >= p.asked || m.Piece != int64(p.have) || len(m.Data) != want {
		return Step{}, &PieceError{m.Piece, len(m.Data)}
	}
	if p.dropped {
		return Step{}, ErrTooMuch
	}
	drop := p.f.add(p, len(m.Data))
	if drop == p {
		return Step{}, ErrTooMuch
	}
	p.raw = append(p.raw, m.Data...)
	p.have++
	if p.have == p.pieces() {
		return Step{Complete: true, Drop: drop}, nil
	}
	return Step{Send: p.request(), Progress: true, Drop: drop}, nil
}

func (p *Peer) pieces() int {
	return (p.size + peerwire.MetadataPieceLen - 1) / peerwire.MetadataPieceLen
}

// request returns requests for the next pieces, so that a few are always outstanding.
func (p *Peer) request() (out []byte) {
	for ; p.asked < p.pieces() && p.asked < p.have+requestsAhead; p.asked++ {
		out = peerwire.AppendMetadata(out, p.number, &peerwire.MetadataMessage{Type: peerwire.MetadataRequest, Piece: int64(p.asked)})
	}
	return out
}

// Metadata returns the pieces that have arrived, one after the other.
func (p *Peer) Metadata() []byte { return p.raw }

// Keep appends a message that is not about metadata, or the first part of such a message, to
// the backlog for the torrent that is added later. A backlog that becomes too long is lost.
func (p *Peer) Keep(message []byte) {
	if p.backlogLost || len(p.backlog)+len(message) > maxBacklog || p.f.backlogs+len(message) > maxBacklogs {
		p.f.backlogs -= len(p.backlog)
		p.backlogLost, p.backlog = true, nil
		return
	}
	p.f.backlogs += len(message)
	p.backlog = append(p.backlog, message...)
}

// TakeBacklog returns the backlog. ok is false if the torrent cannot use the connection,
// because the backlog was lost or the peer was dropped.
func (p *Peer) TakeBacklog() (messages []byte, ok bool) {
	if p.backlogLost || p.dropped {
		return nil, false
	}
	messages, p.backlog = p.backlog, nil
	return messages, true
}
