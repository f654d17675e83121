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
		{"a STUN request", []byte("\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"), Unknown},
		{"a DTLS record", append([]byte("\x16\xfe\xfd"), utpSYN...), Unknown},
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
	for _, p := range [][]byte{nil, ping, pong, utpSYN, utpData, connect, refusal} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		kind := Classify(data)
		if Classify(bytes.Clone(data)) != kind || !bytes.Equal(data, before) {
			t.Error("Classify is not a pure function")
		}
		switch kind {
		case DHT:
			if data[0] != 'd' || data[len(data)-1] != 'e' {
				t.Errorf("%x is no dictionary", data)
			}
		case UTP:
			if len(data) < 20 || data[0]&0xf != 1 || data[0]>>4 > 4 || Classify(append(data, 'e')) != UTP {
				t.Errorf("%x is no uTP packet", data)
			}
		case tracker:
			if len(data) < 8 || !bytes.Equal(data[:3], []byte{0, 0, 0}) || data[3] > 3 || Classify(append(data, 'e')) != tracker {
				t.Errorf("%x is no reply of a tracker", data)
			}
		case Unknown:
		default:
			t.Errorf("Classify returned %d", kind)
		}
	})
}
