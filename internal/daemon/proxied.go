package daemon

import (
	"context"
	"net"
	"net/netip"
	"time"

	"spate/internal/doctor"
	"spate/internal/proxy"
	"spate/internal/reach"
	"spate/tracker/trackerserver"
)

// useProxy makes a session use the proxy of the environment that carries everything, if there is one. What has no
// way through that proxy is turned off: incoming connections, the UDP port of the peers with the DHT, uTP and
// WebRTC, the search in the local network, and mappings at the router. Calling it twice does no harm.
func (e *Env) useProxy(c *SessionConfig) {
	c.Options.Proxy = e.Out.Chooser()
	via := e.Out.Only()
	if via == nil {
		return
	}
	c.Options.Network = proxy.Peers{Via: via, Local: c.Options.Bind}
	c.Options.Resolver = proxy.NoNames()
	c.Options.NoListen, c.Options.NoTCP = true, false
	c.NoLSD, c.NoUTP, c.NoWebRTC, c.NoDHT = true, true, true, true
	c.PortMap = nil
}

// Proxy returns the URL of the proxy that carries all connections of the process, without its user name and
// password, or "".
func (e *Env) Proxy() string {
	via := e.Out.Only()
	if via == nil {
		return ""
	}
	return proxy.Show(via)
}

// OnlyWeb reports whether the proxy that carries all connections has no way to peers.
func (e *Env) OnlyWeb() bool {
	via := e.Out.Only()
	return via != nil && via.Scheme == "http"
}

// throughProxy is the status of a session whose connections all go through a proxy.
func throughProxy(at string) reach.Status {
	return reach.Status{Problem: "all connections go out through the proxy " + at + ", and none come in"}
}

// proxyCheckTime limits the connection that CheckProxy makes.
const proxyCheckTime = 10 * time.Second

// proxyFindings checks the proxy that carries all connections, if there is one.
func (e *Env) proxyFindings(ctx context.Context, bind netip.Addr) []doctor.Finding {
	if e.Proxy() == "" {
		return nil
	}
	return []doctor.Finding{doctor.ThroughProxy(e.Proxy(), e.CheckProxy(ctx, bind))}
}

// CheckProxy connects to the proxy that carries all connections and closes the connection again. It returns nil if
// there is no such proxy.
func (e *Env) CheckProxy(ctx context.Context, bind netip.Addr) error {
	via := e.Out.Only()
	if via == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, proxyCheckTime)
	defer cancel()
	nc, err := proxy.Connect(ctx, via, bind)
	if err != nil {
		return err
	}
	return nc.Close()
}

// checkByProxy makes the checks of a tracker whether peers accept connections go through the proxy that carries all
// connections, if there is one.
func (e *Env) checkByProxy(c *trackerserver.NATCheck) {
	if via := e.Out.Only(); via != nil && c != nil {
		c.Dial = proxy.Peers{Via: via}.DialContext
	}
}

// resolver returns the resolver for names that this process looks up itself. It asks no name server if all
// connections go through a proxy.
func (e *Env) resolver() *net.Resolver {
	if e.Out.Only() != nil {
		return proxy.NoNames()
	}
	return net.DefaultResolver
}
