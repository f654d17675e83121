package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/units"
)

// APIHandler returns the handler of a daemon's API. The handler refuses requests that access
// does not allow.
type APIHandler func(*Daemon, APIAccess) http.Handler

// maxSocketPath is the maximum length of the path of a socket: sockaddr_un has 104 bytes on
// some systems.
const maxSocketPath = 100

// removeSocket removes the socket at path that a killed process has left. It returns an error
// if the path is too long for a socket.
func removeSocket(path string) error {
	if len(path) > maxSocketPath {
		return fault.WithSetting(fault.Usagef("%s is too long for the path of a socket: it has %s, and the limit is %d", path, units.Plural(len(path), "byte"), maxSocketPath), "short-state")
	}
	if _, err := atomicfile.SetAsideNonSocket(path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// serveAPI serves the API on the socket and, if configured, on the network.
func (d *Daemon) serveAPI(ctx context.Context, part func(func(context.Context) error)) error {
	l, err := filetrust.Listen(d.conf.Socket)
	if err != nil {
		return err
	}
	if gid := d.conf.SocketGroup; gid != nil {
		if err := errors.Join(os.Chown(d.conf.Socket, -1, *gid), os.Chmod(d.conf.Socket, 0o660)); err != nil {
			l.Close()
			return fault.WithHint(err, "name a group of the daemon's user with --api-group")
		}
	}
	part(func(ctx context.Context) error {
		return serveStreams(ctx, l, d.requests.of(d.conf.Answer(d, APIAccess{})))
	})
	if d.conf.API == "" && d.conf.RPC == "" {
		return nil
	}
	access, err := d.networkAccess()
	if err != nil {
		return err
	}
	if d.conf.API != "" {
		if d.apiAddr, err = d.serveOnNetwork(ctx, part, network{d.conf.API, "the API", "api", d.requests.of(d.conf.Answer(d, access))}); err != nil {
			return err
		}
	}
	if d.conf.RPC != "" {
		d.rpcAddr, err = d.serveOnNetwork(ctx, part, network{d.conf.RPC, "the Transmission RPC", "transmission-rpc", d.conf.AnswerRPC(d, access)})
	}
	return err
}

// network is a way to control the daemon over the network.
type network struct {
	addr    string // HOST:PORT
	who     string // for messages
	setting string // that names addr
	answer  http.Handler
}

// serveOnNetwork serves n and returns the address.
func (d *Daemon) serveOnNetwork(ctx context.Context, part func(func(context.Context) error), n network) (string, error) {
	s, err := (&ListenConfig{HTTP: n.addr, NoUDP: true, Who: n.who, Setting: n.setting}).open(ctx)
	if err != nil {
		return "", err
	}
	listener := d.trackerNode.server.Bound(s.http)
	if d.trackerNode.tls != nil {
		listener = tls.NewListener(listener, d.trackerNode.tls)
	} else if !s.httpAddr().Addr().IsLoopback() {
		d.env.Warnf("%s on %s is not encrypted: others on the network can read the token", n.who, s.httpAddr())
	}
	addr := s.httpAddr().String()
	d.env.Notef("%s is at %s and requires a token", n.who, addr)
	part(func(ctx context.Context) error { return serveStreams(ctx, listener, n.answer) })
	return addr, nil
}

// serveStreams serves an API until ctx ends. The end of ctx also ends its streams. A request
// must arrive within requestTimeout, so that a client without a token cannot keep a connection.
// An answer may take any time.
func serveStreams(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: requestTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	if err := serveUntil(ctx, srv, l); err != nil {
		return fmt.Errorf("the API: %w", err)
	}
	return nil
}
