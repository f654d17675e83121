package trackerserver

import (
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestConnectionIDs checks that a connection id is valid for two minutes, for its address
// and with its key, and that checking it allocates nothing.
func TestConnectionIDs(t *testing.T) {
	k := NewConnKey()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for start := int64(1e9); start < 1e9+4096; start += 61 {
		now := time.Unix(start, 0)
		id := k.id(now, a)
		for age, want := range map[time.Duration]bool{
			-8 * time.Second: true, -20 * time.Second: false, 0: true, time.Minute: true, 2 * time.Minute: true,
			129 * time.Second: false, 30 * time.Minute: false, 2048 * time.Second: false, 2049 * time.Second: false,
		} {
			if got := k.valid(now.Add(age), a, id); got != want {
				t.Fatalf("at %d, age %v: %v", start, age, got)
			}
		}
		other := NewConnKey()
		if k.valid(now, b, id) || other.valid(now, a, id) || k.valid(now, a, id^1<<8) || k.valid(now, a, id^1<<63) || k.valid(now, a, 0) {
			t.Fatal("a forged id is accepted")
		}
	}
	if n := testing.AllocsPerRun(100, func() { k.valid(time.Unix(1e9, 0), a, k.id(time.Unix(1e9, 0), a)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestConnKeyFile checks that the key stays the same, that only its owner may read the file,
// and that an invalid file is an error.
func TestConnKeyFile(t *testing.T) {
	path := t.TempDir() + "/key"
	k, err := LoadConnKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadConnKey(path)
	if err != nil || again != k {
		t.Errorf("%x %x %v", k, again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	os.WriteFile(path, []byte("abc\n"), 0o600)
	if _, err := LoadConnKey(path); err == nil {
		t.Error("an invalid key was accepted")
	}
}
