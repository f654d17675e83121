package torrent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"spate"
	"spate/peerwire"
	"spate/peerwire/mse"
)

// Encryption says which connections to peers use the encryption of BitTorrent clients (see
// package mse). It hides the protocol from filters in the network, and keeps nothing secret.
type Encryption uint8

const (
	// EncryptionAllow accepts connections with and without encryption. It dials without, or with
	// encryption if the last connection to the peer had it. If the peer closes that connection
	// without an answer, it is dialled again the other way. If it closes this one too, which it
	// does if it does not know the torrent, it is dialled twice again after an hour at the
	// earliest.
	EncryptionAllow Encryption = iota
	// EncryptionPrefer is like EncryptionAllow, and always dials with encryption first.
	EncryptionPrefer
	// EncryptionRequire uses only connections with encryption. All their data is encrypted, which
	// costs more than a second of a processor for each gigabyte. The others encrypt their
	// handshakes only, if the peer can do without.
	EncryptionRequire
	// EncryptionOff uses no encryption.
	EncryptionOff
)

// attempts returns whether each dial of a peer is encrypted, in order. known means that the last
// connection to the peer was encrypted, which changes the order of EncryptionAllow only.
func (e Encryption) attempts(known bool) []bool {
	switch {
	case e == EncryptionOff:
		return []bool{false}
	case e == EncryptionRequire:
		return []bool{true}
	case e == EncryptionPrefer || known:
		return []bool{true, false}
	}
	return []bool{false, true}
}

// methods returns the methods that this side offers or accepts.
func (e Encryption) methods() mse.Method {
	if e == EncryptionRequire {
		return mse.RC4
	}
	return mse.Plaintext | mse.RC4
}

// choose selects the method for a peer that dialled.
func (e Encryption) choose(offered mse.Method) mse.Method {
	if both := offered & e.methods(); both&mse.Plaintext == 0 {
		return both
	}
	return mse.Plaintext
}

// errEncryption is the cause when the peer does not encrypt and this side requires it.
var errEncryption = errors.New("the connection is not encrypted")

// encryption is what a session knows for encrypted handshakes. It is safe for concurrent use.
type encryption struct {
	computing chan struct{} // a token for each handshake that computes keys

	mu        sync.Mutex                  // guards the fields below
	encrypted map[netip.AddrPort]struct{} // peers to which the last connection was encrypted
	refused   map[dialTarget]time.Time    // when a peer last closed connections with and without encryption
}

// dialTarget is a peer and the torrent for which it is dialled.
type dialTarget struct {
	addr netip.AddrPort
	hash spate.InfoHash
}

// secondTryEvery is the time after which a peer that closed connections with and without encryption
// is dialled again with both. Most such peers do not know the torrent, so that a second connection
// for each dial would be in vain.
const secondTryEvery = time.Hour

func newEncryption() encryption {
	return encryption{computing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), encrypted: map[netip.AddrPort]struct{}{}, refused: map[dialTarget]time.Time{}}
}

// compute runs f, of which few run at a time, so that many handshakes leave processors to others.
func (e *encryption) compute(f func()) {
	e.computing <- struct{}{}
	defer func() { <-e.computing }()
	f()
}

// attempts returns whether each dial of a peer for a torrent is encrypted, in order.
func (e *encryption) attempts(mode Encryption, to dialTarget) []bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, known := e.encrypted[to.addr]
	all := mode.attempts(known)
	if at, ok := e.refused[to]; ok && time.Since(at) < secondTryEvery {
		return all[:1]
	}
	return all
}

// reached records whether a connection to a peer was encrypted.
func (e *encryption) reached(to dialTarget, encrypted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.refused, to)
	if encrypted {
		remember(e.encrypted, to.addr, struct{}{})
	} else {
		delete(e.encrypted, to.addr)
	}
}

// closed records that a peer closed connections with and without encryption.
func (e *encryption) closed(to dialTarget) {
	e.mu.Lock()
	defer e.mu.Unlock()
	remember(e.refused, to, time.Now())
}

// encryptDialled makes the encrypted handshake on a connection that this side dialled, and
// sends hello with it. It returns the connection for what follows.
func (s *Session) encryptDialled(nc net.Conn, hash spate.InfoHash, hello []byte) (net.Conn, error) {
	i := mse.Initiator{InfoHash: hash, Offer: s.opt.Encryption.methods(), Initial: hello, Compute: s.encryption.compute}
	r, err := i.Handshake(nc)
	if err != nil {
		return nil, err
	}
	return encryptedConn(nc, r), nil
}

// readIncoming reads the handshake of a connection that a peer dialled, after the encrypted
// handshake if the peer begins with that. It returns the connection for what follows, and whether
// the handshake came without encryption.
func (s *Session) readIncoming(nc net.Conn) (_ net.Conn, hs peerwire.Handshake, plain bool, err error) {
	begin, plain, err := readPrefix(nc)
	switch {
	case err != nil:
		return nil, hs, plain, err
	case !plain && s.ranges != nil && transportOf(nc) == TCP:
		var asks bool
		if begin, asks, err = readAsHTTP(nc, begin); asks {
			return &begunConn{Conn: nc, begin: begin}, hs, plain, errHTTP
		}
	}
	switch {
	case err != nil:
		return nil, hs, plain, err
	case !plain && (s.opt.Encryption == EncryptionOff || transportOf(nc) == WebRTCChannel):
		return nil, hs, plain, peerwire.CheckPrefix(begin)
	}
	if !plain {
		a := mse.Acceptor{Torrent: s.hashOf, Choose: s.opt.Encryption.choose, Compute: s.encryption.compute}
		r, err := a.Handshake(nc, begin)
		if err != nil {
			return nil, hs, plain, err
		}
		nc, begin = encryptedConn(nc, r), r.Initial
	}
	rest := bytes.NewReader(begin)
	hs, err = readHandshake(io.MultiReader(rest, nc))
	if rest.Len() > 0 {
		nc = &begunConn{Conn: nc, begin: begin[len(begin)-rest.Len():]}
	}
	return nc, hs, plain, err
}

// readPrefix reads the first bytes of a connection, as many as tell whether it begins with the
// handshake of BEP 3: plain. It reads no byte that follows the prefix of that handshake.
func readPrefix(r io.Reader) (begin []byte, plain bool, err error) {
	var b [peerwire.PrefixLen]byte
	n := 0
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if peerwire.CheckPrefix(b[:n]) != nil {
			return b[:n], false, nil
		}
		if err != nil && n < len(b) {
			return nil, false, err
		}
	}
	return b[:], true, nil
}

// encryptedConn returns the connection for what follows a handshake.
func encryptedConn(nc net.Conn, r *mse.Result) net.Conn {
	if r.Method == mse.RC4 {
		return mse.NewConn(nc, r)
	}
	return nc
}

// begunConn is a connection of which some bytes were read already.
type begunConn struct {
	net.Conn
	begin []byte
}

func (c *begunConn) Read(b []byte) (int, error) {
	if len(c.begin) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.begin)
	c.begin = c.begin[n:]
	return n, nil
}

// NetConn returns the connection below.
func (c *begunConn) NetConn() net.Conn { return c.Conn }

// closedByPeer reports whether a dial failed in a way that another try with or without encryption
// may mend: the peer accepted the connection, and closed it at the handshake.
func closedByPeer(ctx context.Context, err error) bool {
	return errors.Is(err, errNoAnswer) && !errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil
}
