package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"
)

// Limits of a connection through a proxy.
const (
	connectTime = 10 * time.Second // for the TCP connection to the proxy
	// DialTime limits the time until the host is connected. Networks such as Tor first build a
	// circuit.
	DialTime = 30 * time.Second
)

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// Conn is a connection through a proxy. RemoteAddr returns the address of the host, if Dial was called
// with an IP address, and not that of the proxy.
type Conn struct {
	*net.TCPConn
	remote net.Addr
}

// RemoteAddr returns the address of the host.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// Connect opens a TCP connection to the proxy itself, from the address local if that is valid. It
// resolves the name of the proxy with the resolver of the system.
func Connect(ctx context.Context, via *url.URL, local netip.Addr) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: connectTime}
	if local.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: local.AsSlice(), Zone: local.Zone()}
	}
	nc, err := d.DialContext(ctx, "tcp", via.Host)
	if err != nil {
		return nil, fail(ctx, via, Down, "", err)
	}
	return nc.(*net.TCPConn), nil
}

// Dial connects to address "HOST:PORT" through the proxy at via, within [DialTime]. HOST is passed to the
// proxy as it is. The connection to the proxy comes from the address local if that is valid. Errors
// are [*Error] or that of ctx.
func Dial(ctx context.Context, via *url.URL, local netip.Addr, address string) (*Conn, error) {
	host, port, err := splitHostPort(address)
	if err != nil {
		return nil, fail(ctx, via, Target, address, err)
	}
	limited, cancel := context.WithTimeout(ctx, DialTime)
	defer cancel()
	nc, err := Connect(limited, via, local)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	deadline, _ := limited.Deadline()
	nc.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(aLongTimeAgo) })
	h := handshake{via: via, to: address}
	if via.Scheme == "http" {
		err = h.connectHTTP(nc)
	} else {
		err = h.connectSOCKS(nc, host, port)
	}
	if !stop() && err == nil {
		err = ctx.Err() // the deadline may have been set since
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	nc.SetDeadline(time.Time{})
	return &Conn{nc, remoteAddr(host, port, nc)}, nil
}

// remoteAddr returns the address of a host, or that of the proxy if the host is a name.
func remoteAddr(host string, port uint16, nc net.Conn) net.Addr {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nc.RemoteAddr()
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, port))
}

// handshake is the state of a handshake with a proxy.
type handshake struct {
	via *url.URL
	to  string
	// asked says that the proxy was asked to connect, so that silence may be that of the host.
	asked bool
}

// fail returns the error of a handshake.
func (h *handshake) fail(k Kind, err error) error {
	return fail(context.Background(), h.via, k, h.to, err)
}

// broken returns the error of a connection to the proxy that ended or was silent.
func (h *handshake) broken(err error) error {
	if h.asked && errors.Is(err, os.ErrDeadlineExceeded) {
		return h.fail(Target, err)
	}
	return h.fail(Down, err)
}

// fail returns an [*Error], or the error of ctx.
func fail(ctx context.Context, via *url.URL, k Kind, to string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	var op *net.OpError
	if errors.As(err, &op) { // its text repeats the address
		err = op.Err
	}
	return &Error{Proxy: Show(via), Kind: k, To: to, Err: err}
}
