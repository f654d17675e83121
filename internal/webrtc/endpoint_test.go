package webrtc

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestChannelCarriesBytes checks that each combination of lite and full sides connects, and that
// bytes arrive whatever the sizes of writes and reads are.
func TestChannelCarriesBytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		a, b bool
	}{{"both lite", true, true}, {"offer lite", true, false}, {"answer lite", false, true}, {"both full", false, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := connect(t, newHost(t, c.a), newHost(t, c.b))
			data := make([]byte, 1<<20+7)
			rand.Read(data)
			sent := make(chan error, 1)
			go func() {
				for _, n := range []int{1, 68, 17, 70_000, 300_000} {
					if _, err := a.Write(data[:n]); err != nil {
						sent <- err
						return
					}
				}
				_, err := a.Write(data)
				sent <- err
			}()
			var want []byte
			for _, n := range []int{1, 68, 17, 70_000, 300_000, len(data)} {
				want = append(want, data[:n]...)
			}
			got := make([]byte, len(want))
			for at, n := 0, 1; at < len(got); n = n*3%50_000 + 1 {
				m, err := io.ReadFull(b, got[at:min(at+n, len(got))])
				at += m
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := <-sent; err != nil || !bytes.Equal(got, want) {
				t.Fatalf("the bytes differ, or Write returned %v", err)
			}
			if _, err := b.Write([]byte("back")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(a, got[:4]); err != nil || string(got[:4]) != "back" {
				t.Errorf("the other direction: %q, %v", got[:4], err)
			}
		})
	}
}

// TestWriteWaits checks that a writer whose peer does not read stops after a bounded number of
// bytes, and that a deadline ends the write.
func TestWriteWaits(t *testing.T) {
	t.Parallel()
	a, _ := connect(t, newHost(t, true), newHost(t, true))
	piece := make([]byte, 16<<10)
	written := 0
	a.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for {
		n, err := a.Write(piece)
		written += n
		if errors.Is(err, os.ErrDeadlineExceeded) || err != nil && written > 0 {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if written > 4<<20 {
			t.Fatalf("the peer reads nothing, but %d bytes were written", written)
		}
	}
	if n := a.Unacked(); n > 1<<20 {
		t.Errorf("%d bytes are held for a peer that does not read", n)
	}
}

// TestEndsReachBothSides checks that Close of one side ends reads of the other, and that a
// deadline in the past ends a read at once.
func TestEndsReachBothSides(t *testing.T) {
	t.Parallel()
	ha, hb := newHost(t, true), newHost(t, false)
	a, b := connect(t, ha, hb)
	read := make(chan error, 1)
	go func() {
		_, err := b.Read(make([]byte, 16))
		read <- err
	}()
	b.SetDeadline(time.Unix(1, 0))
	select {
	case err := <-read:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a read with a deadline in the past returned %v", err)
		}
	case <-time.After(patience):
		t.Fatal("a read goes on after its deadline")
	}
	b.SetDeadline(time.Time{})
	go func() {
		_, err := b.Read(make([]byte, 16))
		read <- err
	}()
	a.Close()
	select {
	case err := <-read:
		if err == nil {
			t.Error("a read returned bytes after the other side had closed")
		}
	case <-time.After(patience):
		t.Fatal("a read goes on after the other side has closed")
	}
	b.Close()
	if sa, sb := ha.Stats(), hb.Stats(); sa.Open != 0 || sb.Open != 0 || sa.Opened != 1 || sb.Opened != 1 {
		t.Errorf("after the end: %+v and %+v", sa, sb)
	}
}

// TestStrangersCannotJoin checks that a peer whose certificate is not in its description, and one
// that does not know the ICE password, get no data channel.
func TestStrangersCannotJoin(t *testing.T) {
	t.Parallel()
	a, b := newHost(t, true), newHost(t, false)
	o, err := a.Offer(func(*Stream) { t.Error("a stranger has a data channel") })
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.Answer(o.Description(), func(*Stream) {})
	if err != nil {
		t.Fatal(err)
	}
	d, err := parseSDP(answer)
	if err != nil {
		t.Fatal(err)
	}
	d.fingerprint[0] ^= 1
	if err := o.Accept(d.text()); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return a.Stats().Failed == 1 })

	o, _ = a.Offer(func(*Stream) { t.Error("a peer without the password has a data channel") })
	defer o.Withdraw()
	d, _ = parseSDP(o.Description())
	d.pwd = "0123456789012345678901"
	before := a.Stats().Dropped
	if _, err = b.Answer(d.text(), func(*Stream) {}); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return a.Stats().Dropped > before })
	if s := a.Stats(); s.Handshakes != 0 || s.Pending != 1 {
		t.Errorf("a check without the password began a handshake: %+v", s)
	}
}

// await waits until a condition holds.
func await(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestPendingIsBounded checks that a flood of offers holds a bounded number of links, starts no
// goroutines, and that the newest offers survive.
func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	a, b := newHost(t, true), newHost(t, false)
	a.opt.MaxPending = 50
	for range 1000 {
		if _, err := a.Answer(chromium, func(*Stream) {}); err != nil {
			t.Fatal(err)
		}
	}
	if s := a.Stats(); s.Pending != 50 || s.Answers != 1000 || s.Failed != 950 || s.Handshakes != 0 {
		t.Errorf("after 1,000 offers: %+v", s)
	}
	connect(t, b, a) // an honest offer still connects
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	h := newHost(t, true)
	a, _ := connect(t, h, newHost(t, true))
	o, err := h.Offer(func(*Stream) {})
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	if _, err := a.Read(make([]byte, 1)); err == nil {
		t.Error("a stream of a closed endpoint can be read")
	}
	if err := o.Accept(o.Description()); err == nil {
		t.Error("an offer of a closed endpoint was accepted")
	}
	if _, err := h.Offer(func(*Stream) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("Offer returned %v", err)
	}
	var _ net.Conn = a
}
