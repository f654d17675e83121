package peerwire_test

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"

	"spate/peerwire"
)

// TestHolepunch checks that holepunch messages have the bytes of BEP 55, are parsed without loss,
// and that malformed ones are rejected.
func TestHolepunch(t *testing.T) {
	t.Parallel()
	four, six := netip.MustParseAddrPort("203.0.113.7:6881"), netip.MustParseAddrPort("[2001:db8::7]:6882")
	for _, c := range []struct {
		m    peerwire.HolepunchMessage
		want string // the payload
	}{
		{peerwire.HolepunchMessage{Type: peerwire.HolepunchRendezvous, Addr: four}, "0000cb0071071ae100000000"},
		{peerwire.HolepunchMessage{Type: peerwire.HolepunchConnect, Addr: six}, "010120010db80000000000000000000000071ae200000000"},
		{peerwire.HolepunchMessage{Type: peerwire.HolepunchFailed, Addr: four, Err: peerwire.HolepunchNoSupport}, "0200cb0071071ae100000003"},
		{peerwire.HolepunchMessage{Type: 9, Addr: four}, "0900cb0071071ae100000000"},
	} {
		payload := payloadOf(t, peerwire.AppendHolepunch(nil, 7, &c.m), 7)
		if hex.EncodeToString(payload) != c.want {
			t.Errorf("%+v was encoded as %x, want %s", c.m, payload, c.want)
		}
		if got, err := peerwire.ParseHolepunch(payload); err != nil || got != c.m {
			t.Errorf("%+v became %+v, %v", c.m, got, err)
		}
		short := payload[:len(payload)-4] // as libtorrent sends it
		got, err := peerwire.ParseHolepunch(short)
		if failed := c.m.Type == peerwire.HolepunchFailed; failed != (err != nil) || !failed && got != c.m {
			t.Errorf("%+v without its error code became %+v, %v", c.m, got, err)
		}
	}
	for _, bad := range []string{
		"", "00", "0000", "0002cb0071071ae100000000", "0000cb0071071a", "0000cb0071071ae1000000", "0000cb0071071ae10000000000",
		"0001cb0071071ae100000000", "010120010db80000000000000000000000071ae20000000000",
	} {
		b, err := hex.DecodeString(bad)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := peerwire.ParseHolepunch(b); !errors.Is(err, peerwire.ErrExtension) {
			t.Errorf("%s was parsed as %+v, %v", bad, m, err)
		}
	}
}

// FuzzHolepunch checks that an accepted message is encoded and parsed again without loss.
func FuzzHolepunch(f *testing.F) {
	for _, a := range []string{"203.0.113.7:6881", "[2001:db8::7]:6882"} {
		for typ := range peerwire.HolepunchType(3) {
			m := peerwire.HolepunchMessage{Type: typ, Addr: netip.MustParseAddrPort(a)}
			f.Add(peerwire.AppendHolepunch(nil, 5, &m)[6:])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := peerwire.ParseHolepunch(b)
		if err != nil {
			return
		}
		if again, err := peerwire.ParseHolepunch(peerwire.AppendHolepunch(nil, 5, &m)[6:]); err != nil || again != m {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
