package stun

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// request is a binding request with attributes in hexadecimal. It sets the length.
func request(t testing.TB, attrs string) []byte {
	t.Helper()
	b, err := hex.DecodeString("000100002112a442b7e7a701bc34d686fa87dfae" + strings.ReplaceAll(attrs, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	b[3] = byte(len(b) - headerLen)
	return b
}

// TestAnswersAreThoseOfRFC5769 uses the transaction and the addresses of the test vectors of RFC
// 5769, sections 2.2 and 2.3.
func TestAnswersAreThoseOfRFC5769(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"192.0.2.1:32853":                              "0101000c2112a442b7e7a701bc34d686fa87dfae 002000080001a147e112a643",
		"[::ffff:192.0.2.1]:32853":                     "0101000c2112a442b7e7a701bc34d686fa87dfae 002000080001a147e112a643",
		"[2001:db8:1234:5678:11:2233:4455:6677]:32853": "010100182112a442b7e7a701bc34d686fa87dfae 002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
	} {
		for _, attrs := range []string{"", "8022 0003 74657300"} { // without and with SOFTWARE
			packet := request(t, attrs)
			got := Answer([]byte("dst"), packet, netip.MustParseAddrPort(from))
			if hex.EncodeToString(got[3:]) != strings.ReplaceAll(want, " ", "") {
				t.Errorf("%s: got %x, want %s", from, got, want)
			}
			if 10*len(got[3:]) > 22*len(packet) {
				t.Errorf("%s: %d bytes for a request of %d", from, len(got)-3, len(packet))
			}
		}
	}
}

func TestFingerprintIsCheckedAndAnswered(t *testing.T) {
	t.Parallel()
	packet := request(t, "8028 0004 00000000")
	sum := fingerprintOf(packet[:headerLen])
	packet[24], packet[25], packet[26], packet[27] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
	got := Answer(nil, packet, netip.MustParseAddrPort("192.0.2.1:32853"))
	if len(got) != 40 || got[3] != 20 || !bytes.Equal(got[32:36], []byte{0x80, 0x28, 0, 4}) {
		t.Fatalf("got %x", got)
	}
	if sum := fingerprintOf(got[:32]); !bytes.Equal(got[36:], []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}) {
		t.Errorf("the fingerprint is %x, want %x", got[36:], sum)
	}
	packet[27]++
	if got := Answer(nil, packet, netip.MustParseAddrPort("192.0.2.1:32853")); got != nil {
		t.Errorf("a wrong fingerprint is answered: %x", got)
	}
}

func TestOtherPacketsGetNoAnswer(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddrPort("192.0.2.1:1")
	change := func(at int, b byte) []byte {
		p := request(t, "")
		p[at] = b
		return p
	}
	for name, packet := range map[string][]byte{
		"empty":                    nil,
		"short":                    request(t, "")[:19],
		"an indication":            change(1, 0x11),
		"a response":               change(0, 1),
		"without the cookie":       change(4, 0),
		"RTP":                      change(0, 0x80),
		"a wrong length":           change(3, 4),
		"a username":               request(t, "0006 0004 61626364"),
		"an attribute to obey":     request(t, "0003 0004 00000006"),
		"an attribute that is cut": request(t, "8022 0005 61626364"),
		"a fingerprint not last":   request(t, "8028 0004 00000000 8022 0004 61626364"),
	} {
		if got := Answer(nil, packet, from); got != nil {
			t.Errorf("%s: %x", name, got)
		}
	}
	if !HasUsername(request(t, "8022 0004 61626364 0006 0003 61626300")) || HasUsername(request(t, "")) || HasUsername(nil) {
		t.Error("HasUsername")
	}
	if Answer(nil, request(t, ""), netip.AddrPort{}) != nil {
		t.Error("a request without an address is answered")
	}
}

func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	var s Server
	now, packet := time.Unix(1e9, 0), request(t, "")
	ask := func(from string) bool {
		return s.Answer(now, nil, packet, netip.AddrPortFrom(netip.MustParseAddr(from), 1)) != nil
	}
	count := func(n int, from ...string) (answered int) {
		for i := range n {
			if ask(from[i%len(from)]) {
				answered++
			}
		}
		return answered
	}
	if n := count(1000, "192.0.2.1"); n != addrBurst {
		t.Errorf("one address gets %d answers", n)
	}
	if n := count(1000, "2001:db8::1", "2001:db8::2"); n != addrBurst {
		t.Errorf("one /64 gets %d answers", n)
	}
	if !ask("192.0.2.2") || !ask("198.51.100.1") || count(1000, "127.0.0.1", "::1") != 1000 {
		t.Error("others get no answers")
	}
	n := 0
	for i := range 256 {
		n += count(10, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String())
	}
	if n != networkBurst {
		t.Errorf("one /24 gets %d answers", n)
	}
	now = now.Add(addrStep)
	if n := count(10, "192.0.2.1"); n != 1 {
		t.Errorf("later the address gets %d answers", n)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(request(f, ""))
	f.Add(request(f, "8022 0004 61626364"))
	f.Add(request(f, "8028 0004 00000000"))
	from := netip.MustParseAddrPort("[2001:db8::1]:1")
	f.Fuzz(func(t *testing.T, packet []byte) {
		HasUsername(packet)
		got := Answer(nil, packet, from)
		if 10*len(got) > 22*len(packet) || len(got) > MaxAnswer {
			t.Fatalf("%d bytes for %d", len(got), len(packet))
		}
		if got != nil && (!Is(got) || !bytes.Equal(got[4:20], packet[4:20])) {
			t.Fatalf("%x", got)
		}
	})
}
