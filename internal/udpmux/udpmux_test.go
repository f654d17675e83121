package udpmux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that hangs.
const patience = 5 * time.Minute

var loopback = netip.MustParseAddr("127.0.0.1")

// listenAt returns a Mux on an address; the test is skipped if the machine does not have it.
func listenAt(t testing.TB, bind netip.Addr) *Mux {
	t.Helper()
	m, err := Listen(bind, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(m.Close)
	return m
}

// run runs m until stop is called or the test ends.
func run(t testing.TB, m *Mux) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// peer is a socket of another program.
type peer struct {
	*net.UDPConn
	t testing.TB
}

func newPeer(t testing.TB, bind netip.Addr) peer {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, 0)))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return peer{c, t}
}

func (p peer) addr() netip.AddrPort {
	a := p.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (p peer) send(to netip.AddrPort, packets ...[]byte) {
	p.t.Helper()
	for _, data := range packets {
		if _, err := p.WriteToUDPAddrPort(data, to); err != nil {
			p.t.Fatal(err)
		}
	}
}

// next returns the next packet that p receives.
func (p peer) next() ([]byte, netip.AddrPort) {
	p.t.Helper()
	b := make([]byte, 64<<10)
	n, from, err := p.ReadFromUDPAddrPort(b)
	if err != nil {
		p.t.Fatal(err)
	}
	return b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// collect makes the packets of a kind available on a channel, as copies.
func collect(m *Mux, kind Kind) <-chan Packet {
	got := make(chan Packet, 1000)
	m.Receive(kind, func(batch []Packet) {
		for _, p := range batch {
			p.Data = bytes.Clone(p.Data)
			got <- p
		}
	})
	return got
}

func want(t *testing.T, from <-chan Packet) Packet {
	t.Helper()
	select {
	case p := <-from:
		return p
	case <-time.After(patience):
		t.Fatal("no packet arrived")
		panic("unreachable")
	}
}

// TestReceiversGetTheirPackets checks that each packet reaches the receiver of its kind, in
// order, with the address of its sender, and that other packets are counted.
func TestReceiversGetTheirPackets(t *testing.T) {
	t.Parallel()
	for _, bind := range []string{"127.0.0.1", "::1"} {
		t.Run(bind, func(t *testing.T) {
			m := listenAt(t, netip.MustParseAddr(bind))
			dht, utp := collect(m, DHT), collect(m, UTP)
			p := newPeer(t, netip.MustParseAddr(bind))
			at := netip.AddrPortFrom(p.addr().Addr(), m.Port())
			p.send(at, ping, utpSYN, []byte("GET / HTTP/1.1"), connect, utpData, nil, pong)
			stop := run(t, m)
			for _, c := range []struct {
				from <-chan Packet
				data []byte
			}{{dht, ping}, {dht, pong}, {utp, utpSYN}, {utp, utpData}} {
				if got := want(t, c.from); !bytes.Equal(got.Data, c.data) || got.Addr != p.addr() {
					t.Errorf("a receiver got %q from %v, want %q from %v", got.Data, got.Addr, c.data, p.addr())
				}
			}
			stop()
			if st := m.Stats(); st.Received != 7 || st.Unclaimed != 3 {
				t.Errorf("counted %d packets and %d without a receiver, want 7 and 3", st.Received, st.Unclaimed)
			}
		})
	}
}

// TestReceiveEndsTheReceiverBefore checks that a receiver is not called after another has
// replaced it.
func TestReceiveEndsTheReceiverBefore(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	p := newPeer(t, loopback)
	at := netip.AddrPortFrom(loopback, m.Port())
	first := collect(m, DHT)
	run(t, m)
	p.send(at, ping)
	want(t, first)
	second := collect(m, DHT)
	p.send(at, pong)
	if got := want(t, second); !bytes.Equal(got.Data, pong) || len(first) > 0 {
		t.Errorf("the receivers got %q and %d more, want %q and none", got.Data, len(first), pong)
	}
	m.Receive(DHT, nil)
	utp := collect(m, UTP)
	p.send(at, ping, utpSYN)
	want(t, utp)
	if len(second) > 0 {
		t.Error("a receiver that was removed got a packet")
	}
}

// TestRepliesLeaveFromTheAddressThatWasAsked checks the source of replies from a Mux on all
// addresses.
func TestRepliesLeaveFromTheAddressThatWasAsked(t *testing.T) {
	t.Parallel()
	m := listenAt(t, netip.Addr{})
	m.Receive(UTP, func(batch []Packet) {
		for _, p := range batch {
			m.Queue(p.Reply([]byte("queued")))
			m.Send([]Packet{p.Reply([]byte("sent"))})
		}
	})
	run(t, m)
	for _, c := range []struct{ peer, asked string }{{"127.0.0.1", "127.0.0.1"}, {"127.0.0.1", "127.0.0.2"}, {"::1", "::1"}} {
		asked := netip.AddrPortFrom(netip.MustParseAddr(c.asked), m.Port())
		if m.socketFor(asked.Addr()) == nil || c.asked == "127.0.0.2" && runtime.GOOS != "linux" {
			continue
		}
		p := newPeer(t, netip.MustParseAddr(c.peer))
		p.send(asked, utpSYN)
		for _, reply := range []string{"sent", "queued"} {
			if data, from := p.next(); from != asked || string(data) != reply {
				t.Errorf("a packet to %v got %q from %v, want %q", asked, data, from, reply)
			}
		}
	}
}

// TestBothFamiliesHaveOnePort checks that Listen opens the same port for IPv4 and IPv6, and that
// it refuses a port that is in use for one of them.
func TestBothFamiliesHaveOnePort(t *testing.T) {
	t.Parallel()
	m := listenAt(t, netip.Addr{})
	for _, s := range m.sockets {
		if s.local.Port() != m.Port() || m.Port() == 0 {
			t.Errorf("the socket %v has another port than %d", s.local, m.Port())
		}
	}
	if len(m.sockets) < 2 {
		t.Skip("the machine has one address family")
	}
	if m.sockets[0].local.Addr().Is4() == m.sockets[1].local.Addr().Is4() {
		t.Error("both sockets have the same family")
	}
	only6, err := net.ListenUDP("udp6", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer only6.Close()
	other, err := Listen(netip.Addr{}, only6.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	if err == nil {
		other.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen returned %v for a port that is in use for IPv6, want EADDRINUSE", err)
	}
}

// TestSendReachesAllAddresses checks that Send sends packets of any sizes and addresses, in order
// for each address, and that an address without a socket is an error for its packet only.
func TestSendReachesAllAddresses(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	one, two := newPeer(t, loopback), newPeer(t, loopback)
	var packets []Packet
	sizes := []int{1400, 1400, 1400, 20, 1400, 0, 0, 7, 7, 8, 1, 1400}
	for i, size := range sizes {
		for _, p := range []peer{one, two} {
			packets = append(packets, Packet{Addr: p.addr(), Data: bytes.Repeat([]byte{byte(i)}, size)})
		}
	}
	for _, size := range sizes { // runs for one address
		packets = append(packets, Packet{Addr: one.addr(), Data: bytes.Repeat([]byte{'x'}, size)})
	}
	sent, err := m.Send(append(packets, Packet{Addr: netip.MustParseAddrPort("[::1]:9"), Data: ping}))
	if sent != len(packets) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Send returned %d, %v, want %d and an error for the IPv6 address", sent, err, len(packets))
	}
	for _, p := range packets {
		to := one
		if p.Addr == two.addr() {
			to = two
		}
		if got, _ := to.next(); !bytes.Equal(got, p.Data) {
			t.Errorf("a packet of %d bytes arrived as %d bytes", len(p.Data), len(got))
		}
	}
	if st := m.Stats(); st.Sent != uint64(len(packets)) || st.Unsent != 1 {
		t.Errorf("counted %d packets that were sent and %d that were not, want %d and 1", st.Sent, st.Unsent, len(packets))
	}
}

// TestSendReportsARefusal checks that a packet that the system refuses does not keep others from
// being sent.
func TestSendReportsARefusal(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	p := newPeer(t, loopback)
	tooLong := make([]byte, 66000)
	sent, err := m.Send([]Packet{{Addr: p.addr(), Data: ping}, {Addr: p.addr(), Data: tooLong}, {Addr: p.addr(), Data: pong}})
	if sent != 2 || err == nil {
		t.Errorf("Send returned %d, %v, want 2 and an error", sent, err)
	}
	for _, want := range [][]byte{ping, pong} {
		if got, _ := p.next(); !bytes.Equal(got, want) {
			t.Errorf("the peer got %q, want %q", got, want)
		}
	}
}

// TestQueue checks that queued packets are sent after the batch that caused them, by Flush, and
// when the queue is full, and that the queue copies them.
func TestQueue(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	p := newPeer(t, loopback)
	data := []byte("0")
	m.Queue(Packet{Addr: p.addr(), Data: data})
	data[0] = 'x'
	if st := m.Stats(); st.Sent != 0 {
		t.Errorf("sent %d packets before Flush", st.Sent)
	}
	m.Flush()
	if got, _ := p.next(); string(got) != "0" {
		t.Errorf("the peer got %q, want 0", got)
	}
	long := make([]byte, maxQueued+1)
	m.Queue(Packet{Addr: p.addr(), Data: long})
	if got, _ := p.next(); len(got) != len(long) {
		t.Errorf("a packet of %d bytes arrived as %d bytes", len(long), len(got))
	}
	for i := range queueLen {
		m.Queue(Packet{Addr: p.addr(), Data: fmt.Append(nil, i)})
	}
	for i := range queueLen {
		if got, _ := p.next(); string(got) != fmt.Sprint(i) {
			t.Errorf("packet %d of a full queue arrived as %q", i, got)
		}
	}
	if st := m.Stats(); st.Sent != 2+queueLen {
		t.Errorf("sent %d packets, want %d", st.Sent, 2+queueLen)
	}
}

// TestConcurrentUse sends, queues and receives from many goroutines, for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	m := listenAt(t, netip.Addr{})
	var others sync.WaitGroup
	t.Cleanup(others.Wait)
	got := make(chan struct{}, 1000)
	inside := 0 // a data race unless calls of the receiver never overlap
	m.Receive(DHT, func(batch []Packet) {
		inside += len(batch)
		for range batch {
			select {
			case got <- struct{}{}:
			default:
			}
		}
	})
	run(t, m)
	for _, a := range []string{"127.0.0.1", "::1"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(a), m.Port())
		for i := range 4 {
			others.Go(func() {
				for range 50 {
					if i%2 == 0 {
						m.Queue(Packet{Addr: to, Data: ping})
						m.Flush()
					} else {
						m.Send([]Packet{{Addr: to, Data: ping}, {Addr: to, Data: pong}})
					}
					m.Stats()
				}
			})
		}
	}
	for range 100 {
		<-got
	}
}

// TestCloseEndsRun checks that Close ends Run, and that a closed Mux sends nothing and opens no
// connections.
func TestCloseEndsRun(t *testing.T) {
	t.Parallel()
	m := listenAt(t, loopback)
	ended := make(chan error, 1)
	go func() { ended <- m.Run(context.Background()) }()
	m.Close()
	m.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run returned %v, want net.ErrClosed", err)
	}
	if n, err := m.Send([]Packet{{Addr: netip.AddrPortFrom(loopback, 9), Data: ping}}); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send returned %d, %v, want net.ErrClosed", n, err)
	}
	if _, err := m.DialTracker("127.0.0.1:9"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("DialTracker returned %v, want net.ErrClosed", err)
	}
}
