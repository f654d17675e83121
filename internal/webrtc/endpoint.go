package webrtc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/fairpool"
	"spate/internal/udpmux"
)

// Options configure an [Endpoint]. Send and Addrs are required.
type Options struct {
	// Send sends a packet from the UDP port. local is the address of this machine from which it
	// leaves; if it is not valid, the system chooses. It must not wait.
	Send func(packet []byte, to netip.AddrPort, local netip.Addr) error
	// SendBatch sends packets together, which is faster if consecutive ones have equal sizes. The
	// packets belong to the caller again when it returns. It must not wait. Nil sends each packet
	// with Send.
	SendBatch func([]udpmux.Packet)
	// Addrs returns the addresses at which others reach the UDP port. Descriptions name them.
	Addrs func() []netip.AddrPort
	// Reachable reports whether others can send packets to Addrs without a packet from this side
	// first. This side is then ICE-lite. Nil means that they can.
	Reachable func() bool
	// MayCheck reports whether this side may send checks to a candidate that another peer named.
	// Nil allows none, so that packets go only to addresses from which an authentic check came.
	MayCheck func(netip.AddrPort) bool
	// MaxPending bounds the offers and answers that wait for the other side. Above it the oldest
	// one is given up. 0 selects 4,096; each takes about 1 KiB.
	MaxPending int
	// MaxHandshakes bounds the connections whose DTLS handshake is not complete. Networks share
	// these slots. 0 selects 64.
	MaxHandshakes int
	// Log gets a debug record for each connection that fails; nil means none.
	Log *slog.Logger
}

// Time limits.
const (
	// OfferTime is how long an offer waits for its answer.
	OfferTime = time.Minute
	// OpenTime is how long the two sides may take to open the data channel, from the answer on.
	OpenTime = 30 * time.Second

	silentTime   = 30 * time.Second // without an authentic packet of the other side, a connection ends (RFC 7675)
	consentEvery = 5 * time.Second  // checks of an open connection, if this side sends any
	sweepEvery   = time.Second
)

// Errors of an Endpoint.
var (
	ErrClosed = errors.New("webrtc: the endpoint is closed")
	errEnd    = errors.New("webrtc: the connection was given up")
	errSilent = errors.New("webrtc: the other side is silent")
)

// Endpoint makes and accepts data channels over one UDP port. Its methods are safe for concurrent
// use.
type Endpoint struct {
	opt   Options
	cert  tls.Certificate
	print [sha256.Size]byte // fingerprint of cert
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup // goroutines of connections
	free  sync.Pool      // *packet

	outgoing sync.Pool // *outgoing

	count struct{ offers, answers, opened, failed, dropped atomic.Uint64 }

	mu         sync.Mutex // guards the fields below and the fields of every link that say so
	closed     bool
	byUfrag    map[string]*link
	byAddr     map[netip.AddrPort]*link
	asked      questions
	waiting    []*link // links that are pending, the oldest first; some may have left
	pending    int     // links in waiting that are pending
	open       int     // links whose data channel is open
	handshakes *fairpool.Pool[*link]
	touched    []*carrier  // whose channels got packets since the last call of Flush
	sweeper    *time.Timer // nil while there are no links
}

// Stats counts the connections of an Endpoint.
type Stats struct {
	Pending    int    // offers and answers that wait for the other side
	Handshakes int    // connections whose DTLS handshake is not complete
	Open       int    // open data channels
	Offers     uint64 // offers that were made
	Answers    uint64 // offers of others that were answered
	Opened     uint64 // data channels that were opened
	Failed     uint64 // connections that ended before the data channel was open
	Dropped    uint64 // packets that were not authentic or did not fit in a queue
}

// New returns an endpoint with a certificate of its own, which all its connections use.
func New(opt Options) (*Endpoint, error) {
	if opt.Send == nil || opt.Addrs == nil {
		return nil, errors.New("webrtc: Options.Send and Options.Addrs are required")
	}
	if opt.MaxPending < 0 || opt.MaxHandshakes < 0 {
		return nil, errors.New("webrtc: a bound of the options is negative")
	}
	if opt.MaxPending == 0 {
		opt.MaxPending = 4096
	}
	if opt.MaxHandshakes == 0 {
		opt.MaxHandshakes = 64
	}
	if opt.Reachable == nil {
		opt.Reachable = func() bool { return true }
	}
	if opt.MayCheck == nil {
		opt.MayCheck = func(netip.AddrPort) bool { return false }
	}
	if opt.SendBatch == nil {
		opt.SendBatch = func(packets []udpmux.Packet) {
			for _, p := range packets {
				opt.Send(p.Data, p.Addr, p.Local)
			}
		}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	e := &Endpoint{
		opt: opt, byUfrag: map[string]*link{}, byAddr: map[netip.AddrPort]*link{},
		handshakes: fairpool.New[*link](fairpool.Options{Slots: opt.MaxHandshakes}),
	}
	e.free.New = func() any { return new(packet) }
	e.outgoing.New = func() any { return new(outgoing) }
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e, e.makeCertificate()
}

// makeCertificate makes the certificate, whose fingerprint the descriptions have.
func (e *Endpoint) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	// A browser shows neither the name nor the dates to anybody. The start is earlier than now for
	// clocks that are slow.
	draft := &x509.Certificate{SerialNumber: serial, NotBefore: now.AddDate(0, 0, -2), NotAfter: now.AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, draft, draft, key.Public(), key)
	if err != nil {
		return err
	}
	e.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	e.print = sha256.Sum256(der)
	return nil
}

// Offer is an offer that waits for the answer of another peer.
type Offer struct{ l *link }

// Offer makes an offer. When the data channel is open, opened is called in a goroutine of its own.
// It is not called if the connection fails. The offer ends after [OfferTime] without an answer.
func (e *Endpoint) Offer(opened func(*Stream)) (*Offer, error) {
	l := e.newLink(opened)
	l.offered = true
	l.ours.setup, l.ours.mid = setupActpass, "0"
	if err := e.add(l, OfferTime); err != nil {
		return nil, err
	}
	e.count.offers.Add(1)
	return &Offer{l}, nil
}

// Description returns the offer as SDP.
func (o *Offer) Description() string { return o.l.ours.text() }

// Withdraw ends an offer that was not accepted. Other offers are not affected.
func (o *Offer) Withdraw() {
	e := o.l.e
	e.mu.Lock()
	unanswered := o.l.theirs == nil
	e.mu.Unlock()
	if unanswered {
		o.l.end(errEnd)
	}
}

// Accept connects to the peer that sent an answer to the offer. It returns at once.
func (o *Offer) Accept(answer string) error {
	l := o.l
	theirs, err := parseSDP(answer)
	if err != nil {
		return err
	}
	if theirs.setup == setupActpass {
		return errRole
	}
	e := l.e
	full := !l.ours.lite || theirs.lite
	e.chooseCandidates(theirs, full)
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.gone || l.theirs != nil {
		return errEnd
	}
	l.theirs = theirs
	l.active = theirs.setup == setupPassive
	l.full = full
	l.controlling = l.full // an offer that is not lite, or one of two lite sides (RFC 8445, 6.1.1)
	l.deadline = time.Now().Add(OpenTime)
	e.beginLocked(l)
	return nil
}

// Answer answers the offer of another peer and returns the answer as SDP. When the data channel is
// open, opened is called in a goroutine of its own. It is not called if the connection fails.
func (e *Endpoint) Answer(offer string, opened func(*Stream)) (answer string, err error) {
	theirs, err := parseSDP(offer)
	if err != nil {
		return "", err
	}
	l := e.newLink(opened)
	l.theirs = theirs
	if theirs.mid == "" {
		return "", badSDP("it has no mid")
	}
	l.ours.mid = theirs.mid
	l.ours.setup, l.active = setupActive, true
	if theirs.setup == setupActive {
		l.ours.setup, l.active = setupPassive, false
	}
	if theirs.lite { // somebody has to check
		l.ours.lite = false
	}
	l.full = !l.ours.lite
	l.controlling = theirs.lite
	e.chooseCandidates(theirs, l.full)
	answer = l.ours.text()
	if err := e.add(l, OpenTime); err != nil {
		return "", err
	}
	e.count.answers.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.beginLocked(l)
	return answer, nil
}

// chooseCandidates keeps the candidates to which this side may send checks: none unless it is full.
func (e *Endpoint) chooseCandidates(theirs *description, full bool) {
	same := map[netip.Addr]int{}
	seen := map[netip.AddrPort]bool{}
	theirs.candidates = slices.DeleteFunc(theirs.candidates, func(a netip.AddrPort) bool {
		if !full || seen[a] || same[a.Addr()] >= maxSameAddrs || !e.opt.MayCheck(a) {
			return true
		}
		seen[a] = true
		same[a.Addr()]++
		return false
	})
}

// Stats returns the numbers of connections.
func (e *Endpoint) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{
		Pending: e.pending, Handshakes: e.handshakes.Len(), Open: e.open,
		Offers: e.count.offers.Load(), Answers: e.count.answers.Load(), Opened: e.count.opened.Load(),
		Failed: e.count.failed.Load(), Dropped: e.count.dropped.Load(),
	}
}

// Close ends all connections and waits until their goroutines have ended. Functions that were
// passed to Offer and Answer may still be called before Close returns.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	e.closed = true
	all := make([]*link, 0, len(e.byUfrag))
	for _, l := range e.byUfrag {
		all = append(all, l)
	}
	if e.sweeper != nil {
		e.sweeper.Stop()
	}
	e.mu.Unlock()
	e.stop()
	for _, l := range all {
		e.mu.Lock()
		s := l.stream
		e.mu.Unlock()
		if s != nil {
			s.Close()
		}
		l.end(ErrClosed)
	}
	e.wg.Wait()
	return nil
}
