package httpconn

import (
	"testing"

	"spate"
)

// FuzzProxyHeader checks that a complete header has a size within the input and a canonical
// address.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\nGET"))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x34\x00\x50"))
	f.Fuzz(func(t *testing.T, b []byte) {
		client, size, done, err := parseProxyHeader(b)
		if done && (err != nil || size > len(b) || client.IsValid() && spate.CanonicalAddr(client) != client) {
			t.Fatal(client, size, done, err)
		}
	})
}
