package dht

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"spate/bencode"
)

// TestItemLimits checks that an item has at most MaxItemValue bytes of value and MaxItemSalt of salt.
func TestItemLimits(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(strings.NewReader(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	longest := bencode.AppendString(nil, strings.Repeat("x", MaxItemValue-len("996:")))
	for _, c := range []struct {
		value, salt string
		good        bool
	}{
		{string(longest), strings.Repeat("s", MaxItemSalt), true},
		{string(bencode.AppendString(nil, strings.Repeat("x", MaxItemValue-len("996:")+1))), "", false},
		{"i1e", strings.Repeat("s", MaxItemSalt+1), false},
	} {
		if _, err := SignItem(key, []byte(c.salt), 1, []byte(c.value)); (err == nil) != c.good {
			t.Errorf("%d bytes of value and %d of salt: %v", len(c.value), len(c.salt), err)
		}
	}
}
