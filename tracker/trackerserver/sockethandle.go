package trackerserver

import (
	"bytes"
	"context"
	"time"

	"spate"
	"spate/internal/fairpool"
	"spate/tracker"
	"spate/tracker/swarm"
	"spate/tracker/wire"
)

const (
	// socketInterval is the longest interval that WebSocket clients are told. They need new
	// offers from time to time, and a message over an open connection costs little. A client in
	// more than manySwarms swarms is told a longer one in proportion, up to maxSocketInterval.
	socketInterval    = 2 * time.Minute
	manySwarms        = 1000
	maxSocketInterval = 30 * time.Minute
	// readAhead is the space in bytes for a message; it grows for a longer one.
	readAhead = 8 << 10
	// messageTime limits the time in which a message must be complete after its start.
	messageTime = 10 * time.Second
	// longestWait bounds the time that a client waits whose network exceeds its limit: for its
	// announce, or after its refusal.
	longestWait = time.Second
)

var refuseSwarms = &Refusal{Reason: "too many torrents on one connection"}

// socketCall holds the data of one message. It is reused.
type socketCall struct {
	call
	in         bytes.Buffer
	msg        wire.WSRequest
	say        wire.WSReply
	deliveries []delivery
}

// next reads and handles a message. It returns false if the connection has ended. While it waits for
// a message it has no buffer.
func (ss *sockets) next(k *socket) bool {
	_, r, err := k.conn.Reader(context.Background())
	if err != nil {
		return false
	}
	c := ss.calls.Get().(*socketCall)
	defer ss.calls.Put(c)
	k.raw.SetReadDeadline(time.Now().Add(messageTime))
	c.in.Reset()
	c.in.Grow(readAhead) // most messages then need one system call
	if _, err := c.in.ReadFrom(r); err != nil {
		return false
	}
	k.raw.SetReadDeadline(k.until)
	return ss.handle(k, c)
}

// handle handles the message in c.in. It returns false if the client is to be disconnected.
func (ss *sockets) handle(k *socket, c *socketCall) bool {
	if wait := k.messages.pay(ss.s.now(), messageStep, messageBurst); wait > 0 {
		time.Sleep(wait) // meanwhile the client cannot send
	}
	c.reset(ss.s.now(), tracker.WebSocket, k.from)
	c.token, c.handed, c.aside, c.deliveries = k.token, 0, false, c.deliveries[:0]
	err := wire.ParseWSRequest(c.in.Bytes(), &c.msg)
	switch {
	case err != nil:
		ss.n.malformed.Add(1)
		k.malformed++
		ss.refuse(k, c, &Refusal{Reason: err.Error(), Never: true})
		return k.malformed < maxMalformed
	case c.msg.Action == wire.WSScrape:
		ss.scrape(k, c)
	case c.msg.Answer != "":
		ss.answer(k, c)
	default:
		ss.announce(k, c)
	}
	return true
}

// refuse sends a refusal. If the client exceeds the limit of its network, refuse waits, so that the
// client cannot send more meanwhile.
func (ss *sockets) refuse(k *socket, c *socketCall, r *Refusal) {
	retry := minutes(r.RetryIn)
	c.say = wire.WSReply{
		Action: c.msg.Action, InfoHash: c.msg.InfoHash, Failure: r.Reason, RetryIn: retry, Never: r.Never,
		Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown, Takers: tracker.Unknown,
	}
	c.out = wire.AppendWSReply(c.out[:0], &c.say)
	k.reply(c.out)
	if r == &c.limited {
		time.Sleep(min(r.RetryIn, longestWait))
	}
}

// announce handles an announce without an answer.
func (ss *sockets) announce(k *socket, c *socketCall) {
	r := &c.msg
	c.req = tracker.AnnounceRequest{
		InfoHash: r.InfoHash, PeerID: r.PeerID, Uploaded: r.Uploaded, Downloaded: r.Downloaded, Left: r.Left,
		Event: r.Event, NumWant: r.NumWant, TrackerID: r.TrackerID,
	}
	c.aside = r.Twice
	refusal := ss.s.decide(&c.call)
	if refusal == &c.limited && refusal.RetryIn <= longestWait {
		time.Sleep(refusal.RetryIn)
		c.now = ss.s.now()
		refusal = ss.s.decide(&c.call)
	}
	switch {
	case refusal == nil:
		refusal = ss.meet(k, c)
	case refusal != &c.limited:
		ss.part(c.now, k, r.InfoHash)
	}
	ss.s.conclude(&c.call, refusal)
	ss.n.announced(&c.call, refusal)
	if refusal != nil {
		ss.refuse(k, c, refusal)
		return
	}
	if c.reply.Counted {
		ss.s.flush()
	}
	longest := k.interval()
	interval := min(c.reply.Interval, longest)
	if longest > socketInterval {
		interval = longest // because the client sends an announce for each of many swarms
	}
	ss.announced(c.now, k)
	k.await(2 * longest) // the interval of another swarm can be longer than that of this one
	c.say.Action, c.say.InfoHash = wire.WSAnnounce, r.InfoHash
	c.say.Interval, c.say.MinInterval = inSeconds(interval), inSeconds(min(c.reply.MinInterval, interval))
	c.say.Complete, c.say.Incomplete, c.say.Downloaded = int(c.reply.Seeders), int(c.reply.Leechers), int(c.reply.Completed)
	if c.note != nil {
		c.say.Warning = c.note.Warning
	}
	if r.Ranges && r.Left != 0 && r.Event != tracker.EventStopped {
		c.say.Ranges = ss.s.ranges.appendTo(nil, c.now, r.InfoHash, k.from)
	}
	c.out = wire.AppendWSReply(c.out[:0], &c.say)
	k.reply(c.out)
	for i := range c.deliveries {
		d := &c.deliveries[i]
		if d.to.send(signal(&wire.WSReply{InfoHash: r.InfoHash, Offer: d.offer.SDP, OfferID: d.offer.ID, PeerID: r.PeerID}), maxQueuedOffers) {
			ss.n.offers.Add(1)
		}
		*d = delivery{}
	}
}

// signal returns the message with an offer or an answer.
func signal(r *wire.WSReply) []byte {
	return wire.AppendWSReply(make([]byte, 0, len(r.Offer)+len(r.Answer)+512), r)
}

// meet updates the peer in its swarm, sets c.reply, and chooses peers for its offers.
func (ss *sockets) meet(k *socket, c *socketCall) *Refusal {
	r := &c.msg
	c.say = wire.WSReply{}
	shard := ss.meetings.shard(&r.InfoHash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	a := k.swarms.find(&r.InfoHash)
	if a != nil && (a.at < 0 || a.id != r.PeerID) {
		ss.drop(shard, k, a)
		a = nil
	}
	count := swarm.Sockets{InfoHash: r.InfoHash, PeerID: r.PeerID, Seed: r.Left == 0}
	var entered, moved, removed bool
	switch {
	case r.Event == tracker.EventStopped:
		if a != nil {
			ss.drop(shard, k, a)
			a, removed = nil, true
		}
	case a == nil:
		if !ss.mayJoin(k) {
			return refuseSwarms
		}
		a = &attendee{socket: k, hash: r.InfoHash, id: r.PeerID, seed: count.Seed, twice: r.Twice}
		k.swarms.add(a)
		if old := shard.join(a); old != nil && old != k {
			ss.check(old)
		}
		entered = true
		count.Completed = count.Seed && r.Event == tracker.EventCompleted
	default:
		moved = count.Seed && !a.seed
		count.Completed = count.Seed && !a.counted && (moved || r.Event == tracker.EventCompleted)
		shard.swarms[r.InfoHash].change(a, count.Seed, r.Twice)
	}
	count.Completed = count.Completed && !r.Twice
	m := shard.swarms[r.InfoHash]
	if m != nil {
		shard.expire(c.now, m)
		count.Seeders, count.Leechers = m.seeders, m.leechers
	}
	_ = ss.s.store.CountSockets(c.now, &count, &c.reply) // with swarm.ErrFull the reply is valid
	c.reply.New, c.reply.Moved, c.reply.Removed = entered, moved, removed
	if a != nil {
		a.counted = a.counted || count.Completed
		c.say.Takers = m.takersFor(a)
		offers := r.Offers[:ss.mayOffer(c.now, k, min(len(r.Offers), c.say.Takers))]
		c.deliveries = shard.handOut(c.now, m, a, offers, c.deliveries)
		c.handed = len(c.deliveries)
	}
	return nil
}

// mayJoin counts one more swarm of a client, and returns false if it is in too many.
func (ss *sockets) mayJoin(k *socket) bool {
	return len(k.swarms.list) < ownSwarms || ss.spare.take(fairpool.Prefix(k.from))
}

// mayOffer returns how many of n offers of a client may be handed out.
func (ss *sockets) mayOffer(now time.Time, k *socket, n int) int {
	for i := range n {
		if ss.offers.allow(now, k.from) > 0 || k.offers.take(now, offerStep, offerBurst) > 0 {
			return i
		}
	}
	return n
}

// drop removes a peer from its swarm and from its client. The caller holds shard.mu.
func (ss *sockets) drop(shard *meetingShard, k *socket, a *attendee) {
	if m := shard.swarms[a.hash]; m != nil && a.at >= 0 {
		m.remove(a)
		shard.forget(a.hash, m)
	}
	k.swarms.remove(a)
	if len(k.swarms.list) >= ownSwarms {
		ss.spare.free(fairpool.Prefix(k.from))
	}
}

// part removes the peer of a client from a swarm, if it is there, and tells the store.
func (ss *sockets) part(now time.Time, k *socket, ih spate.InfoHash) {
	a := k.swarms.find(&ih)
	if a == nil {
		return
	}
	shard := ss.meetings.shard(&ih)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	ss.drop(shard, k, a)
	count := swarm.Sockets{InfoHash: ih, PeerID: a.id, Seed: a.seed}
	if m := shard.swarms[ih]; m != nil {
		count.Seeders, count.Leechers = m.seeders, m.leechers
	}
	var reply swarm.Reply
	_ = ss.s.store.CountSockets(now, &count, &reply) // an error would mean that there is no such swarm
}

// depart removes the peers of a client from all swarms.
func (ss *sockets) depart(k *socket) {
	now := ss.s.now()
	for len(k.swarms.list) > 0 {
		ss.part(now, k, k.swarms.list[len(k.swarms.list)-1].hash)
	}
}

// answer hands an answer to the client whose offer it answers.
func (ss *sockets) answer(k *socket, c *socketCall) {
	r := &c.msg
	if refusal := ss.s.admit(&c.call); refusal != nil {
		ss.n.refused.Add(1)
		ss.refuse(k, c, refusal)
		return
	}
	shard := ss.meetings.shard(&r.InfoHash)
	shard.mu.Lock()
	to := shard.answered(c.now, k, r)
	shard.mu.Unlock()
	if to == nil {
		return // the offer has expired, or its client has gone
	}
	if to.send(signal(&wire.WSReply{InfoHash: r.InfoHash, Answer: r.Answer, OfferID: r.AnswerTo, PeerID: r.PeerID}), maxQueuedAnswers) {
		ss.n.answers.Add(1)
	}
}

// scrape answers a scrape.
func (ss *sockets) scrape(k *socket, c *socketCall) {
	s, r := ss.s, &c.msg
	refusal := s.admitScrape(&c.call)
	if refusal == nil && len(r.Hashes) == 0 {
		refusal = refuseFull // one message could not list all torrents
	}
	if refusal != nil {
		ss.n.refused.Add(1)
		if refusal == &c.limited {
			ss.n.limited.Add(1)
		}
		ss.refuse(k, c, refusal)
		return
	}
	ss.n.scrapes[tracker.WebSocket].Add(1)
	c.say = wire.WSReply{Action: wire.WSScrape, MinInterval: minScrape, Entries: c.say.Entries[:0]}
	for _, ih := range r.Hashes {
		seeders, leechers, completed, _ := s.scrape(c.now, ih)
		c.say.Entries = append(c.say.Entries, tracker.ScrapeEntry{InfoHash: ih, Complete: int(seeders), Incomplete: int(leechers), Downloaded: int(completed)})
	}
	c.out = wire.AppendWSReply(c.out[:0], &c.say)
	k.reply(c.out)
}
