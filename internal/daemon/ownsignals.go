package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"

	"spate/tracker/trackerclient"
)

// ownSignals announces to the WebSocket tracker of this process: at the port of the site or, if that
// speaks HTTPS, at a port on loopback where the tracker alone answers plain HTTP.
type ownSignals struct {
	client *trackerclient.Client
	url    string
	plain  net.Listener // nil if the port of the site is used
}

// openOwnSignals opens the way to the WebSocket tracker of a site at addr. secure says that the site
// speaks HTTPS.
func openOwnSignals(addr netip.AddrPort, secure bool) (_ *ownSignals, err error) {
	o := &ownSignals{}
	if host := addr.Addr(); !host.IsValid() || host.IsUnspecified() {
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	}
	if secure {
		if o.plain, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, listenError(err, "the way to the own tracker", "tcp", "127.0.0.1:0", "listen")
		}
		addr = addrPortOf(o.plain.Addr())
	}
	o.url = "ws://" + addr.String() + "/announce"
	// The address of a site can be private or on loopback; the client connects to this one only.
	o.client, err = trackerclient.New(trackerclient.Options{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	}})
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// serveOwn makes the tracker node answer o. o may be nil.
func (n *TrackerNode) serveOwn(o *ownSignals) {
	if o == nil || o.plain == nil {
		return
	}
	n.also = append(n.also, func(ctx context.Context) error {
		return n.env.serveHTTP(ctx, o.plain, n.server.Handler(http.NotFoundHandler()), nil)
	})
}

// close ends the announces. o may be nil.
func (o *ownSignals) close() error {
	if o == nil {
		return nil
	}
	var err error
	if o.client != nil {
		err = o.client.Close()
	}
	if o.plain != nil {
		err = errors.Join(err, o.plain.Close())
	}
	return err
}
