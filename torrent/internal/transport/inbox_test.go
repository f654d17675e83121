package transport

import (
	"bytes"
	"testing"
)

// TestLargeBuffersAreBounded checks many connections that receive fast at the same time: as
// many as the memory allows get large buffers, the others keep small ones, and none loses
// bytes.
func TestLargeBuffersAreBounded(t *testing.T) {
	const large = 3
	from := NewBuffers(large*LargeRead+1, 1)
	fill := func(in *Inbox, b byte) {
		space := in.Space(0)
		for i := range space {
			space[i] = b
		}
		in.Fill(len(space))
	}
	larges := func(all []*Inbox) (n int) {
		for _, in := range all {
			if len(in.b) >= LargeRead {
				n++
			}
		}
		return n
	}
	var all []*Inbox
	for i := range 10 {
		in := &Inbox{from: from}
		fill(in, byte(i))
		all = append(all, in)
	}
	for i, in := range all {
		in.Space(smallRead + 1) // asks for the space of a message that has arrived in part
		if !bytes.Equal(in.b[in.r:in.w], bytes.Repeat([]byte{byte(i)}, smallRead)) {
			t.Fatalf("connection %d lost bytes that it had read", i)
		}
	}
	if n := larges(all); n != large {
		t.Errorf("%d large buffers, want %d", n, large)
	}
	// A small buffer that grew to the size of a large one takes no token.
	for in, old := all[9], 0; len(in.b) < LargeRead; fill(in, 9) {
		old = len(in.b)
		if len(in.Space(LargeRead)) == 0 || len(in.b) < old {
			t.Fatal("no space for a long message")
		}
	}
	for _, in := range all {
		in.Release()
	}
	if n := len(from.larges); n != 0 {
		t.Errorf("%d tokens are held for buffers that were given back", n)
	}
	next := &Inbox{from: from, fills: true}
	next.Space(0)
	if len(next.b) != LargeRead {
		t.Errorf("the next buffer has %d bytes, want a large one", len(next.b))
	}
}

// TestInboxMovesLittle checks that the inbox of a fast download moves few bytes to the start
// of its buffer, so that most bytes are copied only once, into their piece.
func TestInboxMovesLittle(t *testing.T) {
	const message = 16<<10 + 13
	for each, most := range map[int]float64{64 << 10: 0.13, 100_000: 0.09, 192 << 10: 0.05, 300_000: 0.07} {
		in := Inbox{from: NewBuffers(LargeRead, 1)}
		moved, total := 0, 0
		for total < 100<<20 {
			unread, at := in.w-in.r, in.r
			space := in.Space(message - unread)
			if in.r < at {
				moved += unread
			}
			n := min(each, len(space))
			in.Fill(n)
			total += n
			in.r += (in.w - in.r) / message * message
		}
		part := float64(moved) / float64(total)
		t.Logf("reads of %d: %.3f of the bytes are moved", each, part)
		if part > most {
			t.Errorf("reads of %d: %.3f of the bytes are moved", each, part)
		}
	}
}
