package utp

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Options configures a Socket. The zero value is a documented default.
type Options struct {
	// MTU is the size in bytes of the UDP payload with which connections begin; 0 means 1,232,
	// which every IPv6 network carries. Connections find out whether larger packets pass.
	MTU int
	// MaxMTU bounds the size in bytes of the UDP payload; 0 means 1,472, or 1,452 over IPv6,
	// which a link of 1,500 bytes carries. It must not exceed 1,500.
	MaxMTU int
	// TargetDelay is the delay that the packets of a connection may add to the queue of the
	// slowest link; 0 means 100 ms (RFC 6817).
	TargetDelay time.Duration
	// ReceiveWindow is the number of bytes that a connection holds for its reader; 0 means 1 MiB.
	// It should be less than what the receive buffer of the UDP socket holds.
	ReceiveWindow int
	// Backlog bounds the connections that wait for Accept; 0 means 128. Packets of further ones
	// are dropped.
	Backlog int
	// MaxConns bounds the connections; 0 means 10,000. Dial returns an error at the bound, and
	// attempts of others to connect are ignored.
	MaxConns int
	// Addr is the address that Socket.Addr and the connections return as the local one.
	Addr netip.AddrPort
	// Log gets a record for rare events that somebody who looks for a fault wants to know; nil
	// means none.
	Log *slog.Logger
}

// Defaults and bounds of Options.
const (
	defaultMTU      = 1232
	minMTU          = 548 // what every IPv4 network carries
	maxMTU4         = 1472
	maxMTU6         = 1452
	defaultTarget   = 100 * time.Millisecond
	defaultWindow   = 1 << 20
	defaultBacklog  = 128
	defaultMaxConns = 10_000
)

// set fills in the defaults and checks the values.
func (o *Options) set() error {
	for _, d := range []struct {
		name           string
		value          *int
		std, low, high int
	}{
		{"MTU", &o.MTU, defaultMTU, minMTU, maxPacket},
		{"MaxMTU", &o.MaxMTU, maxPacket, minMTU, maxPacket},
		{"ReceiveWindow", &o.ReceiveWindow, defaultWindow, 2 * maxPacket, 1 << 30},
		{"Backlog", &o.Backlog, defaultBacklog, 1, 1 << 20},
		{"MaxConns", &o.MaxConns, defaultMaxConns, 1, 1 << 30},
	} {
		if *d.value == 0 {
			*d.value = d.std
		}
		if *d.value < d.low || *d.value > d.high {
			return fmt.Errorf("utp: Options.%s is %d, want %d to %d", d.name, *d.value, d.low, d.high)
		}
	}
	if o.TargetDelay == 0 {
		o.TargetDelay = defaultTarget
	}
	if o.TargetDelay < time.Millisecond {
		return fmt.Errorf("utp: Options.TargetDelay is %v, want at least 1ms", o.TargetDelay)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// largest returns the largest UDP payload for an address.
func (o *Options) largest(a netip.Addr) int {
	if a.Is4() || a.Is4In6() {
		return min(o.MaxMTU, maxMTU4)
	}
	return min(o.MaxMTU, maxMTU6)
}
