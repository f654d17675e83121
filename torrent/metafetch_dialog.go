package torrent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"spate/peerwire"
	"spate/torrent/internal/transport"
)

var (
	errNoMetadata    = errors.New("the peer gives no metadata")
	errWrongMetadata = errors.New("the metadata does not match the hash")
	errTooMuch       = errors.New("more metadata than the other peers have, and all of it is too much")
)

// metaDialog is the state of one conversation about metadata.
type metaDialog struct {
	f        *metaFetch
	ctx      context.Context // ends the conversation, as f.end does
	nc       net.Conn
	addr     netip.AddrPort
	incoming bool
	number   uint8 // the peer's for its metadata messages
	buf      []byte
	total    int
	have     int // pieces that came; they are asked for, and taken, in order
	asked    int
	cut      bool   // gave too much; guarded by f.mu
	said     []byte // what else the peer said, for the torrent; guarded by f.mu
	cold     bool   // that was too much; guarded by f.mu
}

// longAgo is a deadline that ends what waits for a connection.
var longAgo = time.Unix(1, 0)

// waitMore gives the peer its time anew, unless there is nothing to wait for any more.
func (d *metaDialog) waitMore() {
	d.nc.SetDeadline(time.Now().Add(metadataSilence))
	if d.over() { // it may have ended the wait just before
		d.nc.SetDeadline(longAgo)
	}
}

func (d *metaDialog) over() bool { return d.ctx.Err() != nil || d.f.end.Err() != nil }

// talk gets the metadata over a connection after the handshake. It reports whether
// the connection is kept for the torrent, when the metadata came over it or the
// search is over.
func (f *metaFetch) talk(ctx context.Context, nc net.Conn, hs peerwire.Handshake, addr netip.AddrPort, incoming bool) (kept bool, err error) {
	if hs.PeerID == f.s.opt.PeerID {
		return false, errSelf
	}
	if !hs.Reserved.Extended() {
		return false, errNoMetadata
	}
	f.mu.Lock()
	if f.done || f.peers.Banned(addr) {
		f.mu.Unlock()
		return false, errHalted
	}
	f.talks.Add(1)
	defer f.talks.Done()
	f.mu.Unlock()
	d := &metaDialog{f: f, ctx: ctx, nc: nc, addr: addr, incoming: incoming}
	defer f.release(d)
	err = f.converse(d, hs)
	if err == nil || errors.Is(err, errHalted) {
		kept = f.keep(d, hs)
	}
	return kept, err
}

// converse gets the metadata from one peer. It returns errHalted when the search is
// over meanwhile.
func (f *metaFetch) converse(d *metaDialog, hs peerwire.Handshake) error {
	nc := d.nc
	for _, c := range []context.Context{d.ctx, f.end} {
		hung := make(chan struct{})
		stop := context.AfterFunc(c, func() {
			nc.SetDeadline(longAgo)
			close(hung)
		})
		defer func() {
			if !stop() {
				<-hung // it does not hang up on who keeps the connection
			}
		}()
	}
	ours := peerwire.ExtHandshake{Metadata: extMetadata, Port: f.s.AdvertisedPort(), Reqq: ourReqq, Client: clientName, YourIP: d.addr.Addr()}
	out := peerwire.AppendExtHandshake(nil, &ours)
	if hs.Reserved.Fast() {
		out = peerwire.AppendSimple(out, peerwire.HaveNone)
	}
	d.waitMore()
	if _, err := nc.Write(out); err != nil {
		return err
	}
	if !d.incoming {
		f.listensAt(d.addr)
	}
	in := transport.NewInbox(f.s.buf)
	defer in.Release()
	need := 0
	for {
		n, err := nc.Read(in.Space(need))
		in.Fill(n)
		if err != nil {
			if d.over() {
				d.note(in.Unread())
				err = errHalted
			}
			return err
		}
		done, more, err := d.takeAll(&in)
		if done || err != nil {
			return err
		}
		need = more
	}
}

// takeAll handles the messages that have come whole. done says that the metadata is
// whole, need how many bytes the next message has at least.
func (d *metaDialog) takeAll(in *transport.Inbox) (done bool, need int, err error) {
	for {
		var m peerwire.Message
		size, more, err := peerwire.Parse(in.Unread(), &m)
		if size == 0 || err != nil {
			return false, more, err
		}
		if m.ID != peerwire.Extended || m.Index != extMetadata {
			d.note(in.Unread()[:size])
		}
		in.Discard(size)
		done, err := d.take(&m)
		if errors.Is(err, errWrongMetadata) {
			d.f.ban(d.addr)
		}
		if done {
			d.note(in.Unread())
		}
		if done || err != nil {
			return done, 0, err
		}
	}
}

// take handles one message; done says that the metadata is whole.
func (d *metaDialog) take(m *peerwire.Message) (done bool, err error) {
	if m.ID != peerwire.Extended {
		return false, nil
	}
	switch m.Index {
	case 0:
		h, err := peerwire.ParseExtHandshake(m.Payload)
		if err != nil {
			return false, err
		}
		if h.Metadata == 0 || h.MetadataSize <= 0 || h.MetadataSize > peerwire.MaxMetadata {
			return false, errNoMetadata
		}
		if d.incoming && h.Port != 0 {
			d.f.listensAt(netip.AddrPortFrom(d.addr.Addr(), h.Port))
		}
		d.number = h.Metadata
		if d.total != 0 {
			return false, nil // a later one wins no time
		}
		d.total = int(h.MetadataSize)
		return false, d.request()
	case extMetadata:
		mm, err := peerwire.ParseMetadata(m.Payload)
		if err != nil {
			return false, err
		}
		switch mm.Type {
		case peerwire.MetadataReject:
			return false, errNoMetadata
		case peerwire.MetadataData:
			return d.data(&mm)
		}
	}
	return false, nil
}

func (d *metaDialog) pieces() int {
	return (d.total + peerwire.MetadataPieceLen - 1) / peerwire.MetadataPieceLen
}

// request keeps a few pieces asked for.
func (d *metaDialog) request() error {
	var out []byte
	for ; d.asked < d.pieces() && d.asked < d.have+metadataWindow; d.asked++ {
		out = peerwire.AppendMetadata(out, d.number, &peerwire.MetadataMessage{Type: peerwire.MetadataRequest, Piece: int64(d.asked)})
	}
	d.waitMore()
	if len(out) == 0 {
		return nil
	}
	_, err := d.nc.Write(out)
	return err
}

// data appends a piece. The buffer grows with what has come, whatever size the
// peer named.
func (d *metaDialog) data(m *peerwire.MetadataMessage) (done bool, err error) {
	want := min(peerwire.MetadataPieceLen, d.total-d.have*peerwire.MetadataPieceLen)
	if d.total == 0 || m.Piece != int64(d.have) || len(m.Data) != want || d.have >= d.asked {
		return false, badPeer("metadata piece %d of %d bytes", m.Piece, len(m.Data))
	}
	if !d.f.hold(d, len(m.Data)) {
		return false, errTooMuch
	}
	d.buf = append(d.buf, m.Data...)
	d.have++
	if d.have < d.pieces() {
		return false, d.request()
	}
	if !d.f.matches(d.buf) {
		return false, errWrongMetadata
	}
	select {
	case d.f.found <- d.buf:
	default: // another peer was first
	}
	return true, nil
}

// hold makes room for n bytes more that a peer gave. When all peers together gave
// too much, the one that gave most goes: metadata is small, most often.
func (f *metaFetch) hold(d *metaDialog, n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.cut {
		return false
	}
	f.held[d] += n
	total, most := 0, d
	for o, m := range f.held {
		total += m
		if m > f.held[most] {
			most = o
		}
	}
	if total <= maxHeld {
		return true
	}
	delete(f.held, most)
	most.cut = true
	most.nc.SetDeadline(longAgo)
	return most != d
}

func (f *metaFetch) release(d *metaDialog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.held, d)
	f.said -= len(d.said)
}

// ban takes no metadata from that address any more.
func (f *metaFetch) ban(addr netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peers.Ban(addr)
}
