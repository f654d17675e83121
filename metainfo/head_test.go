package metainfo

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestCheckHead checks that the beginnings of torrents are accepted, and garbage is rejected.
func TestCheckHead(t *testing.T) {
	t.Parallel()
	m, err := New(Info{Name: "a", PieceLength: 16384, Pieces: make([]byte, 20), Files: []File{{Length: 1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		if err := CheckHead(whole[:n]); err != nil {
			t.Errorf("the first %d bytes of a torrent: %v", n, err)
		}
	}
	for _, ok := range []string{"d99999999:", "d4:infod6:lengthi1e", strings.Repeat("d1:a", 5000)} {
		if err := CheckHead([]byte(ok)); err != nil {
			t.Errorf("%.20q: %v", ok, err)
		}
	}
	for _, bad := range []string{"\x00", "x", "<html>", "li1ee", "d4:info\x00\x00", "dx", "d\n", "di1e", "d1:ai-0ee", "d1:ai1xe"} {
		var e *Error
		if err := CheckHead([]byte(bad)); !errors.As(err, &e) {
			t.Errorf("%q: %v, want an Error", bad, err)
		}
	}
}

// endless is garbage after a head. It counts the bytes that were read.
type endless struct {
	head string
	n    int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.head)
	e.head = e.head[n:]
	if n == 0 {
		clear(b)
		n = len(b)
	}
	e.n += n
	return n, nil
}

// TestReadAllStopsAtGarbage checks that only the beginning of garbage is read.
func TestReadAllStopsAtGarbage(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"", "x", "d", "d4:info", "d4:infod"} {
		r := &endless{head: head}
		if _, err := ReadAll(r); err == nil || r.n > 2*HeadSize {
			t.Errorf("after %q ReadAll read %d bytes and returned %v", head, r.n, err)
		}
	}
	if b, err := ReadAll(bytes.NewReader(append([]byte("d1000000:"), make([]byte, 1_000_000)...))); err != nil || len(b) != 1_000_009 {
		t.Errorf("ReadAll returned %d bytes and %v", len(b), err)
	}
}
