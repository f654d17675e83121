package torrent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"spate/peerwire"
	"spate/torrent/internal/metafetch"
	"spate/torrent/internal/transport"
)

// metaDialog is the exchange of messages with one peer that is asked for metadata.
type metaDialog struct {
	f        *metaFetch
	ctx      context.Context // ends the dialog, as f.end does
	nc       net.Conn
	addr     netip.AddrPort
	incoming bool
	peer     *metafetch.Peer // guarded by f.mu
}

// longAgo is a deadline that ends all reads and writes that wait for a connection.
var longAgo = time.Unix(1, 0)

// fetchOver gets the metadata over a connection after the handshake. It reports
// whether it keeps the connection for the torrent, which it may do when the metadata
// came over it or the search is over. Otherwise the caller closes the connection.
func (f *metaFetch) fetchOver(ctx context.Context, nc net.Conn, hs peerwire.Handshake, addr netip.AddrPort, incoming bool) (kept bool, err error) {
	if hs.PeerID == f.s.opt.PeerID {
		return false, errSelf
	}
	if !hs.Reserved.Extended() {
		return false, metafetch.ErrNoMetadata
	}
	d := &metaDialog{f: f, ctx: ctx, nc: nc, addr: addr, incoming: incoming}
	if !f.enter(d) {
		return false, errHalted
	}
	defer f.leave(d)
	err = d.run(hs)
	if err == nil || errors.Is(err, errHalted) {
		kept = f.keep(d, hs)
	}
	return kept, err
}

// enter adds a dialog to the search, unless the search is over or the peer is banned.
func (f *metaFetch) enter(d *metaDialog) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done || f.peers.Banned(d.addr) {
		return false
	}
	f.running.Add(1)
	d.peer = f.fetch.Join()
	f.dialogs[d.peer] = d
	return true
}

// leave removes a dialog from the search.
func (f *metaFetch) leave(d *metaDialog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetch.Leave(d.peer)
	delete(f.dialogs, d.peer)
	f.running.Done()
}

// run gets the metadata from the peer. It returns errHalted if the search ends
// meanwhile.
func (d *metaDialog) run(hs peerwire.Handshake) error {
	for _, ctx := range []context.Context{d.ctx, d.f.end} {
		interrupted := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			d.nc.SetDeadline(longAgo)
			close(interrupted)
		})
		defer func() {
			if !stop() {
				<-interrupted // a deadline set later would end the connection of the torrent
			}
		}()
	}
	if err := d.sendExtHandshake(hs); err != nil {
		return err
	}
	in := transport.NewInbox(d.f.s.buf)
	defer in.Release()
	need := 0
	for {
		n, err := d.nc.Read(in.Space(need))
		in.Fill(n)
		if err != nil {
			if d.over() {
				d.keepMessage(in.Unread())
				err = errHalted
			}
			return err
		}
		done, more, err := d.consume(&in)
		if done || err != nil {
			return err
		}
		need = more
	}
}

// sendExtHandshake sends the extension handshake, and have none to a peer with the Fast
// extension.
func (d *metaDialog) sendExtHandshake(hs peerwire.Handshake) error {
	ours := peerwire.ExtHandshake{Metadata: extMetadata, Port: d.f.s.AdvertisedPort(), Reqq: ourReqq, Client: clientName, YourIP: d.addr.Addr()}
	out := peerwire.AppendExtHandshake(nil, &ours)
	if hs.Reserved.Fast() {
		out = peerwire.AppendSimple(out, peerwire.HaveNone)
	}
	d.restartTimeout()
	if _, err := d.nc.Write(out); err != nil {
		return err
	}
	if !d.incoming {
		d.f.listensAt(d.addr)
	}
	return nil
}

// consume handles the complete messages that have arrived. It reports whether the metadata
// is complete. If not, need is the least number of bytes of the next message.
func (d *metaDialog) consume(in *transport.Inbox) (done bool, need int, err error) {
	for {
		var m peerwire.Message
		size, more, err := peerwire.Parse(in.Unread(), &m)
		if size == 0 || err != nil {
			return false, more, err
		}
		message := in.Unread()[:size]
		in.Discard(size)
		done, err := d.handle(&m, message)
		if done {
			d.keepMessage(in.Unread())
		}
		if done || err != nil {
			return done, 0, err
		}
	}
}

// handle handles one message. It reports whether the metadata is complete.
func (d *metaDialog) handle(m *peerwire.Message, message []byte) (done bool, err error) {
	if !d.peer.IsMetadata(m) {
		d.keepMessage(message)
	}
	step, err := d.receive(m)
	switch {
	case err != nil:
		return false, err
	case step.Complete:
		err = d.check()
		return err == nil, err
	}
	if d.incoming && step.Port != 0 {
		d.f.listensAt(netip.AddrPortFrom(d.addr.Addr(), step.Port))
	}
	if step.Progress {
		d.restartTimeout()
	}
	if len(step.Send) > 0 {
		_, err = d.nc.Write(step.Send)
	}
	return false, err
}

// receive gives one message to the search, and interrupts the dialog of the peer that the
// search drops, if any.
func (d *metaDialog) receive(m *peerwire.Message) (metafetch.Step, error) {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	step, err := d.peer.Receive(m)
	if o := d.f.dialogs[step.Drop]; o != nil {
		o.nc.SetDeadline(longAgo)
	}
	return step, err
}

// check compares the complete metadata with the hashes of the link. A peer whose
// metadata does not match is banned from the search.
func (d *metaDialog) check() error {
	raw := d.peer.Metadata()
	if !d.f.hashes.Match(raw) {
		d.f.mu.Lock()
		defer d.f.mu.Unlock()
		d.f.peers.Ban(d.addr)
		return metafetch.ErrMismatch
	}
	select {
	case d.f.found <- raw:
	default: // another peer was first
	}
	return nil
}

// keepMessage keeps a message, or the beginning of one, for the torrent that is found.
func (d *metaDialog) keepMessage(b []byte) {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	d.peer.Keep(b)
}

// restartTimeout gives the peer metadataTimeout for its next answer, unless the dialog is
// over.
func (d *metaDialog) restartTimeout() {
	d.nc.SetDeadline(time.Now().Add(metadataTimeout))
	if d.over() { // the deadline that ends the dialog may have been set just before
		d.nc.SetDeadline(longAgo)
	}
}

// over reports whether the search has ended or was given up.
func (d *metaDialog) over() bool { return d.ctx.Err() != nil || d.f.end.Err() != nil }
