package itemstore

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"spate"
	"spate/bencode"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantCode checks that err is an *Error with a code, or nil if the code is 0.
func wantCode(t testing.TB, what string, err error, code int) {
	t.Helper()
	var e *Error
	switch {
	case code == 0 && err != nil:
		t.Errorf("%s: %v", what, err)
	case code != 0 && (!errors.As(err, &e) || e.Code != code):
		t.Errorf("%s: %v, want error %d", what, err, code)
	}
}

// vectors returns the items and targets in BEP 44.
func vectors(t testing.TB) (items []*Item, targets [][20]byte) {
	key := unhex(t, "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
	value := []byte("12:Hello World!")
	items = []*Item{
		{Value: value, Key: key, Seq: 1, Sig: unhex(t, "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01")},
		{Value: value, Key: key, Salt: []byte("foobar"), Seq: 1, Sig: unhex(t, "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08")},
		{Value: value},
	}
	for _, s := range []string{"4a533d47ec9c7d95b1ad75f576cffc641853b750", "411eba73b6f087ca51a3795d9c8c938d365e32c1", "e5f96f6f38320f0f33959cb4d3d656452117aadb"} {
		targets = append(targets, [20]byte(unhex(t, s)))
	}
	return items, targets
}

// TestVectorsOfBEP44 checks targets, signatures and what is signed, and that each item is valid
// for its own target only and no longer if anything changes.
func TestVectorsOfBEP44(t *testing.T) {
	t.Parallel()
	items, targets := vectors(t)
	signed := []string{"3:seqi1e1:v12:Hello World!", "4:salt6:foobar3:seqi1e1:v12:Hello World!"}
	for n, i := range items {
		if i.Target() != targets[n] {
			t.Errorf("test %d: the target is %x, want %x", n+1, i.Target(), targets[n])
		}
		for m, target := range targets {
			code := 0
			if m != n {
				code = CodeProtocol
			}
			wantCode(t, "Verify", i.Verify(target), code)
		}
		if n < len(signed) && string(i.signed()) != signed[n] {
			t.Errorf("test %d: %q is signed, want %q", n+1, i.signed(), signed[n])
		}
		if i.Key == nil {
			continue
		}
		for what, change := range map[string]func(i *Item){
			"value":     func(i *Item) { i.Value = []byte("12:Hello world!") },
			"seq":       func(i *Item) { i.Seq = 2 },
			"signature": func(i *Item) { i.Sig = bytes.Clone(i.Sig); i.Sig[5] ^= 1 },
		} {
			changed := *i
			change(&changed)
			wantCode(t, "another "+what, changed.Verify(targets[n]), CodeInvalidSignature)
		}
		salted := *i
		salted.Salt = append([]byte("x"), i.Salt...)
		wantCode(t, "another salt", salted.Verify(salted.Target()), CodeInvalidSignature)
	}
	empty := *items[0]
	empty.Salt = []byte{}
	wantCode(t, "an empty salt", empty.Verify(targets[0]), 0)
}

// TestVectorsOfBEP46 checks the targets that BEP 46 gives for magnet links.
func TestVectorsOfBEP46(t *testing.T) {
	t.Parallel()
	key := unhex(t, "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e")
	if got, want := Target(key, nil), "cc3f9d90b572172053626f9980ce261a850d050b"; hex.EncodeToString(got[:]) != want {
		t.Errorf("the target is %x, want %s", got, want)
	}
	if got, want := Target(key, []byte{0x6e}), "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f"; hex.EncodeToString(got[:]) != want {
		t.Errorf("the target with salt is %x, want %s", got, want)
	}
}

// TestTorrentValue checks values of BEP 46.
func TestTorrentValue(t *testing.T) {
	t.Parallel()
	hash := spate.InfoHash([]byte("20 bytes of info-has"))
	for value, ok := range map[string]bool{
		string(TorrentValue(hash)):                           true,
		"d2:ih20:20 bytes of info-has4:name1:xe":             true,
		"d1:al2:ih20:20 bytes of info-hase2:ihi1ee":          false,
		"d2:ih19:20 bytes of info-hae":                       false,
		"d2:ihi20ee":                                         false,
		"20:20 bytes of info-has":                            false,
		"de":                                                 false,
		"":                                                   false,
		"d2:ih20:20 bytes of info-hase1:x":                   false,
		"d2:ih20:20 bytes of info-has2:ih3:abce":             false,
		"l2:ih20:20 bytes of info-hase":                      false,
		"d2:ih20:20 bytes of info-has" /* without an end */ : false,
	} {
		got, err := ParseTorrentValue([]byte(value))
		if ok && (err != nil || got != hash) || !ok && !errors.Is(err, ErrNoTorrent) {
			t.Errorf("ParseTorrentValue(%q) = %v, %v", value, got, err)
		}
	}
	if want := "d2:ih20:20 bytes of info-hase"; string(TorrentValue(hash)) != want {
		t.Errorf("TorrentValue is %q, want %q", TorrentValue(hash), want)
	}
}

func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// sign returns a signed item with a string as its value.
func sign(t testing.TB, key byte, salt string, seq int64, text string) *Item {
	t.Helper()
	i, err := Sign(testKey(key), []byte(salt), seq, value(text))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// value returns a bencoded string.
func value(text string) []byte { return bencode.AppendString(nil, text) }

// TestSignedItemsVerify checks Sign, at the limits of BEP 44 and beyond them.
func TestSignedItemsVerify(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxValue-len("996:"))
	i := sign(t, 1, strings.Repeat("s", MaxSalt), 1<<63-1, long)
	wantCode(t, "the largest item", i.Verify(i.Target()), 0)
	for what, c := range map[string]struct {
		value, salt string
		seq         int64
		code        int
	}{
		"a large value":      {"997:x" + long, "", 1, CodeValueTooBig},
		"a large salt":       {"i1e", strings.Repeat("s", MaxSalt+1), 1, CodeSaltTooBig},
		"a negative seq":     {"i1e", "", -1, CodeProtocol},
		"no value":           {"", "", 1, CodeProtocol},
		"two values":         {"i1ei2e", "", 1, CodeProtocol},
		"unsorted keys":      {"d1:bi1e1:ai1ee", "", 1, CodeProtocol},
		"repeated keys":      {"d1:ai1e1:ai1ee", "", 1, CodeProtocol},
		"a leading zero":     {"i01e", "", 1, CodeProtocol},
		"a truncated string": {"5:abc", "", 1, CodeProtocol},
		"deep nesting":       {strings.Repeat("l", 499) + strings.Repeat("e", 499), "", 1, CodeProtocol},
	} {
		_, err := Sign(testKey(1), []byte(c.salt), c.seq, []byte(c.value))
		wantCode(t, what, err, c.code)
	}
	for what, change := range map[string]func(i *Item) int{
		"a short key":       func(i *Item) int { i.Key = i.Key[:31]; return CodeProtocol },
		"an empty key":      func(i *Item) int { i.Key = []byte{}; return CodeProtocol },
		"a short signature": func(i *Item) int { i.Sig = i.Sig[:63]; return CodeInvalidSignature },
		"no signature":      func(i *Item) int { i.Sig = nil; return CodeInvalidSignature },
	} {
		changed := *sign(t, 1, "", 1, "x")
		code := change(&changed)
		wantCode(t, what, changed.Verify(changed.Target()), code)
	}
}

// TestNewer checks which version of an item is the later one.
func TestNewer(t *testing.T) {
	t.Parallel()
	one, two, fixed := sign(t, 1, "", 1, "x"), sign(t, 1, "", 2, "y"), &Item{Value: []byte("i1e")}
	for _, c := range []struct {
		i, j *Item
		want bool
	}{{one, nil, true}, {two, one, true}, {one, two, false}, {one, one, false}, {fixed, nil, true}, {fixed, fixed, false}} {
		if got := c.i.Newer(c.j); got != c.want {
			t.Errorf("Newer of %+v than %+v is %v", c.i, c.j, got)
		}
	}
}

func FuzzVerify(f *testing.F) {
	items, targets := vectors(f)
	for n, i := range items {
		f.Add(i.Value, i.Key, i.Salt, i.Seq, i.Sig, targets[n][:])
	}
	f.Add([]byte("d2:ih20:20 bytes of info-hase"), []byte{}, []byte{}, int64(-1), []byte{}, make([]byte, 20))
	f.Fuzz(func(t *testing.T, value, key, salt []byte, seq int64, sig, target []byte) {
		if len(target) != 20 {
			return
		}
		i := &Item{Value: value, Salt: salt, Seq: seq, Sig: sig}
		if len(key) > 0 {
			i.Key = key
		}
		err := i.Verify([20]byte(target))
		if err == nil && (len(value) == 0 || len(value) > MaxValue || i.Target() != [20]byte(target)) {
			t.Fatalf("%+v is valid for %x", i, target)
		}
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("the error %v has no code", err)
		}
		if hash, err := ParseTorrentValue(value); err == nil && !bytes.Contains(value, hash[:]) {
			t.Fatalf("%q has the info-hash %v", value, hash)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	items, targets := vectors(b)
	for b.Loop() {
		if err := items[0].Verify(targets[0]); err != nil {
			b.Fatal(err)
		}
	}
}
