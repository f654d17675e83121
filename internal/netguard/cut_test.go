package netguard

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestHeaderThatIsCut checks that an answer whose header is cut at any byte gives io.EOF or
// io.ErrUnexpectedEOF, and that a malformed header does not, with and without TLS.
func TestHeaderThatIsCut(t *testing.T) {
	t.Parallel()
	const whole = "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 12\r\nX:\r\n\r\n"
	secure := httptest.NewTLSServer(nil)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			answers := make(chan string, 1)
			go func() {
				for {
					raw, err := l.Accept()
					if err != nil {
						return
					}
					conn := raw
					if scheme == "https" {
						conn = tls.Server(raw, &tls.Config{Certificates: secure.TLS.Certificates})
					}
					http.ReadRequest(bufio.NewReader(conn))
					io.WriteString(conn, <-answers)
					raw.Close() // without the alert that ends TLS
				}
			}()
			c := NewClient(ClientOptions{Transport: func() *http.Transport {
				return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
			}})
			defer c.Close()
			get := func(answer string) error {
				answers <- answer
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+l.Addr().String()+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.Get(req, ToChosen)
				if err == nil {
					resp.Body.Close()
				}
				return err
			}
			for n := range len(whole) {
				if err := get(whole[:n]); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%q: %v, want io.EOF or io.ErrUnexpectedEOF", whole[:n], err)
				}
			}
			if err := get(whole); err != nil {
				t.Errorf("the whole header: %v", err)
			}
			for _, bad := range []string{"hello\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nServer\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"} {
				if err := get(bad); err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%q: %v, want an error about the header", bad, err)
				}
			}
		})
	}
}
