package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"spate"
	"spate/internal/fault"
	"spate/internal/proxy"
	"spate/internal/source"
	"spate/internal/units"
	"spate/torrent"
)

// sizeValue is a flag with a number of bytes.
type sizeValue int64

func (v *sizeValue) Set(s string) error {
	n, err := units.ParseBytes(source.Unquote(s))
	*v = sizeValue(n)
	return err
}
func (v *sizeValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*v), 10)
}
func (v *sizeValue) Type() string { return "SIZE" }

// lengthValue is a sizeValue that is not 0.
type lengthValue struct{ sizeValue }

func (v *lengthValue) Set(s string) error {
	if err := v.sizeValue.Set(s); err != nil || v.sizeValue > 0 {
		return err
	}
	return errors.New("it must not be 0")
}

// rateValue is a flag with a number of bytes a second. 0 means unlimited.
type rateValue int64

func (v *rateValue) Set(s string) error {
	n, err := units.ParseRate(source.Unquote(s))
	*v = rateValue(n)
	return err
}
func (v *rateValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*v), 10)
}
func (v *rateValue) Type() string { return "RATE" }

// upValue is the value of --up. The limit 0 turns off the limit that is learned.
type upValue struct {
	rateValue
	given bool
}

func (v *upValue) Set(s string) error {
	v.given = true
	return v.rateValue.Set(s)
}

// seedWhen is the value of get --seed: how long to seed after a download.
type seedWhen struct {
	forever bool
	ratio   float64       // ratio of uploaded bytes to size; 0: no limit
	time    time.Duration // 0: no limit
}

func (v *seedWhen) none() bool { return *v == seedWhen{} }

func (v *seedWhen) Set(s string) error {
	*v = seedWhen{}
	key, val, _ := strings.Cut(s, "=")
	var err error
	switch {
	case s == "none":
		return nil
	case s == "forever":
		v.forever = true
		return nil
	case key == "ratio":
		if v.ratio, err = strconv.ParseFloat(val, 64); err == nil && v.ratio > 0 && v.ratio < 1e9 {
			return nil
		}
	case key == "time":
		if v.time, err = time.ParseDuration(val); err == nil && v.time > 0 {
			return nil
		}
	}
	*v = seedWhen{}
	return fmt.Errorf("%q is not none, forever, ratio=1.5 or time=2h", s)
}

func (v *seedWhen) String() string {
	switch {
	case v.forever:
		return "forever"
	case v.ratio > 0:
		return "ratio=" + strconv.FormatFloat(v.ratio, 'g', -1, 64)
	case v.time > 0:
		return "time=" + v.time.String()
	}
	return "none"
}
func (v *seedWhen) Type() string { return "WHEN" }

// seedModeValue is a flag with the kind of peers that a seed serves.
type seedModeValue torrent.SeedMode

var seedModes = []string{torrent.SeedRoundRobin: "round-robin", torrent.SeedAntiLeech: "anti-leech"}

func (v *seedModeValue) Set(s string) error {
	i := slices.Index(seedModes, s)
	if i < 0 {
		return fmt.Errorf("%q is not %s", s, strings.Join(seedModes, " or "))
	}
	*v = seedModeValue(i)
	return nil
}
func (v *seedModeValue) String() string { return seedModes[*v] }
func (v *seedModeValue) Type() string   { return "MODE" }

// encryptionValue is a flag with the use of encryption.
type encryptionValue torrent.Encryption

var encryptions = []string{
	torrent.EncryptionAllow: "allow", torrent.EncryptionPrefer: "prefer", torrent.EncryptionRequire: "require", torrent.EncryptionOff: "off",
}

func (v *encryptionValue) Set(s string) error {
	i := slices.Index(encryptions, s)
	if i < 0 {
		return fmt.Errorf("%q is not off, allow, prefer or require", s)
	}
	*v = encryptionValue(i)
	return nil
}
func (v *encryptionValue) String() string { return encryptions[*v] }
func (v *encryptionValue) Type() string   { return "MODE" }

// addrValue is a flag with a local address. The address is invalid if the flag is not given.
type addrValue struct{ netip.Addr }

func (v *addrValue) Set(s string) error {
	a, err := netip.ParseAddr(source.Unquote(s))
	if err != nil {
		return fmt.Errorf("%q is not an IP address", s)
	}
	v.Addr = a
	return nil
}
func (v *addrValue) String() string {
	if !v.IsValid() {
		return ""
	}
	return v.Addr.String()
}
func (v *addrValue) Type() string { return "IP" }

// bindFlag adds --bind.
func bindFlag(f *pflag.FlagSet, v *addrValue) {
	f.Var(v, "bind", "connect from and listen on this local address")
}

// peersValue is a repeatable flag with addresses of peers. Names of hosts are looked up when all flags are
// known, because a proxy can forbid it.
type peersValue struct {
	addrs []netip.AddrPort
	names []string // HOST:PORT, until they are looked up
}

func (v *peersValue) add(s string) error {
	s = source.Unquote(s)
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Port() != 0 {
		if a := ap.Addr(); a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "" {
			return fmt.Errorf("%s is a different host on each network: name the interface, such as [%s%%eth0]:%d", s, a, ap.Port())
		}
		v.addrs = append(v.addrs, spate.CanonicalAddr(ap))
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || host == "" || strings.ContainsAny(host, ":%") {
		return fmt.Errorf("%q is not an IP:PORT or HOST:PORT, such as 192.0.2.1:6881 or [2001:db8::1]:6881", s)
	}
	v.names = append(v.names, s)
	return nil
}

// lookUp replaces the names of hosts by their addresses. It looks up none if all connections go through a
// proxy, because connections to peers need addresses and this machine must not ask for them.
func (v *peersValue) lookUp(ctx context.Context, out *proxy.Outgoing) error {
	for _, s := range v.names {
		if out.Only() != nil {
			return fault.UsageHint("give the address of the peer, as IP:PORT", "--peer %s: no names are looked up while all connections go through a proxy", s)
		}
		host, port, _ := net.SplitHostPort(s)
		n, _ := strconv.ParseUint(port, 10, 16)
		ctx, cancel := context.WithTimeout(ctx, lookupLimit)
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		cancel()
		if err != nil {
			return fault.Usagef("--peer %s: no address of this host was found", s)
		}
		for _, a := range addrs[:min(len(addrs), maxHostAddrs)] {
			v.addrs = append(v.addrs, netip.AddrPortFrom(a.Unmap(), uint16(n)))
		}
	}
	v.names = nil
	return nil
}

// Limits of the lookup of a host in --peer.
const (
	lookupLimit  = 10 * time.Second
	maxHostAddrs = 8
)

func (v *peersValue) Set(s string) error { return v.add(s) }
func (v *peersValue) String() string     { return strings.Join(v.GetSlice(), ",") }
func (v *peersValue) Type() string       { return "ADDR" }

// Append adds a value. Append, Replace and GetSlice implement [pflag.SliceValue], so that
// settings can have a list.
func (v *peersValue) Append(s string) error { return v.add(s) }
func (v *peersValue) Replace(all []string) error {
	*v = peersValue{}
	for _, s := range all {
		if err := v.add(s); err != nil {
			return err
		}
	}
	return nil
}
func (v *peersValue) GetSlice() []string {
	out := []string{}
	for _, ap := range v.addrs {
		out = append(out, ap.String())
	}
	return append(out, v.names...)
}

// transportValue is a flag with the transports for connections to peers.
type transportValue uint8

const (
	bothTransports transportValue = iota
	onlyTCP
	onlyUTP
)

// transportNames lists the values of a transportValue in order.
var transportNames = []string{"both", "tcp", "utp"}

func (v *transportValue) Set(s string) error {
	i := slices.Index(transportNames, s)
	if i < 0 {
		return fmt.Errorf("%q is none of %s", s, strings.Join(transportNames, ", "))
	}
	*v = transportValue(i)
	return nil
}

func (v *transportValue) String() string { return transportNames[*v] }
func (v *transportValue) Type() string   { return "NAME" }
