package cli

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"
)

// addrValue is a flag with one local address; not valid when it was not given.
type addrValue struct{ netip.Addr }

func (v *addrValue) Set(s string) error {
	a, err := netip.ParseAddr(s)
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

// peersValue is a repeatable flag with addresses of peers.
type peersValue []netip.AddrPort

func (v *peersValue) add(s string) error {
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return fmt.Errorf("%q is not an IP:PORT, such as 192.0.2.1:6881 or [2001:db8::1]:6881", s)
	}
	*v = append(*v, ap)
	return nil
}

func (v *peersValue) Set(s string) error { return v.add(s) }
func (v *peersValue) String() string     { return strings.Join(v.GetSlice(), ",") }
func (v *peersValue) Type() string       { return "ADDR" }

// Append, Replace and GetSlice make it a pflag.SliceValue: a list for settings.
func (v *peersValue) Append(s string) error { return v.add(s) }
func (v *peersValue) Replace(all []string) error {
	*v = nil
	for _, s := range all {
		if err := v.add(s); err != nil {
			return err
		}
	}
	return nil
}
func (v *peersValue) GetSlice() []string {
	out := []string{}
	for _, ap := range *v {
		out = append(out, ap.String())
	}
	return out
}
