package torrent

import (
	"net/netip"

	"spate"
	"spate/bencode"
	"spate/peerwire"
	"spate/torrent/internal/peerlist"
)

// extensions is what the peer said in its extension handshake (BEP 10).
type extensions struct {
	uploadOnly bool // BEP 21
}

// ourReqq is how many requests of a peer are queued; it is told that many.
const ourReqq = maxUploadQueue

// appendExtensionHandshake appends the first extended message (BEP 10).
func (t *Torrent) appendExtensionHandshake(b []byte, c *conn) []byte {
	d := bencode.AppendDict(nil)
	d = bencode.AppendString(d, "m")
	d = bencode.AppendEnd(bencode.AppendDict(d))
	if p := t.s.port; p != 0 {
		d = bencode.AppendString(d, "p")
		d = bencode.AppendInt(d, int64(p))
	}
	d = bencode.AppendString(d, "reqq")
	d = bencode.AppendInt(d, ourReqq)
	d = bencode.AppendString(d, "v")
	d = bencode.AppendString(d, "spate "+spate.Version)
	if a := c.addr.Addr(); a.IsValid() {
		d = bencode.AppendString(d, "yourip")
		d = bencode.AppendString(d, a.AsSlice())
	}
	return peerwire.AppendExtended(b, 0, bencode.AppendEnd(d))
}

// extendedLocked takes an extended message. Only the handshake asks anything of
// us, for we offer no others.
func (c *conn) extendedLocked(m *peerwire.Message) error {
	if m.Index != 0 {
		return nil
	}
	d := bencode.NewDecoder(m.Payload, bencode.Options{Depth: 10, Tokens: 1000})
	for key := range d.Dict {
		switch {
		case string(key) == "reqq" && d.Kind() == bencode.Int:
			c.reqq = int(max(1, min(d.Int(), 1<<16)))
		case string(key) == "p" && d.Kind() == bencode.Int:
			c.listensLocked(d.Int())
		case string(key) == "yourip" && d.Kind() == bencode.String:
			if a, ok := netip.AddrFromSlice(d.Bytes()); ok {
				c.t.peers.SetOwn(a.Unmap())
			}
		case string(key) == "v" && d.Kind() == bencode.String:
			c.client = printable(d.Bytes())
		case string(key) == "upload_only" && d.Kind() == bencode.Int:
			c.ext.uploadOnly = d.Int() != 0
		}
	}
	if err := d.Err(); err != nil {
		return badPeer("extension handshake: %v", err)
	}
	return nil
}

// listensLocked notes on which port a peer that connected to us takes
// connections, so that it is not dialled while it is here, and others are told.
func (c *conn) listensLocked(port int64) {
	if !c.incoming || port < 1 || port > 65535 || c.listens.IsValid() {
		return
	}
	at := netip.AddrPortFrom(c.addr.Addr(), uint16(port))
	c.t.peers.Add([]netip.AddrPort{at}, peerlist.SourceIncoming)
	if c.t.peers.Connected(at) {
		c.listens = at
	}
}

// printable returns a name from a peer, cut short and safe to show.
func printable(b []byte) string {
	if len(b) > 60 {
		b = b[:60]
	}
	out := make([]rune, 0, len(b))
	for _, r := range string(b) {
		if r < 0x20 || r >= 0x7f && r < 0xa1 || r == 0xfffd || r >= 0x2000 && r < 0x2070 {
			r = '.'
		}
		out = append(out, r)
	}
	return string(out)
}
