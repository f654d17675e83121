package bencode_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"spate/bencode"
)

// encode reads one value and appends its encoding to b.
func encode(d *bencode.Decoder, b []byte) []byte {
	switch d.Kind() {
	case bencode.Int:
		return bencode.AppendInt(b, d.Int())
	case bencode.String:
		return bencode.AppendString(b, d.Bytes())
	case bencode.List:
		b = bencode.AppendList(b)
		for range d.List {
			b = encode(d, b)
		}
		return bencode.AppendEnd(b)
	case bencode.Dict:
		b = bencode.AppendDict(b)
		for key := range d.Dict {
			b = encode(d, bencode.AppendString(b, key))
		}
		return bencode.AppendEnd(b)
	}
	d.Skip() // sets the error
	return b
}

// FuzzDecode checks that skipping a value and reading it give the same result, that
// encoding an accepted value gives its original bytes, and that the offset of an error
// is inside the input.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "i0e", "i-42e", "i01e", "4:spam", "le", "de", "l4:spami42ee", "d3:bar4:spam3:fooi42ee",
		"d1:bi1e1:ai2ee", "d1:ai1e1:ai2ee", "lllleee", "5:abc", "i99999999999999999999e", "d0:0:e", "ee", "dle0:e",
		strings.Repeat("l", 101), strings.Repeat("d0:", 101), "d4:infod6:lengthi1e4:name1:aee",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		skip := bencode.NewDecoder(b, bencode.Options{})
		raw := skip.Raw()
		walk := bencode.NewDecoder(b, bencode.Options{})
		again := encode(walk, nil)
		if (skip.Err() == nil) != (walk.Err() == nil) || skip.Offset() != walk.Offset() ||
			skip.Unsorted() != walk.Unsorted() || skip.Duplicate() != walk.Duplicate() {
			t.Fatalf("skip: %v at %d, walk: %v at %d", skip.Err(), skip.Offset(), walk.Err(), walk.Offset())
		}
		if skip.Err() == nil && !bytes.Equal(raw, again) {
			t.Fatalf("%q was encoded as %q", raw, again)
		}
		var syntax *bencode.SyntaxError
		if err := bencode.Valid(b); err != nil && (!errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(b)) {
			t.Fatalf("the error is outside of the input: %v", err)
		}
	})
}

func BenchmarkSkip(b *testing.B) {
	for name, in := range map[string]string{
		"lists":   strings.Repeat("le", 500_000),
		"strings": strings.Repeat("1:a", 500_000),
		"files":   strings.Repeat("d6:lengthi12345e4:pathl3:dir8:file.txtee", 100_000),
	} {
		in := []byte("l" + in + "e")
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if err := bencode.Valid(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
