package webrtc

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pion/dtls/v3"

	"spate/internal/webrtc/record"
)

var errKeys = errors.New("webrtc: the DTLS handshake gave no keys")

// records carries packets in the records of an open DTLS connection. It implements [net.Conn] for
// package sctp.
type records struct {
	p      *path
	early  []*packet // packets that came before the keys were known
	flight []byte    // the last packet of the handshake
	again  time.Time // when flight was last sent again

	mu   sync.Mutex // guards seal
	seal *record.Sealer
	open *record.Opener // used by Read alone
}

// flightEvery limits how often the last packet of the handshake is sent again.
const flightEvery = 100 * time.Millisecond

// takeOver takes the keys of a connection after its handshake, and ends the connection without a
// word to the other side.
func (l *link) takeOver(d *dtls.Conn) (*records, error) {
	early, flight := l.path.take()
	state, ok := d.ConnectionState()
	d.Close()
	if !ok {
		return nil, errKeys
	}
	seal, open, err := record.Import(&state)
	if err != nil {
		return nil, err
	}
	if l.active {
		flight = nil // the last packet of a client was answered
	}
	return &records{p: l.path, early: early, flight: flight, seal: seal, open: open}, nil
}

// Read returns the data of one packet.
func (r *records) Read(b []byte) (int, error) {
	for {
		q, err := r.next()
		if err != nil {
			return 0, err
		}
		n, err := r.data(q.data[:q.n], b)
		r.p.l.e.free.Put(q)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// next returns the next packet.
func (r *records) next() (*packet, error) {
	if len(r.early) > 0 {
		q := r.early[0]
		r.early = r.early[1:]
		return q, nil
	}
	select {
	case q := <-r.p.in:
		return q, nil
	case <-r.p.done:
		return nil, net.ErrClosed
	case <-r.p.reads.over():
		return nil, os.ErrDeadlineExceeded
	}
}

// data copies the data of a packet to b. It returns an error if the other side ends the connection.
func (r *records) data(packet, b []byte) (n int, err error) {
	for len(packet) > 0 {
		kind, payload, rest, ok := r.open.Open(packet)
		packet = rest
		switch {
		case !ok:
		case kind == record.TypeAlert && record.Ends(payload):
			return n, io.EOF
		case kind == record.TypeHandshake: // the other side did not get the end of the handshake
			if now := time.Now(); r.flight != nil && now.Sub(r.again) >= flightEvery {
				r.again = now
				r.p.send(r.flight)
			}
		case kind == record.TypeData && n == 0:
			n = copy(b, payload)
		}
	}
	return n, nil
}

// Write sends a packet.
func (r *records) Write(b []byte) (int, error) {
	select {
	case <-r.p.done:
		return 0, net.ErrClosed
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]byte, record.Before+len(b), record.Overhead+len(b))
	copy(out[record.Before:], b)
	out, err := r.seal.Seal(record.TypeData, out)
	if err != nil {
		return 0, err
	}
	r.p.send(out)
	return len(b), nil
}

// Close tells the other side that the connection ends, and ends it.
func (r *records) Close() error {
	r.mu.Lock()
	if out, err := r.seal.CloseNotify(); err == nil {
		r.p.send(out)
	}
	r.mu.Unlock()
	r.p.l.end(net.ErrClosed)
	return nil
}

func (r *records) LocalAddr() net.Addr                { return Addr{} }
func (r *records) RemoteAddr() net.Addr               { return Addr{} }
func (r *records) SetDeadline(t time.Time) error      { return r.p.SetDeadline(t) }
func (r *records) SetReadDeadline(t time.Time) error  { return r.p.SetReadDeadline(t) }
func (r *records) SetWriteDeadline(t time.Time) error { return r.p.SetWriteDeadline(t) }
