package torrent

import (
	"errors"
	"net/netip"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
	"spate/torrent/internal/picker"
)

// Message numbers that peers must use in extended messages to this side (BEP 10).
const (
	extMetadata  = 1
	extPEX       = 2
	extDontHave  = 3
	extDialBack  = 4
	extHolepunch = 5
)

// ourReqq is the number of requests of one peer that are queued. The extension handshake
// contains it.
const ourReqq = maxUploadQueue

// extensionState holds what one peer has sent by the extension protocol (BEP 10).
type extensionState struct {
	handshake       peerwire.ExtHandshake // all extension handshakes of the peer, merged
	reqq            int                   // requests that the peer queues
	client          string                // name and version
	listens         netip.AddrPort        // where the peer accepts connections; not valid if unknown
	pex             pexState
	greeted         bool // an extension handshake of the peer has arrived
	toldOwn         bool // the peer has told us our address
	introduced      int  // addresses in Torrent.holes to which the peer is a relay
	rendezvous      int  // rendezvous messages of the peer since rendezvousSince
	rendezvousSince time.Time
	onlyReports     bool           // this side downloads from the peer over another connection; see twin.go
	carries         bool           // the peer takes part in the swarms of the hybrid and of the twin
	alsoIn          *peerlist.List // list of the other swarm that the connection serves, in which the peer is connected too; or nil
}

// extHandshakeLocked returns the extension handshake for the peer (BEP 10).
func (c *conn) extHandshakeLocked() peerwire.ExtHandshake {
	t := c.t
	h := peerwire.ExtHandshake{
		DontHave: extDontHave, DialBack: extDialBack, Port: t.s.AdvertisedPort(), Reqq: ourReqq, Client: clientName, YourIP: c.peer.addr.Addr(),
		UploadOnly: t.status.state == StateSeeding && !c.t.super.Hides(c.id),
	}
	h.V2Hashes = t.MetaInfo().V2Hashes != nil
	h.Twin = t.sayTwinLocked()
	if t.givesMetadata() {
		h.Metadata, h.MetadataSize = extMetadata, int64(len(c.infoBytes()))
	}
	if t.pexAllowed() {
		h.PEX = extPEX
	}
	if t.punchAllowed() {
		h.Holepunch = extHolepunch
	}
	return h
}

const clientName = "spate " + spate.Version

// extendedLocked handles an extended message. Unknown message numbers are ignored.
func (c *conn) extendedLocked(m *peerwire.Message, now time.Time) error {
	var err error
	switch m.Index {
	case 0:
		err = c.extHandshakeReceivedLocked(m.Payload)
	case extMetadata:
		err = c.metadataLocked(m.Payload)
	case extPEX:
		err = c.pexLocked(m.Payload, now)
	case extDontHave:
		err = c.dontHaveLocked(m.Payload, now)
	case extDialBack:
		err = c.dialBackLocked(m.Payload, now)
	case extHolepunch:
		err = c.holepunchLocked(m.Payload, now)
	}
	if errors.Is(err, peerwire.ErrExtension) {
		return &protocolError{err.Error()}
	}
	return err
}

// extHandshakeReceivedLocked handles the peer's extension handshake. A later one replaces
// only the keys that it contains (BEP 10).
func (c *conn) extHandshakeReceivedLocked(payload []byte) error {
	h, t := &c.ext.handshake, c.t
	twin, holepunch := h.Twin, h.Holepunch
	if err := h.Update(payload); err != nil {
		return err
	}
	if h.Twin != twin || h.Holepunch != holepunch || !c.ext.greeted {
		t.peerConns.changes++
		c.countCarrierLocked()
	}
	c.ext.greeted = true
	if h.Reqq > 0 {
		c.ext.reqq = h.Reqq
	}
	if h.Client != "" {
		c.ext.client = printable(h.Client)
	}
	if h.Port != 0 {
		c.listensLocked(h.Port)
	}
	if h.YourIP.IsValid() && !c.ext.toldOwn {
		c.ext.toldOwn = true // a change of our address costs a pass over the peer list
		if c.peer.incoming && t.s.showsReach(c.peer.addr.Addr(), c.peer.transport) {
			t.s.reachedAt.add(h.YourIP, c.peer.addr.Addr(), time.Now())
		}
		for _, l := range t.listsLocked() {
			l.SetOwn(h.YourIP)
		}
	}
	c.heardOfTwinLocked()
	if h.UploadOnly && t.status.state == StateSeeding && !c.owesHashesLocked() {
		return errBothSeeds // the peer may lack pieces but wants none (BEP 21)
	}
	c.readyLocked()
	return nil
}

// tellUploadOnlyLocked sends the peers an extension handshake whose upload_only (BEP 21)
// says whether this side still wants pieces. A torrent with every piece sends none, because
// its bitfield says the same.
func (t *Torrent) tellUploadOnlyLocked() {
	if t.pick == nil || t.pick.HaveCount() == t.info.NumPieces() {
		return
	}
	t.tellHandshakeLocked()
}

// dontHaveLocked handles lt_donthave, which revokes a have message (BEP 54). This side
// never sends it: it closes its connections when it loses data.
func (c *conn) dontHaveLocked(payload []byte, now time.Time) error {
	piece, err := peerwire.ParseDontHave(payload)
	if err != nil {
		return err
	}
	t := c.t
	if int64(piece) >= int64(t.info.NumPieces()) {
		return badPeer("don't have of piece %d of %d", piece, t.info.NumPieces())
	}
	i := int(piece)
	steps := 1
	if t.pick.PeerIsSeed(c.id) {
		steps = t.info.NumPieces() // the picker makes a bitfield for the peer
	} else if t.pick.Slot(i) >= 0 {
		steps = int(t.info.PieceLength / picker.BlockSize)
	}
	if !c.work.take(steps, now) {
		return badPeer("it revokes too many pieces")
	}
	if !t.pick.PeerDontHave(c.id, i) {
		return nil
	}
	t.super.Lacks(c.id, piece)
	if t.pick.Slot(i) >= 0 {
		for n := range t.pick.BlocksOf(i) {
			if b := t.pick.BlockAt(i, n); t.pick.Requested(b, c.id) {
				t.pick.Abandon(b, c.id)
			}
		}
	}
	if c.ext.listens.IsValid() {
		c.listLocked().SetSeed(c.ext.listens, false)
	}
	c.updateInterestLocked()
	c.due.refill = true
	return nil
}

// listensLocked records the port on which an incoming peer accepts connections, so that the
// peer is not dialled while it is connected, and PEX can announce its address. The port of
// another service is ignored.
func (c *conn) listensLocked(port uint16) {
	if !c.peer.incoming || c.ext.listens.IsValid() || netguard.ServicePort(port) {
		return
	}
	at := netip.AddrPortFrom(c.peer.addr.Addr(), port)
	c.listLocked().Add([]netip.AddrPort{at}, peerlist.SourceIncoming)
	if c.listLocked().Connected(at) {
		c.ext.listens = at
		c.t.peerConns.changes++
	}
}

// printable returns at most 60 bytes of a client name, with control characters replaced.
func printable(b string) string {
	if len(b) > 60 {
		b = b[:60]
	}
	out := make([]rune, 0, len(b))
	for _, r := range b {
		if r < 0x20 || r >= 0x7f && r < 0xa1 || r == 0xfffd || r >= 0x2000 && r < 0x2070 {
			r = '.'
		}
		out = append(out, r)
	}
	return string(out)
}
