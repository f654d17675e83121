package peerwire_test

import (
	"errors"
	"testing"

	"spate/peerwire"
)

var testNonce = peerwire.DialBackNonce([]byte("0123456789abcdefghij"))

// TestDialBack checks that dial-back messages are encoded and parsed without loss, that an
// unknown outcome counts as a failure, and that malformed messages are rejected.
func TestDialBack(t *testing.T) {
	for _, m := range []peerwire.DialBackMessage{
		{Type: peerwire.DialBackRequest, Nonce: testNonce, TCPPort: 6881, UDPPort: 65535},
		{Type: peerwire.DialBackRequest, Nonce: testNonce, UDPPort: 1},
		{Type: peerwire.DialBackAnswer, Nonce: testNonce, TCP: peerwire.DialBackTimedOut, UDP: peerwire.DialBackSent},
		{Type: 9, Nonce: testNonce},
	} {
		got, err := peerwire.ParseDialBack(payloadOf(t, peerwire.AppendDialBack(nil, 4, &m), 4))
		if err != nil || got != m {
			t.Errorf("%+v became %+v, %v", m, got, err)
		}
	}
	const nonce = "5:nonce20:0123456789abcdefghij"
	if m, err := peerwire.ParseDialBack([]byte("d8:msg_typei1e" + nonce + "3:tcpi300ee")); err != nil || m.TCP != peerwire.DialBackFailed {
		t.Errorf("an unknown outcome was parsed as %+v, %v", m, err)
	}
	for _, bad := range []string{
		"", "de", "le", "d8:msg_typei0ee", "d" + nonce + "e", "d8:msg_typei0e5:nonce3:abce", "d8:msg_typei0e5:noncei7ee",
		"d8:msg_typei0e5:nonce21:0123456789abcdefghijke", "d8:msg_typei0e" + nonce + "3:tcpi65536ee", "d8:msg_typei0e" + nonce + "3:udpi-1ee",
		"d8:msg_typei256e" + nonce + "e", "d8:msg_typei-1e" + nonce + "e", "d8:msg_typei0e" + nonce,
	} {
		if m, err := peerwire.ParseDialBack([]byte(bad)); !errors.Is(err, peerwire.ErrExtension) {
			t.Errorf("%q was parsed as %+v, %v", bad, m, err)
		}
	}
}

// FuzzDialBack checks that an accepted message is encoded and parsed again without loss.
func FuzzDialBack(f *testing.F) {
	for _, m := range []peerwire.DialBackMessage{
		{Type: peerwire.DialBackRequest, Nonce: testNonce, TCPPort: 6881, UDPPort: 6881},
		{Type: peerwire.DialBackAnswer, Nonce: testNonce, TCP: peerwire.DialBackReached, UDP: peerwire.DialBackSent},
	} {
		f.Add(peerwire.AppendDialBack(nil, 4, &m)[6:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := peerwire.ParseDialBack(b)
		if err != nil {
			return
		}
		if again, err := peerwire.ParseDialBack(peerwire.AppendDialBack(nil, 4, &m)[6:]); err != nil || again != m {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
