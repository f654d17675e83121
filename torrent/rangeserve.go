package torrent

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"spate"
	"spate/torrent/internal/choker"
	"spate/torrent/internal/transport"
)

// rangeChunk bounds the bytes that are read and written at once.
const rangeChunk = 256 << 10

// Times, in seconds, after which a client should ask again.
const (
	rangeSoon  = 3  // no slot is free
	rangeLater = 30 // the torrent super-seeds, or is not ready
)

// rangePeers are the clients that fetch ranges of a torrent over HTTP. Torrent.mu guards it.
type rangePeers struct {
	turns choker.Turns
	by    map[*rangePeer]struct{}
}

// rangePeer is a connection over HTTP that has got a range of a torrent. Torrent.mu guards its
// fields, except those that do not change and sent.
type rangePeer struct {
	t       *Torrent // does not change
	addr    netip.AddrPort
	client  string
	since   time.Time
	sock    *transport.Conn // for the limits of the rate
	sent    atomic.Int64    // bytes of payload
	meter   meter
	sending bool
}

// askedOverHTTP serves ranges on a connection. nc returns again what was read from raw.
func (s *Session) askedOverHTTP(nc, raw net.Conn) {
	if !ofThisMachine(raw) {
		s.cameIn(remoteAddr(raw), TCP)
	}
	raw.SetDeadline(time.Time{})
	s.ranges.take(nc, raw)
}

// ServeHTTP answers a request for a range of a torrent. It implements [http.Handler].
func (r *rangeServer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if !r.begin() {
		return
	}
	defer r.handlers.Done()
	c := q.Context().Value(rangeConnKey{}).(*rangeConn)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(rangeStuckTime))
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Range, Retry-After, X-Peer-Id")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	ih, ok := parseRangePath(q.URL.Path)
	switch {
	case !c.mayAsk(time.Now()):
		refuseRange(w, http.StatusTooManyRequests, rangeSoon)
	case q.ContentLength != 0 || len(q.TransferEncoding) > 0:
		refuseRange(w, http.StatusBadRequest, 0)
	case !ok || !mayAskFrom(c.address().Addr(), q.Header):
		refuseRange(w, http.StatusNotFound, 0)
	case q.Method == http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "Range")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	case q.Method != http.MethodGet && q.Method != http.MethodHead:
		refuseRange(w, http.StatusMethodNotAllowed, 0)
	default:
		r.serve(w, q, c, ih)
	}
}

// refuseRange answers without data. Unless the client is to ask again after some seconds, the
// connection ends.
func refuseRange(w http.ResponseWriter, status, retry int) {
	h := w.Header()
	if retry > 0 {
		h.Set("Retry-After", strconv.Itoa(retry))
	}
	if status != http.StatusServiceUnavailable {
		h.Set("Connection", "close")
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(status)
}

// serve answers a request for a range of the torrent with an info-hash.
func (r *rangeServer) serve(w http.ResponseWriter, q *http.Request, c *rangeConn, ih spate.InfoHash) {
	t, _, err := r.s.lookup(ih)
	if err != nil || t == nil {
		refuseRange(w, http.StatusNotFound, 0)
		return
	}
	defer r.s.release(t)
	if t.info.Private { // BEP 27: only peers that its tracker names get its data
		refuseRange(w, http.StatusNotFound, 0)
		return
	}
	size := t.info.TotalLength()
	begin, end, ok := parseRange(q.Header.Get("Range"), size)
	if !ok || len(q.Header["Range"]) != 1 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		refuseRange(w, http.StatusRequestedRangeNotSatisfiable, 0)
		return
	}
	if c.peer != nil && c.peer.t != t {
		c.peer.leave()
		c.peer = nil
	}
	p, end, status, retry := t.takeRange(c, q, begin, end)
	if status != http.StatusPartialContent {
		refuseRange(w, status, retry)
		return
	}
	sent := int64(0)
	defer func() { t.endRange(p, sent) }()
	id := r.s.PeerID()
	h := w.Header()
	h.Set("X-Peer-Id", fmt.Sprintf("%x", id[:]))
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", begin, end-1, size))
	h.Set("Content-Length", strconv.FormatInt(end-begin, 10))
	w.WriteHeader(http.StatusPartialContent)
	if q.Method == http.MethodGet {
		_ = http.NewResponseController(w).Flush() // the client learns that it has a slot before it gets data
		sent = p.send(w, c, begin, end)
	}
}

// takeRange takes a slot for a range of verified pieces. It returns the end of the part that may be
// sent, and the status of the answer. The caller then calls endRange if the status is 206.
func (t *Torrent) takeRange(c *rangeConn, q *http.Request, begin, end int64) (p *rangePeer, to int64, status, retry int) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.runsLocked() {
		return nil, 0, http.StatusServiceUnavailable, rangeLater
	}
	if t.super.Active() || t.super.FirstSeed(t.maySuperSeedLocked(), now) {
		// Each piece goes to one peer first, which passes it on. Clients over HTTP pass on to nobody.
		return nil, 0, http.StatusServiceUnavailable, rangeLater
	}
	for to = begin; to < end; {
		i := int(to / t.info.PieceLength)
		if !t.pick.Have(i) {
			break
		}
		to = min(end, (int64(i)+1)*t.info.PieceLength)
	}
	switch {
	case to == begin:
		return nil, 0, http.StatusNotFound, 0
	case !t.ranges.turns.Take(now, askerOf(c.address().Addr()), t.rangeSlotsLocked(now)):
		return nil, 0, http.StatusServiceUnavailable, rangeSoon
	}
	p = t.rangePeerLocked(c, q, now)
	p.sending = true
	return p, to, http.StatusPartialContent, 0
}

// rangePeerLocked returns the client of a connection.
func (t *Torrent) rangePeerLocked(c *rangeConn, q *http.Request, now time.Time) *rangePeer {
	if c.peer != nil {
		return c.peer
	}
	if !c.lined && t.s.opt.Uplink != nil {
		c.line, c.lined = t.s.opt.Uplink(c.raw), true
	}
	up := []transport.Limit{t.up, t.s.up}
	if c.line != nil {
		up = append(up, c.line)
	}
	p := &rangePeer{
		t: t, addr: c.address(), since: now, client: "HTTP",
		sock: transport.New(c.raw, transport.Options{Buffers: t.s.buf, Portable: true, Up: up}),
	}
	if q.Header.Get("Origin") != "" {
		p.client = "browser (HTTP)"
	}
	if t.ranges.by == nil {
		t.ranges.by = map[*rangePeer]struct{}{}
	}
	t.ranges.by[p] = struct{}{}
	p.meter.restart(now, 0)
	c.peer = p
	return p
}

// endRange frees the slot of a range of which sent bytes were sent.
func (t *Torrent) endRange(p *rangePeer, sent int64) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	p.sending = false
	t.ranges.turns.Done(now, askerOf(p.addr.Addr()), sent)
	t.fillSlotsLocked(now)
}

// leave removes the client of a connection that has ended.
func (p *rangePeer) leave() {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	delete(p.t.ranges.by, p)
}

// send sends the bytes from begin to before end, and returns how many it sent.
func (p *rangePeer) send(w http.ResponseWriter, c *rangeConn, begin, end int64) (sent int64) {
	t := p.t
	buf := t.s.uploads.Get()
	defer t.s.uploads.Put(buf)
	control := http.NewResponseController(w)
	for at := begin; at < end; {
		n := int(min(end-at, int64(p.sock.UpBatch(rangeChunk))))
		if p.sock.WaitUp(t.life.ctx, n, transport.Normal) != nil {
			return sent
		}
		if err := t.readBlocks([]upload{{at: at, length: uint32(n)}}, buf[:n]); err != nil {
			t.dataGone(err)
			return sent
		}
		_ = control.SetWriteDeadline(time.Now().Add(rangeStuckTime))
		m, err := w.Write(buf[:n])
		sent += int64(m)
		p.sent.Add(int64(m))
		t.count.uploaded.Add(int64(m))
		t.s.carried.up.Add(int64(m))
		c.took(m)
		if err != nil {
			return sent
		}
		at += int64(n)
	}
	return sent
}

// rangeSlotsLocked returns how many ranges may be sent at the same time: as many as peers leave of
// the upload slots, and at least one. A torrent that downloads sends one, because clients over HTTP
// give nothing back.
func (t *Torrent) rangeSlotsLocked(now time.Time) int {
	if t.status.state != StateSeeding {
		return 1
	}
	peers := t.candidatesLocked(now)
	for p := range t.ranges.by {
		peers = append(peers, choker.Peer{Interested: true, Unchoked: p.sending, Up: p.meter.current(now, p.sent.Load())})
	}
	t.slots.candidates = peers[:0]
	used, _, _ := t.usedSlotsLocked(now)
	return max(1, max(t.choke.Slots(peers, true), t.slots.fast)-used)
}

// tickRangesLocked measures the rates of the clients over HTTP.
func (t *Torrent) tickRangesLocked(now time.Time) {
	for p := range t.ranges.by {
		p.meter.update(now, p.sent.Load())
	}
}

// rangeStatsLocked returns snapshots of the clients over HTTP.
func (t *Torrent) rangeStatsLocked() (all []PeerStats) {
	for p := range t.ranges.by {
		all = append(all, PeerStats{
			Key: peerKeyOf(p.addr), Client: p.client, Transport: HTTPRanges, Incoming: true, Uploaded: p.sent.Load(), UpRate: p.meter.rate,
			Interested: true, Choked: true, Unchoked: p.sending,
		})
	}
	return all
}
