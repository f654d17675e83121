package ipfilter

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// read returns the list of a text.
func read(t *testing.T, text string) *List {
	t.Helper()
	var l List
	if err := l.Read(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	l.Done()
	return &l
}

// TestFormats checks which addresses the lines of each format block.
func TestFormats(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text             string
		blocked, allowed string
		ranges, skipped  int
	}{
		"CIDR":          {"# a comment\n192.0.2.0/25\n\n198.51.100.7\n2001:db8::/33\n", "192.0.2.0 192.0.2.127 198.51.100.7 2001:db8:7fff:ffff:: ::ffff:192.0.2.1", "192.0.2.128 192.0.1.255 198.51.100.8 2001:db8:8000:: 2001:db7::", 3, 0},
		"everything":    {"0.0.0.0/0\n::/0\n", "1.2.3.4 255.255.255.255 ::1 ffff::", "", 2, 0},
		"spans":         {"192.0.2.1 - 192.0.2.9\n2001:db8::1-2001:db8::f\n", "192.0.2.1 192.0.2.9 2001:db8::a", "192.0.2.10 2001:db8::10", 2, 0},
		"dat":           {"; eMule\n192.000.002.010 - 192.000.002.019 , 000 , Some, one\r\n192.000.003.000 - 192.000.003.255 , 127 , b\n198.051.100.000 - 198.051.100.255 , 128 , allowed\n", "192.0.2.10 192.0.2.19 192.0.3.7", "192.0.2.9 192.0.2.8 198.51.100.1", 2, 0},
		"p2p":           {"Some one, with: a colon:192.0.2.0-192.0.2.255\n:198.51.100.0-198.51.100.1\n", "192.0.2.77 198.51.100.1", "192.0.3.0 198.51.100.2", 2, 0},
		"overlaps":      {"192.0.2.100-192.0.2.200\n192.0.2.0-192.0.2.150\n192.0.2.10-192.0.2.20\n", "192.0.2.0 192.0.2.150 192.0.2.151 192.0.2.200", "192.0.2.201 192.0.1.255", 1, 0},
		"a wrong order": {"192.0.2.9-192.0.2.1\n192.0.2.30\n", "192.0.2.30", "192.0.2.5", 1, 1},
		"bad lines":     {"hello\n1.2.3\n1.2.3.4.5\n1.2.3.256\n1.2.3.4/33\nfe80::1%eth0\n1.2.3.4-::1\n192.0.2.30\n", "192.0.2.30", "1.2.3.4", 1, 7},
		"nothing":       {"\xef\xbb\xbf# empty\n", "", "192.0.2.1", 0, 0},
	} {
		l := read(t, c.text)
		for _, a := range strings.Fields(c.blocked) {
			if !l.Contains(netip.MustParseAddr(a)) {
				t.Errorf("%s: %s is allowed", name, a)
			}
		}
		for _, a := range strings.Fields(c.allowed) {
			if l.Contains(netip.MustParseAddr(a)) {
				t.Errorf("%s: %s is blocked", name, a)
			}
		}
		if l.Len() != c.ranges || l.Skipped != c.skipped {
			t.Errorf("%s: %d ranges and %d skipped lines, want %d and %d", name, l.Len(), l.Skipped, c.ranges, c.skipped)
		}
	}
	if (&List{}).Contains(netip.Addr{}) {
		t.Error("the invalid address is blocked")
	}
}

// TestLimits checks that a text without any range, a line without end, a damaged archive and one that
// unpacks to too much are errors.
func TestLimits(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	packed := func(n int) *bytes.Buffer {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(bytes.Repeat([]byte("\n"), n))
		z.Close()
		return &b
	}
	if err := new(List).Read(strings.NewReader("<html>\n<p>no list</p>\n")); !errors.Is(err, errNoRange) {
		t.Errorf("a page: %v", err)
	}
	if err := new(List).Read(strings.NewReader(strings.Repeat("1", 2*maxLine))); err == nil {
		t.Error("a long line is accepted")
	}
	if err := new(List).Read(strings.NewReader("\x1f\x8bno archive")); err == nil {
		t.Error("a damaged archive is accepted")
	}
	if err := new(List).read(packed(most+1), most); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large archive: %v", err)
	}
	if err := new(List).read(packed(most), most); err != nil {
		t.Errorf("an archive of the largest size: %v", err)
	}
}

// TestFilterFollowsItsFile checks that a changed file is read once it stays as it is, that a packed one
// is unpacked, and that the old ranges stay if the new file cannot be read.
func TestFilterFollowsItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	at := time.Now().Add(-time.Hour)
	write := func(b []byte) {
		t.Helper()
		at = at.Add(time.Minute)
		if err := errors.Join(os.WriteFile(path, b, 0o644), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	write([]byte("192.0.2.1\n"))
	f, err := Open([]string{path}, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, wantChanged, wantErr bool, blocked, allowed netip.Addr) {
		t.Helper()
		changed, err := f.Refresh()
		if changed != wantChanged || (err != nil) != wantErr || !f.Blocks(blocked) || f.Blocks(allowed) {
			t.Errorf("%s: changed %v, %v; blocked %v and %v", when, changed, err, f.Blocks(blocked), f.Blocks(allowed))
		}
	}
	check("at the start", false, false, first, second)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprintln(z, "192.0.2.2/32")
	z.Close()
	write(b.Bytes())
	check("while it is written", false, false, first, second)
	check("after it is written", true, false, second, first)
	check("later", false, false, second, first)
	write([]byte("nonsense\n"))
	check("while nonsense is written", false, false, second, first)
	check("after nonsense is written", false, true, second, first)
	check("later", false, false, second, first)
	if st := f.Status(); st.Ranges != 1 || st.Blocked != 7 {
		t.Errorf("the status is %+v", st)
	}
	if _, err := Open([]string{path + "x"}, t.Logf); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// FuzzRead checks that no text makes Read fail otherwise than by an error, and that the ranges are
// sorted and apart afterwards.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"192.0.2.0/24\n::/0\n", "1.2.3.4 - 1.2.3.5 , 100 , x", "a:1.2.3.4-1.2.3.9", "1.2.3.4-", "/", "-", ",", ":", "\x1f\x8b\x08"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var l List
		if l.Read(bytes.NewReader(b)) != nil {
			return
		}
		l.Done()
		for i, s := range l.v4 {
			if s.first > s.last || i > 0 && s.first <= l.v4[i-1].last {
				t.Fatalf("range %d: %v after %v", i, s, l.v4[max(0, i-1)])
			}
		}
		for i, s := range l.v6 {
			if s.first.compare(s.last) > 0 || i > 0 && s.first.compare(l.v6[i-1].last) <= 0 {
				t.Fatalf("range %d: %v", i, s)
			}
		}
	})
}

// large returns a .p2p of n ranges.
func large(n int) []byte {
	var b bytes.Buffer
	for i := range uint32(n) {
		a := netip.AddrFrom4([4]byte{byte(1 + i>>16), byte(i >> 8), byte(i), 16})
		fmt.Fprintf(&b, "Some organisation with a name, number %d:%v-%v\n", i, a, a.Next())
	}
	return b.Bytes()
}

func BenchmarkRead500000(b *testing.B) {
	text := large(500_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var l List
		if err := l.Read(bytes.NewReader(text)); err != nil {
			b.Fatal(err)
		}
		l.Done()
		if l.Len() != 500_000 {
			b.Fatal(l.Len())
		}
	}
}

func BenchmarkContains500000(b *testing.B) {
	var l List
	if err := l.Read(bytes.NewReader(large(500_000))); err != nil {
		b.Fatal(err)
	}
	l.Done()
	var a [4]byte
	n := uint32(1)
	for b.Loop() {
		n = n*1664525 + 1013904223
		a[0], a[1], a[2], a[3] = byte(n>>24)%8, byte(n>>16), byte(n>>8), byte(n)
		l.Contains(netip.AddrFrom4(a))
	}
}
