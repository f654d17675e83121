package torrent

import (
	"net/netip"
	"time"

	"spate"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// Numbers that we want to see on extended messages (BEP 10).
const (
	extMetadata = 1
	extPEX      = 2
)

// ourReqq is how many requests of a peer are queued; it is told that many.
const ourReqq = maxUploadQueue

// extHandshakeLocked is what we say of ourselves to the peer (BEP 10).
func (c *conn) extHandshakeLocked() peerwire.ExtHandshake {
	t := c.t
	h := peerwire.ExtHandshake{
		Metadata: extMetadata, MetadataSize: int64(len(t.mi.InfoBytes)),
		Port: t.s.port, Reqq: ourReqq, Client: clientName, YourIP: c.addr.Addr(),
		UploadOnly: t.state == StateSeeding && !c.super.on,
	}
	if t.pexAllowed() {
		h.PEX = extPEX
	}
	return h
}

const clientName = "spate " + spate.Version

// extendedLocked takes an extended message. What a peer sends under a number that
// we did not give is ignored.
func (c *conn) extendedLocked(m *peerwire.Message, now time.Time) error {
	var err error
	switch m.Index {
	case 0:
		err = c.extGreetedLocked(m.Payload)
	case extMetadata:
		err = c.metadataLocked(m.Payload)
	case extPEX:
		err = c.pexLocked(m.Payload, now)
	}
	if err != nil {
		return &protocolError{err.Error()}
	}
	return nil
}

// extGreetedLocked takes the peer's extension handshake. A later one replaces
// what it names again (BEP 10).
func (c *conn) extGreetedLocked(payload []byte) error {
	h, err := peerwire.ParseExtHandshake(payload)
	if err != nil {
		return err
	}
	c.ext = h
	if h.Reqq > 0 {
		c.reqq = h.Reqq
	}
	if h.Client != "" {
		c.client = printable(h.Client)
	}
	if h.Port != 0 {
		c.listensLocked(h.Port)
	}
	if h.YourIP.IsValid() {
		c.t.peers.SetOwn(h.YourIP)
	}
	c.superMetLocked()
	return nil
}

// listensLocked notes on which port a peer that connected to us takes
// connections, so that it is not dialled while it is here, and others are told.
func (c *conn) listensLocked(port uint16) {
	if !c.incoming || c.listens.IsValid() {
		return
	}
	at := netip.AddrPortFrom(c.addr.Addr(), port)
	c.t.peers.Add([]netip.AddrPort{at}, peerlist.SourceIncoming)
	if c.t.peers.Connected(at) {
		c.listens = at
	}
}

// printable returns a name from a peer, cut short and safe to show.
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
