package wire

import (
	"strings"
	"testing"
)

// BenchmarkWSAnnounce measures the parsing of an announce with five offers.
func BenchmarkWSAnnounce(b *testing.B) {
	r := WSRequest{InfoHash: everyByte(1), PeerID: everyByte(200), Left: 1}
	for i := range 5 {
		r.Offers = append(r.Offers, WSOffer{ID: everyByte(100 + i), SDP: strings.Repeat("a=candidate:1 1 udp 2113937151 192.168.1.1 54400 typ host\r\n", 14)})
	}
	in := AppendWSRequest(nil, &r)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseWSRequest(in, &r); err != nil {
			b.Fatal(err)
		}
	}
}
