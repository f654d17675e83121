package udpmux

import (
	"bytes"
	"testing"
)

// Packets as other programs send them.
var (
	ping           = []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe")
	pong           = []byte("d2:ip6:abcdef1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re") // BEP 42 puts ip first
	utpSYN         = []byte("\x41\x02\x50\x45\x61\x24\x47\xe2\x00\x00\x00\x00\x00\x04\x00\x00\x38\xfb\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00")
	utpData        = append([]byte("\x01\x00\x50\x46\x61\x24\x47\xe2\x00\x00\x00\x00\x00\x04\x00\x00\x38\xfb\x00\x01"), "some data"...)
	connect        = []byte("\x00\x00\x00\x00abcd12345678")
	connectRequest = []byte("\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00abcd")
	refusal        = []byte("\x00\x00\x00\x03abcdthe info-hash is not allowed")
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		data []byte
		want Kind
	}{
		{"a query of the DHT", ping, DHT},
		{"a response of the DHT with an external address", pong, DHT},
		{"an empty dictionary", []byte("de"), DHT},
		{"a dictionary that is cut", ping[:len(ping)-1], Unknown},
		{"one byte of a dictionary", []byte("d"), Unknown},
		{"a SYN", utpSYN, UTP},
		{"uTP data", utpData, UTP},
		{"a uTP header that is cut", utpSYN[:19], Unknown},
		{"uTP of version 0", append([]byte{0x40}, utpSYN[1:]...), Unknown},
		{"uTP of an unknown type", append([]byte{0x51}, utpSYN[1:]...), Unknown},
		{"uTP with an unknown extension", append([]byte{0x41, 3}, utpSYN[2:]...), Unknown},
		{"a connection id of a tracker", connect, tracker},
		{"an error of a tracker", refusal, tracker},
		{"a reply that is cut", connect[:7], Unknown},
		{"an unknown action", append([]byte{0, 0, 0, 4}, connect[4:]...), Unknown},
		{"a request to a tracker", connectRequest, Unknown},
		{"a STUN request", stunRequestFor(""), STUN},
		{"a STUN request with other attributes", stunRequestFor("\x80\x22\x00\x03abc\x00"), STUN},
		{"a check of ICE", stunRequestFor("\x00\x06\x00\x03a:b\x00\x00\x24\x00\x04abcd"), WebRTC},
		{"a check of ICE with its user name last", stunRequestFor("\x00\x24\x00\x04abcd\x00\x06\x00\x03a:b\x00"), WebRTC},
		{"a STUN request with an attribute that is cut", stunRequestFor("\x80\x22\xff\xffabcd"), STUN},
		{"a response of STUN", append([]byte("\x01\x01"), stunRequestFor("")[2:]...), WebRTC},
		{"an indication of STUN", append([]byte("\x00\x11"), stunRequestFor("")[2:]...), WebRTC},
		{"STUN with another length", append(stunRequestFor(""), 1, 2, 3, 4), Unknown},
		{"STUN with another cookie", append([]byte("\x00\x01\x00\x00\x21\x12\xa4\x43"), "abcdefghijkl"...), Unknown},
		{"uTP data whose time is the cookie of STUN", append([]byte("\x01\x00\x50\x46\x21\x12\xa4\x42"), utpData[8:]...), UTP},
		{"DTLS 1.2", dtlsRecord(22, 0xfd), WebRTC},
		{"DTLS 1.0, as the first record has it", dtlsRecord(22, 0xff), WebRTC},
		{"DTLS application data", dtlsRecord(23, 0xfd), WebRTC},
		{"a DTLS record that is cut", dtlsRecord(22, 0xfd)[:20], Unknown},
		{"TLS", dtlsRecord(22, 0x03)[:20], Unknown},
		{"nothing", nil, Unknown},
	} {
		if got := Classify(c.data); got != c.want {
			t.Errorf("Classify returned %d for %s, want %d", got, c.what, c.want)
		}
	}
}

// FuzzClassify checks that each kind has the bytes that its receiver relies on, that the kind
// depends on nothing but the data, and that no bytes after a header change the kind of uTP and of
// trackers.
func FuzzClassify(f *testing.F) {
	for _, p := range [][]byte{nil, ping, pong, utpSYN, utpData, connect, refusal, stunRequestFor(""), dtlsRecord(22, 0xfd)} {
		f.Add(p)
	}
	f.Add([]byte("\x00\x00\x00\x01\x21\x12\xa4\x42abcdefghijkl")) // with the cookie of STUN
	f.Add([]byte("\x01\x00\x00\x01\x21\x12\xa4\x42abcdefghijkl"))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		kind := Classify(data)
		if Classify(bytes.Clone(data)) != kind || !bytes.Equal(data, before) {
			t.Error("Classify is not a pure function")
		}
		// One more byte can give a packet the length that the header of a STUN message says.
		longer := Classify(append(bytes.Clone(data), 'e'))
		stays := longer == kind || longer == STUN || longer == WebRTC
		switch kind {
		case DHT:
			if data[0] != 'd' || data[len(data)-1] != 'e' {
				t.Errorf("%x is no dictionary", data)
			}
		case UTP:
			if len(data) < 20 || data[0]&0xf != 1 || data[0]>>4 > 4 || !stays {
				t.Errorf("%x is no uTP packet", data)
			}
		case tracker:
			if len(data) < 8 || !bytes.Equal(data[:3], []byte{0, 0, 0}) || data[3] > 3 || !stays {
				t.Errorf("%x is no reply of a tracker", data)
			}
		case STUN, WebRTC:
			isSTUN := len(data) >= 20 && data[0] < 4 && string(data[4:8]) == "\x21\x12\xa4\x42" && int(data[2])<<8+int(data[3]) == len(data)-20
			isDTLS := len(data) >= 13 && data[0] >= 20 && data[0] <= 25 && data[1] == 0xfe && data[2] >= 0xfd
			if !isSTUN && (kind == STUN || !isDTLS) {
				t.Errorf("%x is neither STUN nor DTLS", data)
			}
		case Unknown:
		default:
			t.Errorf("Classify returned %d", kind)
		}
	})
}

// stunRequestFor returns a binding request with attributes.
func stunRequestFor(attrs string) []byte {
	b := append([]byte{0, 1, 0, byte(len(attrs)), 0x21, 0x12, 0xa4, 0x42}, "abcdefghijkl"...)
	return append(b, attrs...)
}

// dtlsRecord returns a record of a type and the second byte of a version.
func dtlsRecord(kind, minor byte) []byte {
	b := append([]byte{kind, 0xfe, minor, 0, 0, 0, 0, 0, 0, 0, 1, 0, 16}, "sixteen bytes..."...)
	return b
}

// TestFirstByteDecides checks that packets of each protocol keep their kind beside those of
// the others, for every first byte: a record of DTLS has one of six first bytes, STUN one of four,
// and uTP one of five.
func TestFirstByteDecides(t *testing.T) {
	t.Parallel()
	for first := range 256 {
		utp := append([]byte{byte(first)}, utpData[1:]...)
		dtls := dtlsRecord(byte(first), 0xfd)
		stun := append([]byte{byte(first)}, stunRequestFor("")[1:]...)
		for _, c := range []struct {
			what  string
			data  []byte
			kind  Kind
			holds bool
		}{
			{"uTP", utp, UTP, first&0xf == 1 && first>>4 <= 4},
			{"DTLS", dtls, WebRTC, first >= 20 && first <= 25},
			{"a request of STUN", stun, STUN, first == 0},
			{"another message of STUN", stun, WebRTC, first >= 1 && first <= 3},
			{"a reply of a tracker", append([]byte{byte(first)}, connect[1:]...), tracker, first == 0},
			{"the DHT", append([]byte{byte(first)}, ping[1:]...), DHT, first == 'd'},
		} {
			if got := Classify(c.data); c.holds != (got == c.kind) {
				t.Errorf("%s with the first byte %#x has the kind %d", c.what, first, got)
			}
		}
	}
}
