package udpmux

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// threadTime returns the processor time of this thread.
func threadTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_THREAD, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// meter measures the processor time of one goroutine, which calls begin first and then end after
// each piece of work.
type meter struct {
	before time.Duration
	used   atomic.Int64 // nanoseconds
}

func (m *meter) begin() {
	runtime.LockOSThread()
	m.before = threadTime()
}

func (m *meter) end() { m.used.Store(int64(threadTime() - m.before)) }

// answerer answers each packet with pong until its socket is closed, and measures its own time.
type answerer func(b *testing.B, m *meter, at netip.AddrPort) (listening netip.AddrPort, stop func())

// answerMux answers by a Mux.
func answerMux(b *testing.B, m *meter, at netip.AddrPort) (netip.AddrPort, func()) {
	mux := listenAt(b, at.Addr())
	mux.sockets[0].splits.Store(false) // the packets of many clients are no runs
	var once sync.Once
	mux.Receive(DHT, func(batch []Packet) {
		once.Do(m.begin)
		for _, p := range batch {
			mux.Queue(p.Reply(pong))
		}
		m.end()
	})
	return netip.AddrPortFrom(loopback, mux.Port()), run(b, mux)
}

// answerPlain answers with a system call for each packet.
func answerPlain(b *testing.B, m *meter, at netip.AddrPort) (netip.AddrPort, func()) {
	p := newPeer(b, at.Addr())
	p.SetReadBuffer(bufferSize)
	p.SetDeadline(time.Time{})
	var wg sync.WaitGroup
	wg.Go(func() {
		m.begin()
		buf := make([]byte, maxMessage)
		for n := 0; ; n++ {
			_, from, err := p.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			p.WriteToUDPAddrPort(pong, from)
			if n%batchLen == 0 {
				m.end()
			}
		}
	})
	return netip.AddrPortFrom(loopback, p.addr().Port()), func() { p.Close(); wg.Wait() }
}

// answerXNet answers with the batches of golang.org/x/net.
func answerXNet(b *testing.B, m *meter, at netip.AddrPort) (netip.AddrPort, func()) {
	p := newPeer(b, at.Addr())
	p.SetReadBuffer(bufferSize)
	p.SetDeadline(time.Time{})
	pc := ipv4.NewPacketConn(p.UDPConn)
	in, out := make([]ipv4.Message, batchLen), make([]ipv4.Message, batchLen)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2048)}
		out[i].Buffers = [][]byte{pong}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		m.begin()
		for {
			n, err := pc.ReadBatch(in, 0)
			if err != nil {
				return
			}
			for i := range n {
				out[i].Addr = in[i].Addr
			}
			pc.WriteBatch(out[:n], 0)
			m.end()
		}
	})
	return netip.AddrPortFrom(loopback, p.addr().Port()), func() { p.Close(); wg.Wait() }
}

// BenchmarkAnswer measures the processor time for reading a packet of 56 bytes and answering it,
// in the goroutine that answers, while 256 packets of a client are on their way. This is what a
// node of the DHT does, without its own work. All variants run in one process with the client.
//
// On 2 cores of an AMD EPYC, Linux 6.18, Go 1.26, busy with other work, median of 7:
//
//	plain  3.6 µs a packet
//	x/net  2.9 µs, and 2 allocations
//	mux    3.0 µs
//
// The kernel takes more than 90 % of the time of the mux, most of it to deliver the replies to
// the client over loopback.
func BenchmarkAnswer(b *testing.B) {
	for name, answer := range map[string]answerer{"plain": answerPlain, "x/net": answerXNet, "mux": answerMux} {
		b.Run(name, func(b *testing.B) {
			var m meter
			to, stop := answer(b, &m, netip.AddrPortFrom(loopback, 0))
			defer stop()
			b.ReportAllocs()
			client := listenAt(b, loopback)
			client.sockets[0].splits.Store(false)
			const window = 256
			burst := make([]Packet, batchLen)
			for i := range burst {
				burst[i] = Packet{Addr: to, Data: ping}
			}
			ready := make(chan int, window)
			client.Receive(DHT, func(batch []Packet) { ready <- len(batch) })
			defer run(b, client)()
			for range window / batchLen {
				client.Send(burst)
			}
			waiting := 0
			for left := b.N; left > 0; {
				n := <-ready
				left -= n
				for waiting += n; waiting >= batchLen; waiting -= batchLen {
					client.Send(burst)
				}
			}
			b.ReportMetric(float64(m.used.Load())/float64(b.N)/1e3, "cpu-µs/packet")
		})
	}
}

// BenchmarkTransfer measures the processor time for moving packets of 1,400 bytes from one
// goroutine to another, as uTP will, with an acknowledgement for each batch that is read and
// 256 KiB on their way:
//
//   - "plain" makes a system call for each packet at both ends.
//   - "batches" uses sendmmsg and recvmmsg, which is what remains if a network card refuses runs.
//   - "runs" sends 46 packets with one UDP_SEGMENT message, which is read as one by UDP_GRO.
//
// On the machine of BenchmarkAnswer, over loopback, median of 7, in seconds of one core for each
// GB:
//
//	         sender  receiver
//	plain    2.28    0.96
//	batches  1.84    0.79
//	runs     0.14    0.11
func BenchmarkTransfer(b *testing.B) {
	for _, variant := range []string{"plain", "batches", "runs"} {
		b.Run(variant, func(b *testing.B) {
			const size, run46, window = 1400, 46, 256 << 10
			var sender, receiver meter
			acked := make(chan int, window/size+1)
			from, to := listenAt(b, loopback), listenAt(b, loopback)
			from.Receive(UTP, func(batch []Packet) {
				for _, p := range batch {
					acked <- int(binary.BigEndian.Uint32(p.Data[4:]))
				}
			})
			defer run(b, from)()
			ack := append([]byte(nil), utpSYN...)
			var stop func()
			if variant == "plain" {
				stop = receivePlain(to, &receiver, ack)
			} else {
				from.sockets[0].splits.Store(variant == "runs")
				var once sync.Once
				to.Receive(UTP, func(batch []Packet) {
					once.Do(receiver.begin)
					binary.BigEndian.PutUint32(ack[4:], uint32(len(batch)))
					to.Queue(batch[0].Reply(ack))
					receiver.end()
				})
				stop = run(b, to)
			}
			defer stop()
			packets := make([]Packet, run46)
			for i := range packets {
				packets[i] = Packet{Addr: netip.AddrPortFrom(loopback, to.Port()), Data: append(utpData, make([]byte, size-len(utpData))...)}
			}
			sender.begin()
			defer runtime.UnlockOSThread()
			b.SetBytes(size)
			for sent, flying := 0, 0; sent < b.N; {
				for (flying+run46)*size > window {
					flying -= <-acked
				}
				n := min(run46, b.N-sent)
				if variant == "plain" {
					for i := range packets[:n] {
						from.sockets[0].conn.WriteToUDPAddrPort(packets[i].Data, packets[i].Addr)
					}
				} else if _, err := from.Send(packets[:n]); err != nil {
					b.Fatal(err)
				}
				sent, flying = sent+n, flying+n
			}
			sender.end()
			bytes := float64(b.N) * size
			b.ReportMetric(float64(sender.used.Load())/bytes, "sender-s/GB")
			b.ReportMetric(float64(receiver.used.Load())/bytes, "receiver-s/GB")
		})
	}
}

// receivePlain reads one packet at a time from the socket of m, and acknowledges each 16.
func receivePlain(m *Mux, r *meter, ack []byte) (stop func()) {
	conn := m.sockets[0].conn
	binary.BigEndian.PutUint32(ack[4:], 16)
	var wg sync.WaitGroup
	wg.Go(func() {
		r.begin()
		buf := make([]byte, maxMessage)
		for n := 1; ; n++ {
			_, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if n%16 == 0 {
				conn.WriteToUDPAddrPort(ack, from)
				r.end()
			}
		}
	})
	return func() { m.Close(); wg.Wait() }
}
