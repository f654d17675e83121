package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"spate/internal/api"
	"spate/tracker/trackerserver"
)

// serveAPI answers on the socket, and on the network if that is wanted.
func (d *serveDaemon) serveAPI(ctx context.Context, socket string, part func(func(context.Context) error)) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o600); err != nil { // the directory lets nobody in either
		l.Close()
		return err
	}
	part(func(ctx context.Context) error {
		return d.app.serveStream(ctx, l, api.NewServer(d, api.ServerOptions{Log: d.app.Log}))
	})
	if d.opt.apiListen == "" {
		return nil
	}
	tokens, err := trackerserver.OpenTokens(filepath.Join(d.state, apiTokensFile))
	if err != nil {
		return err
	}
	flags := listenFlags{listen: d.opt.apiListen, udp: "off", bind: d.house.opt.client.bind}
	s, err := flags.open(ctx, "the API")
	if err != nil {
		return err
	}
	check := func(token []byte) bool {
		if err := tokens.Reload(); err != nil { // one may have been made, or taken back
			d.app.Log.Error("the tokens of the API cannot be read: nobody is let in", "err", err)
			return false
		}
		_, ok := tokens.Check(token)
		return ok
	}
	h := api.NewServer(d, api.ServerOptions{Token: check, Hosts: append(slices.Clone(d.opt.hosts), d.base.Hostname()), Log: d.app.Log})
	listener := d.node.server.Bound(s.http)
	if d.node.tls != nil {
		listener = tls.NewListener(listener, d.node.tls)
	} else if !s.httpAddr().Addr().IsLoopback() {
		d.app.Warnf("the API on %s is not encrypted: who listens on the way learns the token", s.httpAddr())
	}
	d.apiAddr = s.httpAddr().String()
	d.app.Notef("API at %s, with a token", d.apiAddr)
	part(func(ctx context.Context) error { return d.app.serveStream(ctx, listener, h) })
	return nil
}

// serveStream serves an API, whose streams end with ctx.
func (a *app) serveStream(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	if err := serveUntil(ctx, srv, l); err != nil {
		return fmt.Errorf("the API: %w", err)
	}
	return nil
}
