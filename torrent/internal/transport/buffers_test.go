package torrent

import (
	"bytes"
	"testing"
)

// TestReadMemory has many connections receive fast at once: a few have large buffers
// to read into, the others go on with small ones, and nothing is lost on the way.
func TestReadMemory(t *testing.T) {
	const large = 3
	from := newBuffers(large*largeRead + 1)
	fill := func(in *inbox, b byte) {
		space := in.space(0)
		for i := range space {
			space[i] = b
		}
		in.read(len(space))
	}
	lent := func(all []*inbox) (n int) {
		for _, in := range all {
			if len(in.b) >= largeRead {
				n++
			}
		}
		return n
	}
	var all []*inbox
	for i := range 10 {
		in := &inbox{from: from}
		fill(in, byte(i))
		all = append(all, in)
	}
	for i, in := range all {
		in.space(smallRead + 1) // of a message that is only partly here
		if !bytes.Equal(in.b[in.r:in.w], bytes.Repeat([]byte{byte(i)}, smallRead)) {
			t.Fatalf("connection %d lost what it had read", i)
		}
	}
	if n := lent(all); n != large {
		t.Errorf("%d large buffers, want %d", n, large)
	}
	// One that has grown to the size of a large one holds no place of theirs.
	for in, old := all[9], 0; len(in.b) < largeRead; fill(in, 9) {
		if old = len(in.b); len(in.space(largeRead)) == 0 || len(in.b) < old {
			t.Fatal("no room for a long message")
		}
	}
	for _, in := range all {
		in.release()
	}
	if n := len(from.reads); n != 0 {
		t.Errorf("%d places are held of buffers that were given back", n)
	}
	next := &inbox{from: from, big: true}
	if next.space(0); len(next.b) != largeRead {
		t.Errorf("then one of %d bytes, want a large one", len(next.b))
	}
}

// While blocks come fast hardly any byte is moved to make room for the next read: the
// copy into the piece is the only one: what is unread after a read is half a block.
func TestInboxMovesLittle(t *testing.T) {
	const message = 16<<10 + 13
	for each, most := range map[int]float64{64 << 10: 0.13, 100_000: 0.09, 192 << 10: 0.05, 300_000: 0.07} {
		in := inbox{from: newBuffers(largeRead)}
		moved, total := 0, 0
		for total < 100<<20 {
			unread, at := in.w-in.r, in.r
			space := in.space(message - unread)
			if in.r < at {
				moved += unread
			}
			n := min(each, len(space))
			in.read(n)
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
