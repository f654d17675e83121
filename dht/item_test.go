package dht

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/netip"
	"reflect"
	"strconv"
	"testing"

	"spate"
)

// TestItems puts immutable and mutable items into nodes on loopback, and gets them from
// another node. The values are small, and larger than a reply to an address that has not
// proved itself.
func TestItems(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	first, at := run(t, "127.0.0.1:0", Options{})
	second, _ := run(t, "127.0.0.1:0", Options{Known: []netip.AddrPort{at}})
	third, _ := run(t, "127.0.0.1:0", Options{Known: []netip.AddrPort{at}})
	ready(t, first, second, third)
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for _, value := range []string{"i1e", "990:" + string(bytes.Repeat([]byte("x"), 990))} {
		mutable, err := SignItem(key, []byte("salt"+strconv.Itoa(len(value))), 1, []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range []Item{{Value: []byte(value)}, mutable} {
			if res, err := second.Put(ctx, item, nil); err != nil || res.Stored == 0 {
				t.Fatalf("Put returned %+v, %v", res, err)
			}
			// A node that has not met the others gets it too.
			fresh, _ := run(t, "127.0.0.1:0", Options{Known: []netip.AddrPort{at}, ReadOnly: true})
			ready(t, fresh)
			for _, n := range []*Node{third, fresh} {
				if got, err := n.Get(ctx, item.Target(), item.Salt); err != nil || !reflect.DeepEqual(got, item) {
					t.Errorf("Get returned %+v, %v", got, err)
				}
			}
		}
		newer, err := SignItem(key, mutable.Salt, 2, TorrentValue(spate.InfoHash{7}))
		if err != nil {
			t.Fatal(err)
		}
		wrong := int64(9)
		if res, err := second.Put(ctx, newer, &wrong); err != nil || res.Stored != 0 {
			t.Errorf("Put with a wrong cas returned %+v, %v", res, err)
		}
		if res, err := third.Put(ctx, newer, &mutable.Seq); err != nil || res.Stored == 0 {
			t.Errorf("Put of a newer version returned %+v, %v", res, err)
		}
		got, err := second.Get(ctx, ItemTarget(key.Public().(ed25519.PublicKey), mutable.Salt), mutable.Salt)
		if hash, bad := ParseTorrentValue(got.Value); err != nil || bad != nil || hash != (spate.InfoHash{7}) || got.Seq != 2 {
			t.Errorf("Get returned %+v, %v", got, err)
		}
	}
	if _, err := second.Get(ctx, [20]byte{1}, nil); !errors.Is(err, ErrNoItem) {
		t.Errorf("Get of an unknown item returned %v", err)
	}
	forged, _ := SignItem(key, nil, 1, []byte("i1e"))
	forged.Value = []byte("i2e")
	for _, item := range []Item{forged, {Value: []byte("x")}, {Value: bytes.Repeat([]byte("i1e"), 500)}} {
		if _, err := second.Put(ctx, item, nil); err == nil {
			t.Errorf("Put accepted %.40q", item.Value)
		}
	}
}
