package trackerclient_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/trackerclient"
	"spate/tracker/wire"
)

// udpServer replies to each packet with the packets that f returns, until the test
// ends.
func udpServer(t *testing.T, network, addr string, f func(b []byte) [][]byte) string {
	t.Helper()
	conn, err := net.ListenPacket(network, addr)
	if err != nil {
		t.Skip(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	wg.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, reply := range f(buf[:n]) {
				conn.WriteTo(reply, from)
			}
		}
	})
	return conn.LocalAddr().String()
}

// fakeUDP is a minimal tracker that follows BEP 15.
type fakeUDP struct {
	t *testing.T

	mu                  sync.Mutex // guards the fields below
	connects, announces int
	id                  uint64
	req                 tracker.AnnounceRequest
	url                 string
	peers               []byte
}

func (f *fakeUDP) answer(b []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, err := wire.ParseUDPHeader(b)
	if err != nil {
		f.t.Error(err)
		return nil
	}
	switch {
	case h.Action == wire.ActionConnect && h.ConnectionID == wire.ProtocolID:
		f.connects++
		return wire.AppendUDPConnectReply(nil, h.TransactionID, f.id)
	case h.ConnectionID != f.id:
		return wire.AppendUDPError(nil, h.TransactionID, "connection id mismatch")
	case h.Action == wire.ActionAnnounce:
		f.announces++
		options, err := wire.ParseUDPAnnounce(b, &f.req)
		if err != nil {
			f.t.Error(err)
		}
		url, err := wire.AppendURLData(nil, options)
		if err != nil {
			f.t.Error(err)
		}
		f.url = string(url)
		return append(wire.AppendUDPAnnounceReply(nil, h.TransactionID, 600, 2, 1), f.peers...)
	case h.Action == wire.ActionScrape:
		hashes, err := wire.ParseUDPScrape(b)
		if err != nil {
			f.t.Error(err)
		}
		reply := wire.AppendUDPScrapeReply(nil, h.TransactionID)
		for range len(hashes) / 20 {
			reply = wire.AppendUDPScrapeEntry(reply, 1, 2, 3)
		}
		return reply
	}
	f.t.Errorf("action %d", h.Action)
	return nil
}

func TestUDPAnnounceAndScrape(t *testing.T) {
	for _, family := range []struct{ network, addr, peer string }{{"udp4", "127.0.0.1:0", "192.0.2.1:5"}, {"udp6", "[::1]:0", "[2001:db8::5]:5"}} {
		peer := netip.MustParseAddrPort(family.peer)
		f := &fakeUDP{t: t, id: 7, peers: spate.AppendCompact(nil, peer)}
		addr := udpServer(t, family.network, family.addr, func(b []byte) [][]byte { return [][]byte{f.answer(b)} })
		c := newClient(t, trackerclient.Options{})
		for range 2 {
			resp, err := c.Announce(t.Context(), "udp://"+addr+"/announce?token=0123456789", request())
			if err != nil {
				t.Fatal(err)
			}
			if len(resp.Peers) != 1 || resp.Peers[0] != peer || resp.Complete != 1 || resp.Incomplete != 2 || resp.Interval != 10*time.Minute {
				t.Errorf("%+v", resp)
			}
		}
		got, err := c.Scrape(t.Context(), "udp://"+addr+"/announce?token=0123456789", []spate.InfoHash{{1}, {2}})
		if err != nil || len(got) != 2 || got[1] != (tracker.ScrapeEntry{InfoHash: spate.InfoHash{2}, Complete: 1, Downloaded: 2, Incomplete: 3}) {
			t.Errorf("%+v %v", got, err)
		}
		f.mu.Lock()
		if f.req != *request() || f.url != "/announce?token=0123456789" || f.connects != 1 || f.announces != 2 {
			t.Errorf("announces %d after %d connects, with %q: %+v", f.announces, f.connects, f.url, f.req)
		}
		f.mu.Unlock()
	}
}

// packetConn is a connection to a simulated UDP server. f returns the replies to a packet.
type packetConn struct {
	net.Conn // its other methods are not used
	f        func(b []byte) [][]byte
	replies  chan []byte
	closed   chan struct{}
	close    sync.Once
}

func (c *packetConn) Write(b []byte) (int, error) {
	for _, reply := range c.f(b) {
		c.replies <- reply
	}
	return len(b), nil
}

func (c *packetConn) Read(b []byte) (int, error) {
	select {
	case reply := <-c.replies:
		return copy(b, reply), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *packetConn) Close() error {
	c.close.Do(func() { close(c.closed) })
	return nil
}

func (*packetConn) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("203.0.113.1:80"))
}

// TestUDPRetriesAndReconnects checks that lost packets are sent again after the times of BEP
// 15, that garbage and replies to other transactions are ignored, and that a connection id that
// expired early is replaced.
func TestUDPRetriesAndReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeUDP{t: t, id: 7}
		n := 0
		lossy := func(b []byte) [][]byte {
			n++
			if n%2 == 1 {
				return nil // the packet is lost
			}
			reply := f.answer(b)
			other := append([]byte(nil), reply...)
			binary.BigEndian.PutUint32(other[4:], ^binary.BigEndian.Uint32(other[4:]))
			return [][]byte{{}, {1, 2, 3}, other, []byte("\xff\xff\xff\xff\x00\x00\x00\x00garbage"), reply, reply}
		}
		c := newClient(t, trackerclient.Options{Timeout: time.Hour, Dial: func(context.Context, string, string) (net.Conn, error) {
			return &packetConn{f: lossy, replies: make(chan []byte, 100), closed: make(chan struct{})}, nil
		}})
		defer c.Close()
		const wait = trackerclient.DefaultUDPTimeout
		announce := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			if _, err := c.Announce(t.Context(), "udp://tracker.example:80", request()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("the announce took %v, want %v", took, want)
			}
		}
		announce(2 * wait) // a connect and an announce are lost
		f.id = 8           // the tracker has restarted with another key
		announce(4 * wait) // an announce, a connect with twice the wait, and an announce are lost
	})
}

func TestUDPErrors(t *testing.T) {
	var failure *tracker.FailureError
	var answer *trackerclient.AnswerError
	var silence *trackerclient.SilenceError
	f := &fakeUDP{t: t, id: 7}
	cases := map[string]struct {
		f    func(b []byte) [][]byte
		want any
	}{
		"silence": {func([]byte) [][]byte { return nil }, &silence},
		"refusal": {func(b []byte) [][]byte {
			return [][]byte{wire.AppendUDPError(nil, binary.BigEndian.Uint32(b[12:]), "no\x1b \xff")}
		}, &failure},
		"wrong action": {func(b []byte) [][]byte {
			return [][]byte{wire.AppendUDPScrapeReply(nil, binary.BigEndian.Uint32(b[12:]))}
		}, &answer},
		"short": {func(b []byte) [][]byte {
			reply := f.answer(b)
			return [][]byte{reply[:len(reply)-1]}
		}, &answer},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			addr := udpServer(t, "udp4", "127.0.0.1:0", c.f)
			client := newClient(t, trackerclient.Options{UDPTimeout: time.Millisecond})
			if name != "silence" {
				client = newClient(t, trackerclient.Options{})
			}
			if _, err := client.Announce(t.Context(), "udp://"+addr, request()); err == nil || !errors.As(err, c.want) {
				t.Errorf("%T %v", err, err)
			}
		})
	}
	if failure.Reason != "no. ." {
		t.Errorf("reason %q", failure.Reason)
	}
}
