package daemon

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener accepts connections of net.Pipe.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// TestUnfinishedRequestsEnd checks that a client that may not use the API loses its connection
// if its request does not arrive, whatever part of it is missing, and that a slow answer of an
// allowed request is not cut off.
func TestUnfinishedRequestsEnd(t *testing.T) {
	t.Parallel()
	const slow = 10 * time.Minute
	for request, answered := range map[string]bool{
		"": false, "POST": false, "POST /v1/releases HTTP/1.1\r\nHost: x\r\n": false,
		"POST /v1/releases HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n":             false,
		"POST /v1/releases HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{":            false,
		"POST /v1/releases HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n": false,
		"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n":                                            true,
		"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{":                     true,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &pipeListener{make(chan net.Conn), make(chan struct{})}
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan error)
			go func() {
				served <- serveStreams(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/slow" {
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					io.Copy(io.Discard, r.Body)
					select {
					case <-r.Context().Done():
					case <-time.After(slow):
						io.WriteString(w, "answer")
					}
				}))
			}()
			ours, theirs := net.Pipe()
			l.conns <- theirs
			start := time.Now()
			go io.WriteString(ours, request)
			got := make([]byte, 12)
			n, _ := io.ReadFull(ours, got)
			if answered {
				if took := time.Since(start); string(got[:n]) != "HTTP/1.1 200" || took != slow {
					t.Errorf("%q: got %q after %v, want an answer after %v", request, got[:n], took, slow)
				}
			} else {
				io.Copy(io.Discard, ours)
				if took := time.Since(start); took > requestTimeout {
					t.Errorf("%q: the connection ended after %v, want at most %v", request, took, requestTimeout)
				}
			}
			ours.Close()
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
			time.Sleep(shutdownTimeout) // the server looks from time to time whether its connections have ended
		})
	}
}
