package uplink

import (
	"cmp"
	"context"
	"math"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"spate/internal/ratelimit"
	"spate/internal/sockqueue"
)

// Supported reports whether this system tells what a line needs to know about sockets.
const Supported = runtime.GOOS == "linux"

const (
	// quietSockets is the number of sockets per sample that sent nothing before.
	quietSockets = 32
	// quietAfter is the number of samples without progress after which a socket is quiet.
	quietAfter = 30
	// idleInterval is the time between two samples while all sockets are quiet.
	idleInterval = 500 * time.Millisecond
	// fastSocket is the rate in bytes per second from which a socket may queue as much as
	// the system allows, because shorter queues cost more system calls.
	fastSocket = 4 << 20
	// unsentTime, leastUnsent and mostUnsent limit the bytes that wait in a slower socket, so
	// that small messages do not wait behind them for long.
	unsentTime  = 0.25 // seconds
	leastUnsent = 32 << 10
	mostUnsent  = 128 << 10
)

// Line samples the sockets of a process and limits their total rate. It is safe for
// concurrent use.
type Line struct {
	limiter *ratelimit.Limiter
	private atomic.Bool   // whether private addresses are limited too
	wake    chan struct{} // has an entry after a socket was added

	mu      sync.Mutex // guards the fields below
	control Controller
	state   State
	sockets []*Socket // in no order
	turn    int       // index of the next quiet socket to sample
	leaving uint64    // bytes of sockets that were closed since the last sample
	lastID  uint64
}

// NewLine returns a line that does not limit. The caller must call Run.
func NewLine() *Line {
	l := &Line{limiter: ratelimit.New(0), wake: make(chan struct{}, 1)}
	l.private.Store(true)
	return l
}

// State returns what the line has learned.
func (l *Line) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Socket is the socket of one sender. Its methods are safe for concurrent use. A nil *Socket
// does not limit.
type Socket struct {
	line *Line
	id   uint64
	raw  syscall.RawConn // nil if reports is set
	// reports tells the path of a connection that is no socket of the system. The line cannot
	// pace such a connection.
	reports PathReporter
	local   bool        // the other side has a private address
	most    int         // limit of unsent bytes that the socket has without the line; 0: that of the system
	bulk    atomic.Bool // what is written waits for the limit

	// Line.mu guards the fields below.
	index  int // in Line.sockets
	path   sockqueue.Path
	fresh  uint64  // bytes acknowledged between the last two samples of the socket
	rate   float64 // bytes per second, smoothed over about a second
	wrote  uint64  // bytes that were written to the socket until the last sample
	sender sender
	quiet  int // samples without progress, up to quietAfter
	at     time.Time
	pace   int64
	unsent int // limit of unsent bytes
}

// PathReporter is a connection that knows its path itself, because it is no socket of the system.
// Path is safe for concurrent use, also after the connection was closed. It does not call the line.
type PathReporter interface{ Path() sockqueue.Path }

// Track adds a connection until its [Socket.Close]. It returns nil for connections that the
// line does not limit: to this machine, and other than TCP and those of a [PathReporter]. The remote
// address of a PathReporter may be none at which it is dialled; its method From then returns the
// address to which its packets go.
func (l *Line) Track(c net.Conn) *Socket {
	if l == nil || !Supported {
		return nil
	}
	bottom := below(c)
	remote, err := remoteOf(bottom, c.RemoteAddr())
	if err != nil || remote.Unmap().IsLoopback() {
		return nil
	}
	addr := remote.Unmap()
	s := &Socket{local: addr.IsPrivate() || addr.IsLinkLocalUnicast()}
	switch c := bottom.(type) {
	case PathReporter:
		s.reports = c
	case syscall.Conn:
		if s.raw, err = c.SyscallConn(); err != nil {
			return nil
		}
		s.most = sockqueue.UnsentLimit(s.raw)
	default:
		return nil
	}
	return l.add(s)
}

// remoteOf returns the address to which the packets of a connection go.
func remoteOf(c net.Conn, remote net.Addr) (netip.Addr, error) {
	if from, ok := c.(interface{ From() netip.AddrPort }); ok && from.From().IsValid() {
		return from.From().Addr(), nil
	}
	a, err := netip.ParseAddrPort(remote.String())
	return a.Addr(), err
}

// below returns the connection below encryption and other wrappers.
func below(c net.Conn) net.Conn {
	for {
		w, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = w.NetConn()
	}
}

// add adds a socket and returns it.
func (l *Line) add(s *Socket) *Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastID++
	s.line, s.id, s.unsent, s.index = l, l.lastID, s.most, len(l.sockets)
	l.sockets = append(l.sockets, s)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return s
}

// Close removes the socket from its line. It should be called before the connection is closed,
// so that the line counts the bytes that are still on their way. Further calls do nothing.
func (s *Socket) Close() {
	if s == nil {
		return
	}
	l := s.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.index < 0 {
		return
	}
	if path, ok := s.readPath(); ok {
		l.leaving += path.Acked - s.path.Acked + uint64(path.Queued)
	}
	last := l.sockets[len(l.sockets)-1]
	l.sockets[s.index], last.index = last, s.index
	l.sockets[len(l.sockets)-1] = nil
	l.sockets = l.sockets[:len(l.sockets)-1]
	s.index = -1
}

// bulkLimiter returns the limiter for a call that waits. What the socket sends from now on is
// not urgent.
func (s *Socket) bulkLimiter() *ratelimit.Limiter {
	if s != nil && !s.bulk.Load() {
		s.bulk.Store(true)
	}
	return s.limiter()
}

// limiter returns the limiter of the socket, or nil if it is not limited.
func (s *Socket) limiter() *ratelimit.Limiter {
	if s == nil || s.local && !s.line.private.Load() {
		return nil
	}
	return s.line.limiter
}

// Rate is [ratelimit.Limiter.Rate].
func (s *Socket) Rate() int64 { return s.limiter().Rate() }

// Batch is [ratelimit.Limiter.Batch].
func (s *Socket) Batch() int { return s.limiter().Batch() }

// Wait is [ratelimit.Limiter.Wait].
func (s *Socket) Wait(ctx context.Context, n int) error { return s.bulkLimiter().Wait(ctx, n) }

// WaitFirst is [ratelimit.Limiter.WaitFirst].
func (s *Socket) WaitFirst(ctx context.Context, n int) error {
	return s.bulkLimiter().WaitFirst(ctx, n)
}

// WaitLater is [ratelimit.Limiter.WaitLater].
func (s *Socket) WaitLater(ctx context.Context, n int) error {
	return s.bulkLimiter().WaitLater(ctx, n)
}

// WaitLast is [ratelimit.Limiter.WaitLast].
func (s *Socket) WaitLast(ctx context.Context, n int) error {
	return s.bulkLimiter().WaitLast(ctx, n)
}

// GiveBack is [ratelimit.Limiter.GiveBack].
func (s *Socket) GiveBack(n int) { s.limiter().GiveBack(n) }

// Run takes samples until ctx ends. It returns nil.
func (l *Line) Run(ctx context.Context) error {
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		wait := l.sample(time.Now())
		if wait == 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-l.wake:
				wait = Interval
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

// sample takes a sample and sets the limit. It returns the time until the next sample, or 0
// if there are no sockets.
func (l *Line) sample(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sockets) == 0 {
		return 0
	}
	list := l.sampledLocked()
	samples := make([]Sample, 0, len(list))
	busy := false
	for _, s := range list {
		if !s.readLocked(now) {
			continue
		}
		busy = busy || s.quiet == 0
		samples = append(samples, Sample{
			ID: s.id, RTT: s.path.RTT, MinRTT: s.path.MinRTT, Acked: s.fresh, Unsent: s.path.Unsent, Local: s.local,
		})
	}
	if l.leaving > 0 { // counts, but has no round-trip time
		busy = true
		samples = append(samples, Sample{Acked: l.leaving})
		l.leaving = 0
	}
	if !busy && l.state.Rate == 0 {
		return idleInterval
	}
	limit := l.control.Update(now, samples, l.limiter.Waiting())
	if limit != l.limiter.Rate() {
		l.limiter.SetRate(limit)
	}
	l.private.Store(l.control.LimitsLocal())
	l.paceLocked(list)
	for _, s := range list {
		s.boundLocked()
	}
	l.state = l.control.State()
	return Interval
}

// sampledLocked returns the sockets of the next sample: those that have sent lately, and
// some others in turn.
func (l *Line) sampledLocked() []*Socket {
	var list []*Socket
	for _, s := range l.sockets {
		if s.quiet < quietAfter {
			list = append(list, s)
		}
	}
	if len(list) > MaxSockets-quietSockets {
		slices.SortFunc(list, func(a, b *Socket) int { return cmp.Compare(b.rate, a.rate) })
		list = list[:MaxSockets-quietSockets]
	}
	for range min(quietSockets, len(l.sockets)) {
		l.turn = (l.turn + 1) % len(l.sockets)
		if s := l.sockets[l.turn]; s.quiet == quietAfter {
			list = append(list, s)
		}
	}
	return list
}

// readPath returns the path of the socket, or false if it is not known.
func (s *Socket) readPath() (sockqueue.Path, bool) {
	if s.reports != nil {
		return s.reports.Path(), true
	}
	return sockqueue.ReadPath(s.raw)
}

// readLocked reads the path of the socket. It returns false if that is not possible.
func (s *Socket) readLocked(now time.Time) bool {
	path, ok := s.readPath()
	if !ok {
		return false
	}
	s.fresh = path.Acked - s.path.Acked
	s.quiet = min(s.quiet+1, quietAfter)
	if s.fresh > 0 {
		s.quiet = 0
	}
	if s.quiet == quietAfter {
		s.bulk.Store(false)
	}
	wrote := path.Acked + uint64(path.Queued)
	if s.reports != nil {
		wrote -= uint64(path.Unsent) // the other sockets share what it leaves, whatever it holds
	}
	if dt := now.Sub(s.at).Seconds(); !s.at.IsZero() && dt > 0 {
		s.rate += min(1, dt) * (float64(s.fresh)/dt - s.rate)
		s.sender.now = max(0, float64(int64(wrote-s.wrote))/dt) // the two numbers are not of the same instant
		s.sender.wrote += min(1, dt) * (s.sender.now - s.sender.wrote)
	}
	s.wrote = wrote
	s.sender.held = path.Unsent >= heldBytes && s.bulk.Load() && s.reports == nil
	s.path, s.at = path, now
	return true
}

// paceLocked spreads the bytes of the sockets over time while the line is limited.
func (l *Line) paceLocked(list []*Socket) {
	limited := list[:0:0]
	senders := make([]sender, 0, len(list))
	for _, s := range list {
		if s.local && !l.private.Load() {
			s.setPaceLocked(0)
			continue
		}
		limited, senders = append(limited, s), append(senders, s.sender)
	}
	for i, pace := range divide(l.control.Pace(), senders) {
		limited[i].setPaceLocked(int64(pace))
	}
}

// setPaceLocked sets the pace of a socket of the system; 0 is no limit. It does nothing at small changes.
func (s *Socket) setPaceLocked(pace int64) {
	if s.reports != nil {
		return
	}
	if d := pace - s.pace; pace == 0 != (s.pace == 0) || max(d, -d) > s.pace/8 {
		s.pace = pace
		_ = sockqueue.SetPace(s.raw, pace) // a socket that was closed meanwhile needs none
	}
}

// boundLocked keeps the queue of a socket of the system short. It does nothing at small changes.
func (s *Socket) boundLocked() {
	if s.reports != nil {
		return
	}
	unsent := s.most
	if s.quiet == 0 && s.rate < fastSocket {
		unsent = int(min(mostUnsent, max(leastUnsent, unsentTime*s.rate)))
		if s.most > 0 {
			unsent = min(unsent, s.most)
		}
	}
	if d := unsent - s.unsent; unsent == 0 != (s.unsent == 0) || max(d, -d) > s.unsent/2 {
		s.unsent = unsent
		_ = sockqueue.SetUnsent(s.raw, unsent) // a socket that was closed meanwhile needs none
	}
}
