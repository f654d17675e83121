package trackerclient

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// wsServer is a WebSocket tracker that passes the messages of its clients to a test.
type wsServer struct {
	url  string
	got  chan wsMessage
	dies chan struct{} // a value ends the connection
}

type wsMessage struct {
	wire.WSRequest
	say func(r wire.WSReply)
}

// newWSServer serves until the test ends.
func newWSServer(t *testing.T) *wsServer {
	t.Helper()
	s := &wsServer{got: make(chan wsMessage, 100), dies: make(chan struct{})}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/announce/elsewhere":
			http.Redirect(w, r, "/announce", http.StatusFound)
			return
		case strings.HasPrefix(path, "/announce/dead"):
			http.NotFound(w, r)
			return
		case path == "/announce/closes":
			if conn, err := websocket.Accept(w, r, nil); err == nil {
				conn.CloseNow()
			}
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			select {
			case <-s.dies:
				conn.CloseNow()
			case <-ctx.Done():
			}
		}()
		for {
			_, b, err := conn.Read(ctx)
			if err != nil {
				return
			}
			var m wsMessage
			if err := wire.ParseWSRequest(b, &m.WSRequest); err != nil {
				t.Errorf("%v: %s", err, b)
				return
			}
			m.say = func(r wire.WSReply) {
				r.InfoHash = m.InfoHash
				conn.Write(ctx, websocket.MessageText, wire.AppendWSReply(nil, &r))
			}
			s.got <- m
		}
	}))
	t.Cleanup(web.Close)
	s.url = "ws" + strings.TrimPrefix(web.URL, "http") + "/announce"
	return s
}

// next returns the next message.
func (s *wsServer) next(t *testing.T) wsMessage {
	t.Helper()
	select {
	case m := <-s.got:
		return m
	case <-time.After(2 * time.Minute):
		t.Fatal("no message")
	}
	panic("unreachable")
}

// counted returns a reply with counts.
func counted(takers int) wire.WSReply {
	return wire.WSReply{Interval: 100, Complete: 1, Incomplete: 2, Downloaded: tracker.Unknown, Takers: takers}
}

// madeSignals makes offers that are numbers, and records what becomes of them.
type madeSignals struct {
	mu       sync.Mutex
	asked    []int
	accepted chan string
}

func (s *madeSignals) Offers(n int) (all []tracker.Offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, n)
	for range n {
		all = append(all, madeOffer{s})
	}
	return all
}

func (s *madeSignals) Answer(offer string) (string, error) {
	if offer == "bad" {
		return "", errors.New("bad offer")
	}
	return "answer to " + offer, nil
}

type madeOffer struct{ s *madeSignals }

func (o madeOffer) Description() string { return "offer" }
func (o madeOffer) Withdraw()           {}
func (o madeOffer) Accept(answer string) error {
	o.s.accepted <- answer
	return nil
}

// wsRequest returns the announce of a leecher of the swarm n.
func wsRequest(n byte, left int64) *tracker.AnnounceRequest {
	return &tracker.AnnounceRequest{InfoHash: spate.InfoHash{n}, PeerID: spate.PeerID{1, n}, Port: 1, Left: left, Event: tracker.EventStarted, NumWant: tracker.DefaultNumWant}
}

// announceWS announces in the background and returns the outcome.
func announceWS(t *testing.T, c *Client, url string, req *tracker.AnnounceRequest, s tracker.Signals) func() *tracker.AnnounceResponse {
	t.Helper()
	type outcome struct {
		resp *tracker.AnnounceResponse
		err  error
	}
	out := make(chan outcome, 1)
	go func() {
		resp, err := c.AnnounceSignals(t.Context(), url, req, s)
		out <- outcome{resp, err}
	}()
	return func() *tracker.AnnounceResponse {
		t.Helper()
		o := <-out
		if o.err != nil {
			t.Fatal(o.err)
		}
		return o.resp
	}
}

func newWSClient(t *testing.T) *Client {
	t.Helper()
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestSignalsPassThroughTracker checks that a leecher sends offers only after the tracker has
// said that peers can take them, that answers reach their offers, and that offers of others are
// answered.
func TestSignalsPassThroughTracker(t *testing.T) {
	t.Parallel()
	s, c, sig := newWSServer(t), newWSClient(t), &madeSignals{accepted: make(chan string, 1)}
	wait := announceWS(t, c, s.url, wsRequest(1, 5), sig)
	m := s.next(t)
	if len(m.Offers) != 0 || m.Event != tracker.EventStarted || m.Left != 5 || m.Twice {
		t.Errorf("the first announce is %+v", m.WSRequest)
	}
	m.say(counted(2))
	if resp := wait(); resp.Interval != 100*time.Second || resp.Complete != 1 || resp.Incomplete != 2 || len(resp.Peers) != 0 {
		t.Errorf("the response is %+v", resp)
	}
	m = s.next(t)
	if len(m.Offers) != 2 || m.NumWant != 2 || m.Event != tracker.EventNone || m.Offers[0].SDP != "offer" || m.Offers[0].ID == m.Offers[1].ID {
		t.Fatalf("the announce with offers is %+v", m.WSRequest)
	}
	other := spate.PeerID{9}
	m.say(counted(2)) // the reply to offers causes no more of them
	m.say(wire.WSReply{Answer: "answer", OfferID: m.Offers[1].ID, PeerID: other})
	m.say(wire.WSReply{Answer: "again", OfferID: m.Offers[1].ID, PeerID: other})
	if got := <-sig.accepted; got != "answer" {
		t.Errorf("accepted %q", got)
	}
	m.say(wire.WSReply{Offer: "bad", OfferID: wire.OfferID{6}, PeerID: other})
	m.say(wire.WSReply{Offer: "one", OfferID: wire.OfferID{7}, PeerID: other})
	m = s.next(t)
	if m.Answer != "answer to one" || m.AnswerTo != (wire.OfferID{7}) || m.ToPeer != other || m.PeerID != (spate.PeerID{1, 1}) {
		t.Errorf("the answer is %+v", m.WSRequest)
	}
	if len(sig.asked) != 1 || len(sig.accepted) != 0 {
		t.Errorf("asked for offers %v times; %d answers more than expected", sig.asked, len(sig.accepted))
	}
}

// TestSeedMakesNoOffers checks that neither a seed nor a leecher of a swarm without other peers makes
// offers, and that all swarms of a tracker share one connection.
func TestSeedMakesNoOffers(t *testing.T) {
	t.Parallel()
	s, c, sig := newWSServer(t), newWSClient(t), &madeSignals{}
	for n, left := range []int64{0, 5} {
		wait := announceWS(t, c, s.url, wsRequest(byte(n), left), sig)
		m := s.next(t)
		reply := counted(3)
		if left > 0 {
			reply = wire.WSReply{Interval: 100, Complete: 0, Incomplete: 1, Downloaded: 0, Takers: tracker.Unknown}
		}
		m.say(reply)
		wait()
	}
	stopped := wsRequest(0, 0)
	stopped.Event = tracker.EventStopped
	wait := announceWS(t, c, s.url, stopped, sig)
	if m := s.next(t); m.Event != tracker.EventStopped || len(m.Offers) > 0 {
		t.Errorf("got %+v", m.WSRequest)
	}
	wait() // without a reply
	if len(sig.asked) != 0 || len(c.sockets) != 1 {
		t.Errorf("asked for offers %v times over %d connections", sig.asked, len(c.sockets))
	}
}

// TestAnnouncesAgainAfterLostConnection checks that the swarms are announced over a new connection,
// with offers.
func TestAnnouncesAgainAfterLostConnection(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	c.wsRetry = time.Millisecond
	req := wsRequest(1, 5)
	req.Twice = true
	wait := announceWS(t, c, s.url, req, &madeSignals{})
	m := s.next(t)
	m.say(counted(0))
	wait()
	s.dies <- struct{}{}
	m = s.next(t)
	if m.InfoHash != (spate.InfoHash{1}) || m.Event != tracker.EventStarted || !m.Twice {
		t.Errorf("after the connection was lost: %+v", m.WSRequest)
	}
	m.say(counted(1))
	if m := s.next(t); len(m.Offers) != 1 {
		t.Errorf("the new connection carries no offers: %+v", m.WSRequest)
	}
}

// TestWebSocketErrors checks refusals, redirects, forbidden addresses and a client that is closed.
func TestWebSocketErrors(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	out := make(chan error, 1)
	go func() {
		_, err := c.AnnounceSignals(t.Context(), s.url, wsRequest(1, 5), &madeSignals{})
		out <- err
	}()
	m := s.next(t)
	m.say(wire.WSReply{Failure: "not here", Never: true})
	var failure *tracker.FailureError
	if err := <-out; !errors.As(err, &failure) || failure.Reason != "not here" || !failure.Never {
		t.Errorf("a refusal is %v", err)
	}
	var answer *AnswerError
	if _, err := c.AnnounceSignals(t.Context(), strings.Replace(s.url, "/announce", "/announce/elsewhere", 1), wsRequest(2, 5), nil); !errors.As(err, &answer) || answer.Status != http.StatusFound {
		t.Errorf("a redirect is %v", err)
	}
	if _, err := c.AnnounceSignals(t.Context(), strings.Replace(s.url, "/announce", "/admin", 1), wsRequest(2, 5), nil); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("another path on this machine is %v", err)
	}
	if _, err := c.Announce(t.Context(), s.url, wsRequest(2, 5)); err == nil {
		t.Error("Announce accepts ws")
	}
	go func() {
		_, err := c.AnnounceSignals(t.Context(), s.url, wsRequest(3, 5), nil)
		out <- err
	}()
	s.next(t)
	c.Close()
	if err := <-out; err == nil {
		t.Error("an announce of a closed client succeeded")
	}
}

// TestScrapesOverWebSocket checks scrapes of a WebSocket tracker: one of several torrents, after a message
// of another kind; a refusal; a tracker that sends only other messages; and one that hangs up.
func TestScrapesOverWebSocket(t *testing.T) {
	t.Parallel()
	s, c := newWSServer(t), newWSClient(t)
	type outcome struct {
		entries []tracker.ScrapeEntry
		err     error
	}
	hashes := []spate.InfoHash{{1}, {2}}
	scrape := func(answer func(wsMessage)) outcome {
		t.Helper()
		out := make(chan outcome, 1)
		go func() {
			entries, err := c.Scrape(t.Context(), s.url, hashes)
			out <- outcome{entries, err}
		}()
		m := s.next(t)
		if m.Action != wire.WSScrape || !slices.Equal(m.Hashes, hashes) {
			t.Errorf("the tracker gets %+v", m.WSRequest)
		}
		answer(m)
		return <-out
	}
	got := scrape(func(m wsMessage) {
		m.say(wire.WSReply{Warning: "hello", Complete: tracker.Unknown, Incomplete: tracker.Unknown, Downloaded: tracker.Unknown, Takers: tracker.Unknown})
		m.say(wire.WSReply{Action: wire.WSScrape, Entries: []tracker.ScrapeEntry{{InfoHash: hashes[0], Complete: 3, Incomplete: 2, Downloaded: 7}}})
	})
	if got.err != nil || len(got.entries) != 1 || got.entries[0].InfoHash != hashes[0] || got.entries[0].Complete != 3 || got.entries[0].Downloaded != 7 {
		t.Errorf("scraped %+v, %v", got.entries, got.err)
	}
	var failure *tracker.FailureError
	if got := scrape(func(m wsMessage) { m.say(wire.WSReply{Failure: "not here"}) }); !errors.As(got.err, &failure) || failure.Reason != "not here" {
		t.Errorf("a refusal is %v", got.err)
	}
	var answer *AnswerError
	got = scrape(func(m wsMessage) {
		for range wsOthers + 1 {
			m.say(counted(0))
		}
	})
	if !errors.As(got.err, &answer) {
		t.Errorf("other messages are %v", got.err)
	}
	if got := scrape(func(wsMessage) { s.dies <- struct{}{} }); got.err == nil {
		t.Error("a tracker that hangs up answers")
	}
	if _, err := c.Scrape(t.Context(), strings.Replace(s.url, "/announce", "/announce/dead", 1), hashes); !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
		t.Errorf("without a tracker: %v", err)
	}
}
