package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"sync"

	"spate/dht"
	"spate/internal/atomicfile"
	"spate/internal/fault"
)

// DHTConfig configures the DHT node of one command.
type DHTConfig struct {
	Bind      netip.Addr // local address; the zero value selects all of both families
	Bootstrap []string   // nodes as HOST:PORT; if it is empty, well-known ones
	ResumeDir string     // directory with the nodes that a session saved
}

// DHTClient is a DHT node that searches for one command. It answers no queries (BEP 43), because
// it leaves soon.
type DHTClient struct {
	*dht.Node
	cancel context.CancelFunc
	ran    sync.WaitGroup
}

// OpenDHT starts a DHT node for one command and waits until it can search. The caller closes it.
func (e *Env) OpenDHT(ctx context.Context, c DHTConfig) (*DHTClient, error) {
	if at := e.Proxy(); at != "" {
		return nil, fault.New(fault.Usage, "remove the proxy for this command, if it may connect directly", "the DHT uses UDP, which does not go through the proxy %s", at)
	}
	opt := dht.Options{Bootstrap: c.Bootstrap, ReadOnly: true, Log: e.Log}
	if len(c.Bootstrap) == 0 {
		if c.Bind.IsLoopback() {
			return nil, fault.UsageHint("name a node with --dht-bootstrap HOST:PORT", "a program bound to %v knows no node of the DHT", c.Bind)
		}
		opt.Bootstrap = publicBootstrap
		err := atomicfile.Load(filepath.Join(c.ResumeDir, dhtFile), maxDHTFile, func(b []byte) error {
			opt.Saved = b
			return nil
		})
		if err != nil {
			e.Log.Debug("the DHT starts without the nodes of the last run", "err", err)
		}
	}
	var err error
	if opt.Conns, err = listenDHT(ctx, c.Bind); err != nil {
		return nil, err
	}
	n, err := dht.New(opt)
	if err != nil && opt.Saved != nil { // the nodes of the last run are damaged
		opt.Saved = nil
		n, err = dht.New(opt)
	}
	if err != nil {
		for _, conn := range opt.Conns {
			conn.Close()
		}
		return nil, err
	}
	d := &DHTClient{Node: n}
	var running context.Context
	running, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.ran.Go(func() { n.Run(running) })
	select {
	case <-n.Ready():
		return d, nil
	case <-ctx.Done():
		d.Close()
		return nil, NoNodes(context.Cause(ctx))
	}
}

// listenDHT returns UDP sockets at the address, or of each address family that is available.
func listenDHT(ctx context.Context, bind netip.Addr) ([]net.PacketConn, error) {
	addrs := []netip.Addr{bind}
	if !bind.IsValid() {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	var conns []net.PacketConn
	var first error
	for _, a := range addrs {
		network := "udp4"
		if a.Unmap().Is6() {
			network = "udp6"
		}
		at := netip.AddrPortFrom(a.Unmap(), 0).String()
		var lc net.ListenConfig
		conn, err := lc.ListenPacket(ctx, network, at)
		switch {
		case err == nil:
			conns = append(conns, conn)
		case first == nil:
			first = listenError(err, "the DHT node", "udp", at, "bind")
		}
	}
	if len(conns) == 0 {
		return nil, first
	}
	return conns, nil
}

// Close ends the node.
func (d *DHTClient) Close() {
	d.cancel()
	d.ran.Wait()
}

// NoNodes returns the error of a search that nodes of the DHT did not answer in time. It returns
// other errors as they are.
func NoNodes(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, dht.ErrNoNodes) {
		return fault.New(fault.NoPeers, "let UDP through the firewall, or name a node with --dht-bootstrap HOST:PORT", "no node of the DHT answered in time")
	}
	return err
}
