package trackerclient

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// Bounds of the offers that pass through a tracker.
const (
	maxOffers     = 5               // offers in one announce
	maxWaiting    = 10              // offers of a swarm that wait for answers at one tracker
	offerTime     = time.Minute     // until an offer without an answer is withdrawn
	maxAnswering  = 4               // offers of others that are answered at the same time, by tracker
	answersBurst  = 100             // offers of others that are answered at once, by tracker
	answersRate   = 20              // offers of others that are answered in a second, by tracker
	noPeersToTake = tracker.Unknown // the tracker does not say whether it has peers for offers
)

// wsOffer is an offer that waits for its answer.
type wsOffer struct {
	offer tracker.Offer
	since time.Time
}

// withdraw ends all offers of a swarm. The caller holds the lock of the tracker.
func (w *wsSwarm) withdraw() {
	for id, o := range w.offers {
		o.offer.Withdraw()
		delete(w.offers, id)
	}
}

// read handles the messages of the tracker until the connection ends.
func (t *wsTracker) read(ctx context.Context, conn *websocket.Conn) error {
	var r wire.WSReply
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errSocketEnded, err)
		}
		if wire.ParseWSReply(b, &r) != nil || r.Action != wire.WSAnnounce {
			continue // of no use; trackers of others send messages that are not known here
		}
		switch {
		case r.Offer != "":
			t.answer(ctx, conn, &r)
		case r.Answer != "":
			t.accept(&r)
		default:
			if n, ih := t.reply(&r); n > 0 {
				if err := t.offer(ctx, conn, ih, n); err != nil {
					return err
				}
			}
		}
	}
}

// answer answers the offer of another peer in a goroutine. It drops offers that are too many.
func (t *wsTracker) answer(ctx context.Context, conn *websocket.Conn, r *wire.WSReply) {
	t.mu.Lock()
	w := t.swarms[r.InfoHash]
	now := time.Now()
	t.credit = min(answersBurst, t.credit+answersRate*now.Sub(t.refill).Seconds())
	t.refill = now
	if w == nil || w.last.PeerID == r.PeerID || t.credit < 1 {
		t.mu.Unlock()
		return
	}
	t.credit--
	signals, m := w.signals, wire.WSRequest{Action: wire.WSAnnounce, InfoHash: r.InfoHash, PeerID: w.last.PeerID, ToPeer: r.PeerID, AnswerTo: r.OfferID}
	t.mu.Unlock()
	if signals == nil {
		return
	}
	select {
	case t.answering <- struct{}{}:
	default:
		return
	}
	offer := r.Offer
	t.c.wsRuns.Go(func() {
		defer func() { <-t.answering }()
		var err error
		if m.Answer, err = signals.Answer(offer); err == nil {
			t.put(ctx, conn, wire.AppendWSRequest(nil, &m)) // an error ends the connection too
		}
	})
}

// accept passes on the answer of another peer.
func (t *wsTracker) accept(r *wire.WSReply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.swarms[r.InfoHash]
	if w == nil {
		return
	}
	o := w.offers[r.OfferID]
	if o == nil {
		return
	}
	delete(w.offers, r.OfferID)
	if r.PeerID == w.last.PeerID || o.offer.Accept(r.Answer) != nil {
		o.offer.Withdraw()
	}
}

// expire withdraws the offers that nobody has answered in time.
func (w *wsSwarm) expire() {
	for id, o := range w.offers {
		if time.Since(o.since) > offerTime {
			o.offer.Withdraw()
			delete(w.offers, id)
		}
	}
}

// offer sends an announce with at most n offers, if the swarm needs peers.
func (t *wsTracker) offer(ctx context.Context, conn *websocket.Conn, ih spate.InfoHash, n int) error {
	t.mu.Lock()
	w := t.swarms[ih]
	var signals tracker.Signals
	if w != nil {
		signals = w.signals
	}
	t.mu.Unlock()
	if signals == nil {
		return nil
	}
	made := signals.Offers(n)
	if len(made) == 0 {
		return nil
	}
	t.out.Lock()
	defer t.out.Unlock()
	t.mu.Lock()
	w = t.swarms[ih]
	if w == nil { // it was stopped meanwhile
		t.mu.Unlock()
		for _, o := range made {
			o.Withdraw()
		}
		return nil
	}
	var list []wire.WSOffer
	for _, o := range made {
		one := wire.WSOffer{SDP: o.Description()}
		rand.Read(one.ID[:])
		w.offers[one.ID] = &wsOffer{o, time.Now()}
		list = append(list, one)
	}
	req := w.last
	t.sent = append(t.sent, wsSent{hash: ih, offers: true, at: time.Now()})
	t.mu.Unlock()
	return t.send(ctx, conn, &req, list)
}
