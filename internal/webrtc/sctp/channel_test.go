package sctp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestBytesArrive checks that bytes arrive whole and in order in both directions, whatever the path
// loses and delays, and that losses do not make a transfer wait for timeouts only.
func TestBytesArrive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(ab, ba *wire)
		within time.Duration
	}{
		{"clean path", func(ab, ba *wire) {}, 700 * time.Millisecond},
		{"1 % lost", func(ab, ba *wire) { ab.lose, ba.lose = some(.01, 1), some(.01, 2) }, 2500 * time.Millisecond}, // 3 s with timeouts only
		{"10 % lost", func(ab, ba *wire) { ab.lose, ba.lose = some(.1, 3), some(.1, 4) }, 60 * time.Second},
		{"acknowledgments lost", func(ab, ba *wire) { ba.lose = some(.2, 5) }, 30 * time.Second},
		{"reordered", func(ab, ba *wire) { ab.late = delayed(.1, 3*time.Millisecond) }, 500 * time.Millisecond},                                      // 2.5 s if three later packets prove a loss
		{"reordered much", func(ab, ba *wire) { ab.late = delayed(.1, 12*time.Millisecond) }, time.Second},                                           // 4 s
		{"reordered and 1 % lost", func(ab, ba *wire) { ab.late, ab.lose = delayed(.1, 3*time.Millisecond), some(.01, 1) }, 1500 * time.Millisecond}, // 2.8 s
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b, ab, ba := pair()
				c.change(ab, ba)
				open(t, a, b)
				there, back := noise(1<<20+7), noise(50_001)
				start := time.Now()
				sentA, sentB := send(a, there, 16397), send(b, back, 17)
				backed := make(chan []byte, 1)
				go func() {
					got, _ := receive(a, len(back))
					backed <- got
				}()
				got, err := receive(b, len(there))
				if err != nil || !bytes.Equal(got, there) || <-sentA != nil {
					t.Errorf("the bytes differ: %v", err)
				}
				took := time.Since(start)
				if !bytes.Equal(<-backed, back) || <-sentB != nil {
					t.Error("the bytes of the way back differ")
				}
				t.Logf("%v; %d and %d packets, %d and %d lost", took, ab.packets, ba.packets, ab.lost, ba.lost)
				if took > c.within {
					t.Errorf("it took %v, want at most %v", took, c.within)
				}
				a.Close()
				b.Close()
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestOpensWhenPacketsAreLost checks that the channel opens although each of the packets that open
// it is lost once, and from one side's INIT alone.
func TestOpensWhenPacketsAreLost(t *testing.T) {
	t.Parallel()
	for _, kind := range []byte{kindInit, kindInitAck, kindCookieEcho, kindCookieAck, kindData} {
		for _, only := range []int{0, 1, 2} {
			synctest.Test(t, func(t *testing.T) {
				a, b, ab, ba := pair()
				once := func() func([]byte) bool {
					lost := false
					return func(p []byte) bool {
						lose := !lost && p[headerLen] == kind
						lost = lost || lose
						return lose
					}
				}
				ab.lose, ba.lose = once(), once()
				if only != 1 {
					a.Start(time.Now())
				}
				if only != 2 {
					b.Start(time.Now())
				}
				if only != 0 { // the other side knows about the association, but its INIT is lost for ever
					loser, wire := b, ba
					if only == 2 {
						loser, wire = b, ba
					} else {
						loser, wire = a, ab
					}
					before := wire.lose
					wire.lose = func(p []byte) bool { return p[headerLen] == kindInit || before(p) }
					loser.Start(time.Now())
				}
				<-a.Opened()
				<-b.Opened()
				sent := send(a, []byte("bytes"), 5)
				if got, err := receive(b, 5); string(got) != "bytes" || err != nil || <-sent != nil {
					t.Errorf("chunk %d lost, side %d: got %q, %v", kind, only, got, err)
				}
				a.Close()
				b.Close()
				time.Sleep(time.Minute)
			})
		}
	}
}

// TestSlowReader checks that a side that does not read stops the other, that both hold a bounded
// number of bytes, and that all goes on when it reads.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := pair()
		open(t, a, b)
		data := noise(2 << 20)
		sent := send(a, data, 16384)
		time.Sleep(5 * time.Minute)
		if n := a.Unacked(); n > maxUnsent+2*cellLen || n == 0 {
			t.Errorf("%d bytes wait at the writer", n)
		}
		b.mu.Lock()
		if n := b.rx.buf.n; n > maxReceive || n < maxReceive/2 {
			t.Errorf("%d bytes wait at the reader", n)
		}
		b.mu.Unlock()
		if err := a.Err(); err != nil {
			t.Fatalf("the connection ended: %v", err)
		}
		start := time.Now()
		got, err := receive(b, len(data))
		if err != nil || !bytes.Equal(got, data) || <-sent != nil {
			t.Errorf("the bytes differ: %v", err)
		}
		if took := time.Since(start); took > 12*time.Second {
			t.Errorf("it took %v to go on", took)
		}
		a.Close()
		b.Close()
		time.Sleep(time.Minute)
	})
}

// TestDeadlines checks that deadlines end waits in Read and Write.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := pair()
		open(t, a, b)
		start := time.Now()
		b.SetReadDeadline(start.Add(3 * time.Second))
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("Read returned %v after %v", err, time.Since(start))
		}
		b.SetReadDeadline(time.Time{})
		start = time.Now()
		a.SetWriteDeadline(start.Add(3 * time.Second))
		if _, err := a.Write(make([]byte, 4<<20)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("Write returned %v after %v", err, time.Since(start))
		}
		a.Close()
		b.Close()
		time.Sleep(time.Minute)
	})
}

// TestEnds checks how each side learns that the other has ended the channel.
func TestEnds(t *testing.T) {
	t.Parallel()
	control := func(c *Channel, kind byte, value []byte) {
		c.mu.Lock()
		defer c.unlock()
		c.sendChunk(kind, 0, value)
	}
	for _, c := range []struct {
		name string
		end  func(a *Channel)
		want error
	}{
		{"close", func(a *Channel) { a.Close() }, io.EOF},
		{"abort", func(a *Channel) { control(a, kindAbort, nil) }, ErrAborted},
		{"shutdown", func(a *Channel) { control(a, kindShutdown, make([]byte, shutdownLen)) }, io.EOF},
		{"data without bytes", func(a *Channel) { control(a, kindData, make([]byte, 12)) }, ErrProtocol},
		{"acknowledgment of nothing", func(a *Channel) {
			a.mu.Lock()
			tsn := a.rx.cumulative + 1<<30
			a.mu.Unlock()
			control(a, kindSack, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, tsn), 0))
		}, ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b, _, _ := pair()
				open(t, a, b)
				a.Write([]byte("last"))
				time.Sleep(time.Second)
				c.end(a)
				time.Sleep(time.Second)
				want := []byte("last")
				if c.want != io.EOF {
					want = nil // what was not read is lost
				}
				if got, err := io.ReadAll(b); !bytes.Equal(got, want) || c.want != io.EOF && !errors.Is(err, c.want) || c.want == io.EOF && err != nil {
					t.Errorf("the other side read %q, %v", got, err)
				}
				if _, err := b.Write([]byte("x")); err == nil {
					t.Error("the other side can still write")
				}
				a.Close()
				b.Close()
				if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) && !errors.Is(err, ErrAborted) && !errors.Is(err, ErrProtocol) && err != io.EOF {
					t.Errorf("this side: %v", err)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestSecondStreamEndsConnection checks that a peer cannot fill streams that nobody reads, whichever
// side opened the channel.
func TestSecondStreamEndsConnection(t *testing.T) {
	t.Parallel()
	for dials := range 2 {
		synctest.Test(t, func(t *testing.T) {
			a, b, _, _ := pair()
			open(t, a, b)
			if dials == 1 {
				a, b = b, a
			}
			a.mu.Lock()
			a.stream = 77
			a.mu.Unlock()
			a.Write([]byte("unread"))
			if n, err := b.Read(make([]byte, 16)); !errors.Is(err, ErrStreams) {
				t.Errorf("read %d bytes, %v", n, err)
			}
			a.Close()
			time.Sleep(time.Minute)
		})
	}
}

// TestSilenceEnds checks that a channel ends if the other side acknowledges nothing.
func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, ab, _ := pair()
		ended := make(chan error, 2)
		a.opt.Ended = func(err error) { ended <- err }
		open(t, a, b)
		ab.lose = func([]byte) bool { return true }
		a.Write([]byte("nobody hears"))
		if err := <-ended; !errors.Is(err, ErrSilent) {
			t.Errorf("it ended with %v", err)
		}
		b.Close()
		time.Sleep(time.Minute)
		if len(ended) > 0 {
			t.Error("the end was told twice")
		}
	})
}

// TestPacketsLeaveInRuns checks that a bulk transfer sends long runs of packets of equal size,
// which the system sends at the cost of one, although the other side acknowledges every second one.
func TestPacketsLeaveInRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, ab, _ := pair()
		open(t, a, b)
		data := noise(3 << 20)
		runs := 0
		ab.late = func() time.Duration {
			if len(ab.lens) == 1 {
				runs++
			} else if n := ab.lens[len(ab.lens)-2]; n != MaxPacket {
				t.Errorf("a packet of %d bytes is inside a run", n)
			}
			return 0
		}
		sent := send(a, data, 16397)
		if got, err := receive(b, len(data)); err != nil || !bytes.Equal(got, data) || <-sent != nil {
			t.Errorf("the bytes differ: %v", err)
		}
		if mean := ab.packets / runs; mean < 10 {
			t.Errorf("%d packets left in %d runs, of %d on average", ab.packets, runs, mean)
		}
		a.Close()
		b.Close()
		time.Sleep(time.Minute)
	})
}
