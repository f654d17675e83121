package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"spate/internal/uplink"
	"spate/tracker/trackerserver"
)

// Timeouts of a server. writeTimeout applies to answers that do not set their own timeout, as
// downloads do.
const (
	readHeaderTimeout = 10 * time.Second
	requestTimeout    = time.Minute // for the header and the body of a request
	idleTimeout       = 2 * time.Minute
	writeTimeout      = 10 * time.Minute
	shutdownTimeout   = 3 * time.Second
)

// serveHTTP serves l with h until ctx ends. line may be nil; it learns from what the connections
// send, but it limits only direct downloads.
func (e *Env) serveHTTP(ctx context.Context, l net.Listener, h http.Handler, line *uplink.Line) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: requestTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(e.Log.Handler(), slog.LevelDebug),
	}
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		ctx = trackerserver.ConnContext(ctx, c)
		var socket *uplink.Socket
		trackerserver.WatchConn(ctx, func(tcp net.Conn) (closing func()) {
			socket = line.Track(tcp)
			return socket.Close
		})
		return context.WithValue(ctx, socketKey{}, socket)
	}
	return serveUntil(ctx, srv, l)
}

// socketKey is the key of a connection's [uplink.Socket] in the context of its requests.
type socketKey struct{}

// serveUntil serves l until ctx ends. Running requests get [shutdownTimeout] to end.
func serveUntil(ctx context.Context, srv *http.Server, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
