package bencode_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"spate/bencode"
)

func TestValid(t *testing.T) {
	good := []string{
		"i0e", "i-1e", "i9223372036854775807e", "i-9223372036854775808e", "0:", "3:abc", "le", "de",
		"d1:ai1e1:bl1:x1:yee", "lllleeee", "d0:0:e", "l" + strings.Repeat("i7e", 1000) + "e",
		"d1:bi1e1:ai2ee", "d1:ai1e1:ai2ee", // the caller decides whether the order matters
		strings.Repeat("l", 100) + strings.Repeat("e", 100),
	}
	for _, s := range good {
		if err := bencode.Valid([]byte(s)); err != nil {
			t.Errorf("%.40q: %v", s, err)
		}
	}
	bad := map[string]int{ // input: offset of the error
		"": 0, "e": 0, "x": 0, "i": 1, "ie": 1, "i-e": 2, "i01e": 1, "i-0e": 2, "i+1e": 1, "i1": 2, "i1.5e": 2,
		"i9223372036854775808e": 0, "i-9223372036854775809e": 0, "i99999999999999999999e": 0,
		"1": 1, "1:": 2, "01:a": 0, "00:": 0, "5:abc": 5, "-1:a": 0, "99999999999999999999:a": 22,
		"l": 1, "li1e": 4, "d": 1, "d1:a": 4, "d1:ae": 4, "di1e1:ae": 1, "dle1:ae": 1, "d1:ai1e1:be": 10,
		"i1ei2e": 3, "lee": 2, "l1:ax": 4, "lxe": 1,
	}
	for s, off := range bad {
		err := bencode.Valid([]byte(s))
		var syntax *bencode.SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != off {
			t.Errorf("%.40q: %v, want an error at %d", s, err, off)
		}
	}
}

func TestLimits(t *testing.T) {
	deep := strings.Repeat("l", 101) + strings.Repeat("e", 101)
	if err := bencode.Valid([]byte(deep)); !errors.Is(err, bencode.ErrLimit) {
		t.Errorf("depth: %v", err)
	}
	deep = strings.Repeat("d0:", 101) + "0:" + strings.Repeat("e", 101)
	if err := bencode.Valid([]byte(deep)); !errors.Is(err, bencode.ErrLimit) {
		t.Errorf("depth of dictionaries: %v", err)
	}
	for n, want := range map[int]error{5: nil, 4: bencode.ErrLimit} {
		d := bencode.NewDecoder([]byte("d1:ali1eee"), bencode.Options{Tokens: n + 1})
		d.Skip()
		if err := d.Finish(); !errors.Is(err, want) {
			t.Errorf("%d tokens: %v", n+1, err)
		}
	}
	d := bencode.NewDecoder([]byte("lleie"), bencode.Options{Depth: 1})
	d.Skip()
	if !errors.Is(d.Err(), bencode.ErrLimit) {
		t.Errorf("depth 1: %v", d.Err())
	}
}

func TestTruncated(t *testing.T) {
	const whole = "d4:infod5:filesld6:lengthi12e4:pathl1:aeee4:name1:xee"
	for i := range whole {
		if err := bencode.Valid([]byte(whole[:i])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", whole[:i], err)
		}
	}
}

func TestOrderOfKeys(t *testing.T) {
	cases := []struct {
		in                  string
		unsorted, duplicate int
	}{
		{"d1:a0:1:b0:e", -1, -1},
		{"d1:b0:1:a0:e", 6, -1},
		{"d1:a0:1:a0:e", -1, 6},
		{"d2:aa0:1:b0:e", -1, -1},
		{"ld1:b0:1:a0:ee", 7, -1},
		{"d1:ad1:b0:1:b0:ee", -1, 10},
	}
	for _, c := range cases {
		walk := func(d *bencode.Decoder) {
			for range d.Dict {
			}
		}
		for name, read := range map[string]func(*bencode.Decoder){"skip": (*bencode.Decoder).Skip, "walk": walk} {
			if name == "walk" && c.in[0] != 'd' {
				continue
			}
			d := bencode.NewDecoder([]byte(c.in), bencode.Options{})
			read(d)
			if d.Finish() != nil || d.Unsorted() != c.unsorted || d.Duplicate() != c.duplicate {
				t.Errorf("%s of %q: %v, unsorted %d, duplicate %d", name, c.in, d.Err(), d.Unsorted(), d.Duplicate())
			}
			d = bencode.NewDecoder([]byte(c.in), bencode.Options{Canonical: true})
			read(d)
			var syntax *bencode.SyntaxError
			if bad := max(c.unsorted, c.duplicate); bad >= 0 && (!errors.As(d.Err(), &syntax) || syntax.Offset != bad) {
				t.Errorf("canonical %s of %q: %v", name, c.in, d.Err())
			} else if bad < 0 && d.Err() != nil {
				t.Errorf("canonical %s of %q: %v", name, c.in, d.Err())
			}
		}
	}
}

func TestFirstErrorIsKept(t *testing.T) {
	d := bencode.NewDecoder([]byte("li1e1:xe"), bencode.Options{})
	n := 0
	for range d.List {
		n++
		if d.Bytes() != nil {
			t.Error("an integer was read as a string")
		}
	}
	if n != 1 || d.Int() != 0 || d.Raw() != nil || d.Kind() != bencode.Invalid {
		t.Errorf("reading went on after an error: %d elements", n)
	}
	var syntax *bencode.SyntaxError
	if err := d.Finish(); !errors.As(err, &syntax) || syntax.Offset != 1 {
		t.Errorf("%v", err)
	}
}

func TestFindAndRest(t *testing.T) {
	const in = "d4:infod1:ai1ee5:otheri2eetrailing"
	raw, off, err := bencode.Find([]byte(in), "info")
	if err != nil || string(raw) != "d1:ai1ee" || in[off:off+len(raw)] != string(raw) {
		t.Errorf("%q %d %v", raw, off, err)
	}
	if raw, off, err := bencode.Find([]byte(in), "nothing"); raw != nil || off != -1 || err != nil {
		t.Errorf("%q %d %v", raw, off, err)
	}
	d := bencode.NewDecoder([]byte(in), bencode.Options{})
	d.Skip()
	if d.Err() != nil || string(d.Rest()) != "trailing" {
		t.Errorf("%v, rest %q", d.Err(), d.Rest())
	}
	if d.Finish() == nil {
		t.Error("trailing bytes were accepted")
	}
}
