package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"spate/tracker/trackerserver"
)

// Timeouts of a server: for headers, between requests, for an answer that sets none of its
// own, as downloads do.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	writeTimeout      = 10 * time.Minute
	shutdownTimeout   = 3 * time.Second
)

// serveHTTP serves l as serveUntil does.
func (a *app) serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: time.Minute, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ConnContext: trackerserver.ConnContext, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(a.Log.Handler(), slog.LevelDebug),
	}
	return serveUntil(ctx, srv, l)
}

// serveUntil serves l until ctx ends; requests under way are given a moment.
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
