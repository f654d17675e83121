package webseed

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"

	"spate/internal/netguard"
	"spate/internal/proxy"
)

// Limits of the connections to servers.
const (
	dialTimeout    = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	idleTimeout    = 30 * time.Second // how long a connection stays open between two requests
	maxHeaderBytes = 64 << 10
	// DefaultStall is the default of Options.Stall.
	DefaultStall = 30 * time.Second
)

// Options configure a [Client]. The zero value is valid.
type Options struct {
	// Dial connects to an address "ip:port"; nil selects package net.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver resolves host names; nil selects [net.DefaultResolver].
	Resolver *net.Resolver
	// Bind is the local address of connections, if it is valid. The client connects only
	// to addresses of its family, and only to this machine if it is a loopback address.
	Bind netip.Addr
	// Proxy chooses the proxies of requests; nil: all are direct.
	Proxy proxy.Chooser
	// UserAgent is sent with every request.
	UserAgent string
	// TLS is for https; nil selects the defaults of crypto/tls.
	TLS *tls.Config
	// Stall is the longest time for one [Range.Fill], or for one read if the server
	// is the only source; 0 selects DefaultStall.
	Stall time.Duration
}

// Client makes requests to web servers. It is safe for concurrent use.
//
// It checks the address that it connects to, not the host name. It never connects to the
// metadata services of clouds, to link-local addresses or to addresses that no machine has.
// It connects to hosts of private networks and to this machine only for a URL without a
// query, so that a torrent cannot trigger actions there. It follows redirects as
// [netguard.Client] does, also from https to http, because the hashes of the torrent check
// the data.
type Client struct {
	opt  Options
	http *netguard.Client
}

// NewClient returns a client. The caller must close it.
func NewClient(opt Options) *Client {
	if opt.Stall <= 0 {
		opt.Stall = DefaultStall
	}
	return &Client{opt: opt, http: netguard.NewClient(netguard.ClientOptions{
		Dialer: netguard.Dialer{
			Dial: opt.Dial, LocalAddr: opt.Bind, OnlyLoopback: opt.Bind.IsLoopback(), Resolver: opt.Resolver, Timeout: dialTimeout, Proxy: opt.Proxy,
		},
		Transport: opt.transport, Checked: true,
	})}
}

func (o *Options) transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:        o.TLS.Clone(),
		TLSHandshakeTimeout:    tlsTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    4,
		MaxIdleConns:           32,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }
