package notutp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"spate/internal/udpmux"
)

// dialled is the packet with which libutp opens a connection. It has an extension (BEP
// 29).
var dialled = []byte("\x41\x02\x50\x45\x61\x24\x47\xe2\x00\x00\x00\x00\x00\x04\x00\x00\x38\xfb\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00")

func TestAnswer(t *testing.T) {
	t.Parallel()
	got, ok := answer(dialled, 0x61244800)
	want := []byte("\x31\x00\x50\x45\x61\x24\x48\x00\x00\x00\x00\x1e\x00\x00\x00\x00\x00\x00\x38\xfb")
	if !ok || !bytes.Equal(got[:], want) {
		t.Errorf("answer returned %x, %v, want %x", got, ok, want)
	}
	for what, p := range map[string][]byte{
		"nothing": nil, "a short one": dialled[:19], "of version 0": append([]byte{0x40}, dialled[1:]...), "data": append([]byte{0x01}, dialled[1:]...),
		"a reset, which would go on for ever": got[:], "of the DHT": []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"),
	} {
		if _, ok := answer(p, 1); ok {
			t.Errorf("answer returned a reset for %s", what)
		}
	}
}

// TestRefuse checks that a client gets the reset from the address that it asked.
func TestRefuse(t *testing.T) {
	t.Parallel()
	m, err := udpmux.Listen(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	Refuse(m)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { m.Run(ctx); close(ended) }()
	stop := func() { cancel(); <-ended }
	defer stop()
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", m.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	c.Write([]byte("x")) // this packet and the next get no answer
	c.Write(append([]byte{0x01}, dialled[1:]...))
	c.Write(dialled)
	b := make([]byte, 100)
	if n, err := c.Read(b); err != nil || n != headerLen || b[0] != reset {
		t.Errorf("the answer is %x, %v, want a reset", b[:n], err)
	}
	stop()
	if sent := m.Stats().Sent; sent != 1 {
		t.Errorf("sent %d packets, want one", sent)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(dialled)
	f.Fuzz(func(t *testing.T, p []byte) {
		if b, ok := answer(p, 1); ok && (len(p) < len(b) || b[0] == syn) {
			t.Errorf("the packet %x got the answer %x, which is longer or opens a connection", p, b)
		}
	})
}
