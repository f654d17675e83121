package itemstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"spate/dht/internal/limit"
	"spate/dht/internal/nodeid"
	"spate/dht/internal/siphash"
)

var (
	start = time.Unix(1_700_000_000, 0)
	local = netip.MustParseAddr("127.0.0.1") // has no limit of signatures
)

func newStore(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := New([20]byte{}, siphash.Key{1}, start, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ptr(n int64) *int64 { return &n }

// TestPutAndGet stores the vectors of BEP 44 and reads them.
func TestPutAndGet(t *testing.T) {
	t.Parallel()
	s := newStore(t, Options{})
	items, targets := vectors(t)
	for n, i := range items {
		if got := s.Get(start, targets[n]); got != nil {
			t.Errorf("test %d: an empty store has %+v", n+1, got)
		}
		given := clone(i)
		wantCode(t, "Put", s.Put(start, local, &given, nil), 0)
		clear(given.Value) // Put copies the item
		clear(given.Sig)
		got := s.Get(start, targets[n])
		if got == nil || got.Verify(targets[n]) != nil || !bytes.Equal(got.Value, i.Value) {
			t.Errorf("test %d: got %+v", n+1, got)
		}
	}
	if s.Len() != 3 {
		t.Errorf("got %d items, want 3", s.Len())
	}
}

// TestVersions checks which versions replace a stored item: BEP 44's rules for seq and cas.
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		seq  int64
		text string
		cas  *int64
		code int
		want string
	}{
		{"a newer version", 6, "new", nil, 0, "new"},
		{"an older version", 4, "new", nil, CodeSeqTooLow, "old"},
		{"another value of the same version", 5, "new", nil, CodeSeqTooLow, "old"},
		{"the same item", 5, "old", nil, 0, "old"},
		{"a newer version with cas", 6, "new", ptr(5), 0, "new"},
		{"a newer version with a smaller cas", 6, "new", ptr(4), CodeCASMismatch, "old"},
		{"a newer version with a greater cas", 6, "new", ptr(6), CodeCASMismatch, "old"},
		{"an older version with a wrong cas", 4, "new", ptr(3), CodeCASMismatch, "old"},
		{"an older version with the right cas", 4, "new", ptr(5), CodeSeqTooLow, "old"},
	} {
		s := newStore(t, Options{})
		old := sign(t, 1, "salt", 5, "old")
		wantCode(t, "Put with cas and nothing stored", s.Put(start, local, old, ptr(99)), 0)
		wantCode(t, c.what, s.Put(start, local, sign(t, 1, "salt", c.seq, c.text), c.cas), c.code)
		if got := s.Get(start, old.Target()); got == nil || string(got.Value) != string(value(c.want)) {
			t.Errorf("%s: the store has %+v, want %q", c.what, got, c.want)
		}
		if s.Len() != 1 {
			t.Errorf("%s: the store has %d items", c.what, s.Len())
		}
	}
}

// TestForgedItemsAreRejected checks that a wrong signature neither creates nor replaces nor renews an
// item.
func TestForgedItemsAreRejected(t *testing.T) {
	t.Parallel()
	s := newStore(t, Options{})
	good := sign(t, 1, "", 5, "good")
	forge := func(i Item) *Item {
		i.Sig = bytes.Clone(i.Sig)
		i.Sig[0] ^= 1
		return &i
	}
	wantCode(t, "a forged item", s.Put(start, local, forge(*good), nil), CodeInvalidSignature)
	if s.Len() != 0 {
		t.Fatal("a forged item is stored")
	}
	wantCode(t, "the item", s.Put(start, local, good, nil), 0)
	later := start.Add(time.Hour)
	wantCode(t, "a forged version", s.Put(later, local, forge(*sign(t, 1, "", 6, "bad")), nil), CodeInvalidSignature)
	wantCode(t, "the same value with a forged signature", s.Put(later, local, forge(*good), nil), CodeInvalidSignature)
	wantCode(t, "a value without bencoding", s.Put(later, local, &Item{Value: []byte("x")}, nil), CodeProtocol)
	if s.Get(later, good.Target()) == nil {
		t.Error("the item is gone")
	}
	if s.Get(start.Add(defaultLifetime), good.Target()) != nil {
		t.Error("forged items have renewed the item")
	}
}

// TestItemsExpire checks the lifetime of both kinds of items, and that the same item renews it.
func TestItemsExpire(t *testing.T) {
	t.Parallel()
	for _, i := range []*Item{sign(t, 1, "", 5, "x"), {Value: value("x")}} {
		s := newStore(t, Options{})
		now := start
		for range 5 {
			wantCode(t, "Put", s.Put(now, local, i, nil), 0)
			now = now.Add(defaultLifetime - time.Second)
			if s.Get(now, i.Target()) == nil {
				t.Fatal("the item is gone before its time")
			}
		}
		now = now.Add(time.Second)
		if s.Get(now, i.Target()) != nil {
			t.Error("the item is there after its time")
		}
		if i.Key != nil {
			wantCode(t, "an older version after the end", s.Put(now, local, sign(t, 1, "", 1, "y"), ptr(77)), 0)
		} else {
			wantCode(t, "the same item after the end", s.Put(now, local, i, nil), 0)
		}
		if s.Len() != 1 || s.Get(now, i.Target()) == nil || s.Bytes() != size(s.Get(now, i.Target())) {
			t.Errorf("%d items with %d bytes after the end", s.Len(), s.Bytes())
		}
		s.Sweep(now.Add(defaultLifetime))
		if s.Len() != 0 || s.Bytes() != 0 {
			t.Errorf("%d items with %d bytes are left", s.Len(), s.Bytes())
		}
	}
}

// TestExpiredItemHasNoVersion checks that an item which has expired since the last sweep does not
// reject older versions.
func TestExpiredItemHasNoVersion(t *testing.T) {
	t.Parallel()
	s := newStore(t, Options{})
	wantCode(t, "the item", s.Put(start, local, sign(t, 1, "", 5, "x"), nil), 0)
	end := start.Add(defaultLifetime)
	wantCode(t, "another item", s.Put(end.Add(-sweepEvery/2), local, &Item{Value: value("x")}, nil), 0)
	older := sign(t, 1, "", 4, "longer")
	wantCode(t, "an older version", s.Put(end, local, older, ptr(3)), 0)
	if got := s.Get(end, older.Target()); got == nil || got.Seq != 4 || s.Len() != 2 || s.Bytes() != size(got)+size(&Item{Value: value("x")}) {
		t.Errorf("got %+v of %d items with %d bytes", got, s.Len(), s.Bytes())
	}
}

// TestFullStoreForgetsTheFurthest fills a store by count and by bytes, and checks that the closest
// items stay.
func TestFullStoreForgetsTheFurthest(t *testing.T) {
	t.Parallel()
	for what, o := range map[string]Options{
		"count": {MaxItems: 100},
		"bytes": {MaxBytes: 100 * (overhead + 104)},
	} {
		s := newStore(t, o)
		s.SetSelf([20]byte{0x55, 0x80})
		var all []*Item
		for n := range 1000 {
			i := &Item{Value: value(fmt.Sprintf("%0100d", n))}
			all = append(all, i)
			if err := s.Put(start, local, i, nil); err != nil {
				wantCode(t, what, err, CodeServer)
			}
			if s.Bytes() > s.o.MaxBytes || s.Len() > s.o.MaxItems {
				t.Fatalf("%s: %d items with %d bytes", what, s.Len(), s.Bytes())
			}
		}
		if s.Len() != 100 {
			t.Errorf("%s: %d items are stored, want 100", what, s.Len())
		}
		for _, i := range all {
			closer := 0
			for _, j := range all {
				if nodeid.Compare(s.self, j.Target(), i.Target()) < 0 {
					closer++
				}
			}
			if got := s.Get(start, i.Target()) != nil; got != (closer < 100) {
				t.Errorf("%s: an item that is behind %d others is stored: %v", what, closer, got)
			}
		}
	}
}

// TestOneNetworkCannotFillTheStore checks that the items of other networks stay while one network puts
// as many as it can, and that its own items can still change.
func TestOneNetworkCannotFillTheStore(t *testing.T) {
	t.Parallel()
	for what, o := range map[string]Options{"count": {MaxItems: 320}, "bytes": {MaxItems: 320, MaxBytes: 320 * (overhead + 104)}} {
		o.Signatures = limit.Options{Address: limit.Rate{PerSecond: 1, Burst: 1000}, Network: limit.Rate{PerSecond: 1, Burst: 1000}}
		s := newStore(t, o)
		put := func(from netip.Addr, n int) error {
			return s.Put(start, from, &Item{Value: value(fmt.Sprintf("%0100d", n))}, nil)
		}
		for n := range 160 {
			wantCode(t, what, put(netip.AddrFrom4([4]byte{11, byte(n), 0, 1}), n), 0)
		}
		spam := netip.MustParseAddr("192.0.2.1")
		mutable := sign(t, 1, "", 1, strings.Repeat("x", 100))
		wantCode(t, what, s.Put(start, spam, mutable, nil), 0)
		for n := 1000; n < 2000; n++ {
			if err := put(spam, n); err != nil {
				wantCode(t, what, err, CodeServer)
			}
		}
		if s.Len() != 160+20 {
			t.Errorf("%s: the store has %d items, want 180", what, s.Len())
		}
		wantCode(t, what, s.Put(start, spam, sign(t, 1, "", 2, strings.Repeat("y", 100)), nil), 0)
		wantCode(t, what, put(netip.MustParseAddr("192.0.3.1"), 2000), 0)
		wantCode(t, what, put(netip.MustParseAddr("192.0.2.77"), 2001), CodeServer)
	}
}

// TestGrowingItemNeedsRoom checks that a new version of the furthest item does not exceed the bytes, and
// that no closer item goes for it.
func TestGrowingItemNeedsRoom(t *testing.T) {
	t.Parallel()
	first := sign(t, 1, "", 1, "x")
	s := newStore(t, Options{MaxBytes: 2 * (size(first) + 10)})
	far := first.Target()
	for i := range far {
		far[i] ^= 0xff
	}
	s.SetSelf(far) // the item is as far as possible
	wantCode(t, "the furthest item", s.Put(start, local, first, nil), 0)
	other := sign(t, 2, "", 1, "x")
	wantCode(t, "a closer item", s.Put(start, local, other, nil), 0)
	wantCode(t, "a larger version", s.Put(start, local, sign(t, 1, "", 2, strings.Repeat("x", 100)), nil), CodeServer)
	if got := s.Get(start, first.Target()); got == nil || got.Seq != 1 {
		t.Errorf("the furthest item is %+v", got)
	}
	wantCode(t, "a larger version of the closer item", s.Put(start, local, sign(t, 2, "", 2, strings.Repeat("x", 100)), nil), 0)
	if s.Get(start, first.Target()) != nil || s.Len() != 1 || s.Bytes() > s.o.MaxBytes {
		t.Errorf("%d items with %d bytes", s.Len(), s.Bytes())
	}
}

// TestSignaturesAreLimited checks that an address gets few signatures checked, and that puts which
// need no check do not count.
func TestSignaturesAreLimited(t *testing.T) {
	t.Parallel()
	s := newStore(t, Options{Signatures: limit.Options{Address: limit.Rate{PerSecond: 1, Burst: 3}, Network: limit.Rate{PerSecond: 1, Burst: 100}}})
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	item := sign(t, 1, "", 0, "x")
	for n := range 100 {
		wantCode(t, "the same item", s.Put(start, a, item, nil), 0)
		wantCode(t, "an immutable item", s.Put(start, a, &Item{Value: value(fmt.Sprint(n))}, nil), 0)
	}
	forged := *sign(t, 1, "", 1, "y")
	forged.Sig = make([]byte, 64)
	for range 2 {
		wantCode(t, "a forged item", s.Put(start, a, &forged, nil), CodeInvalidSignature)
	}
	wantCode(t, "one more", s.Put(start, a, &forged, nil), CodeServer)
	wantCode(t, "the same item", s.Put(start, a, item, nil), 0)
	wantCode(t, "another address", s.Put(start, b, sign(t, 1, "", 1, "y"), nil), 0)
	wantCode(t, "a later put", s.Put(start.Add(time.Second), a, sign(t, 1, "", 2, "z"), nil), 0)
}

// TestNewRejectsBadOptions checks the limits.
func TestNewRejectsBadOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{MaxItems: -1}, {MaxBytes: -1}, {Lifetime: -1}, {Signatures: limit.Options{Cells: 5}}} {
		if _, err := New([20]byte{}, siphash.Key{}, start, o); err == nil {
			t.Errorf("New accepts %+v", o)
		}
	}
}

// TestNeedsRepublish checks the conditions of BEP 44 under which a node need not put an item again.
func TestNeedsRepublish(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		age            time.Duration
		found, closest int
		want           bool
	}{{59 * time.Minute, 0, 0, false}, {time.Hour, 0, 0, true}, {time.Hour, 8, 8, true}, {time.Hour, 9, 8, false}, {time.Hour, 12, 7, true}} {
		if got := NeedsRepublish(c.age, c.found, c.closest); got != c.want {
			t.Errorf("NeedsRepublish(%v, %d, %d) is %v", c.age, c.found, c.closest, got)
		}
	}
}

// TestStoreAgreesWithModel runs random puts, pauses and changes of our node id, and compares the
// store with a map.
func TestStoreAgreesWithModel(t *testing.T) {
	t.Parallel()
	type entry struct {
		item *Item
		at   time.Time
	}
	var versions [4][6][2]*Item // by key, seq and value
	for k := range versions {
		for seq := range versions[k] {
			for v := range versions[k][seq] {
				versions[k][seq][v] = sign(t, byte(k), "", int64(seq), fmt.Sprint(v))
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s, err := New([20]byte{}, siphash.Key{1}, start, Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, now := map[[20]byte]entry{}, start
		put := func(i *Item, cas *int64) {
			target := i.Target()
			old, found := m[target]
			code := 0
			switch {
			case !found || i.Key == nil:
			case cas != nil && *cas != old.item.Seq:
				code = CodeCASMismatch
			case i.Seq < old.item.Seq, i.Seq == old.item.Seq && !bytes.Equal(i.Value, old.item.Value):
				code = CodeSeqTooLow
			}
			err := s.Put(now, local, i, cas)
			if e, ok := err.(*Error); ok && e.Code != code || !ok && (err != nil || code != 0) {
				t.Fatalf("Put: %v, want error %d", err, code)
			}
			if code == 0 {
				m[target] = entry{i, now}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"mutable": func(t *rapid.T) {
				k, seq, v := rapid.IntRange(0, 3).Draw(t, "key"), rapid.IntRange(0, 5).Draw(t, "seq"), rapid.IntRange(0, 1).Draw(t, "value")
				var cas *int64
				if n := rapid.IntRange(-6, 5).Draw(t, "cas"); n >= 0 {
					cas = ptr(int64(n))
				}
				put(versions[k][seq][v], cas)
			},
			"immutable": func(t *rapid.T) {
				put(&Item{Value: value(fmt.Sprint(rapid.IntRange(0, 50).Draw(t, "value"))), Salt: []byte("ignored")}, nil)
			},
			"pause": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 130).Draw(t, "minutes")) * time.Minute)
			},
			"move": func(t *rapid.T) {
				var id [20]byte
				binary.BigEndian.PutUint64(id[:], rapid.Uint64().Draw(t, "id"))
				s.SetSelf(id)
			},
			"": func(t *rapid.T) {
				total := 0
				for target, e := range m {
					got := s.Get(now, target)
					if now.Sub(e.at) >= defaultLifetime {
						if got != nil {
							t.Fatalf("an expired item is stored")
						}
						delete(m, target)
					} else if got == nil || !bytes.Equal(got.Value, e.item.Value) || got.Seq != e.item.Seq && got.Key != nil {
						t.Fatalf("got %+v, want %+v", got, e.item)
					}
				}
				for n, e := range s.items {
					if n > 0 && bytes.Compare(s.items[n-1].distance[:], e.distance[:]) >= 0 {
						t.Fatal("the items are out of order")
					}
					total += e.size()
				}
				if total != s.Bytes() || s.Len() < len(m) {
					t.Fatalf("%d items with %d bytes, want %d with %d", s.Len(), s.Bytes(), len(m), total)
				}
			},
		})
	})
}
