package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/api"
	"spate/internal/fault"
	"spate/internal/proxy"
)

// proxyValue is the flag --proxy. A value with a scheme is the URL of the proxy through which all connections of the
// process go out. Any other value is a network of proxies before the server of the process, whose word
// about the addresses of clients counts. The values are checked after all are known, so that no error of
// package pflag shows a password.
type proxyValue struct {
	out  []string // URLs of proxies for outgoing connections; more than one are an error
	nets []string
	// typed says that the command line has the URL of a proxy.
	typed bool
}

func (v *proxyValue) Set(s string) error { return v.Append(s) }
func (v *proxyValue) Type() string       { return "stringArray" }

// String returns the values without user names and passwords.
func (v *proxyValue) String() string { return strings.Join(v.GetSlice(), ",") }

// Append implements pflag.SliceValue.
func (v *proxyValue) Append(s string) error {
	if proxy.Is(s) {
		v.out = append(v.out, s)
	} else {
		v.nets = append(v.nets, s)
	}
	return nil
}

// Replace implements pflag.SliceValue.
func (v *proxyValue) Replace(all []string) error {
	v.out, v.nets = nil, nil
	for _, s := range all {
		v.Append(s)
	}
	return nil
}

// GetSlice implements pflag.SliceValue. It leaves out user names and passwords.
func (v *proxyValue) GetSlice() []string {
	all := slices.Clone(v.nets)
	for _, s := range v.out {
		if u, err := proxy.Parse(s); err == nil {
			all = append(all, proxy.Show(u))
		}
	}
	return all
}

// lacking returns the part of a variable or a setting of a kind that v does not have yet, so that a network on the
// command line does not turn off the outgoing proxy of the settings.
func (v *proxyValue) lacking(value any) (any, bool) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var rest []any
	for _, one := range list {
		s, text := one.(string)
		if !text || proxy.Is(s) && len(v.out) == 0 || !proxy.Is(s) && len(v.nets) == 0 {
			rest = append(rest, one)
		}
	}
	return rest, len(rest) > 0
}

// proxySecret reports whether a setting contains the password of a proxy.
func proxySecret(v any) bool {
	switch v := v.(type) {
	case string:
		return proxy.Is(v) && strings.Contains(v, "@")
	case []any:
		return slices.ContainsFunc(v, proxySecret)
	}
	return false
}

const (
	outgoingUsage = "connect only through the proxy `URL`: socks5://HOST:PORT or http://"
	bothUsage     = "connect through `URL`, or trust client addresses from NET"
)

// addProxyFlags adds --proxy to every verb that connects to other machines, which are those with --bind.
func (a *app) addProxyFlags(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		a.addProxyFlags(sub)
	}
	if f := cmd.Flags(); f.Lookup("bind") != nil {
		usage := outgoingUsage
		if serves(f) {
			usage = bothUsage
		}
		a.proxyFlag(f, usage)
	}
}

// serves reports whether a verb with these flags has a server that can be behind proxies.
func serves(f *pflag.FlagSet) bool { return f.Lookup("proxy-protocol") != nil }

// proxyFlag adds --proxy.
func (a *app) proxyFlag(f *pflag.FlagSet, usage string) {
	f.Var(&a.proxy, "proxy", usage)
}

// chooseProxy sets the proxies of all outgoing connections: that of --proxy, or else those that the variables
// http_proxy, https_proxy and all_proxy name for web servers. cmd is nil for a tool of 2005.
func (a *app) chooseProxy(cmd *cobra.Command, args []string) error {
	v := &a.proxy
	if len(v.nets) > 0 && cmd != nil && !serves(cmd.Flags()) && slices.Contains(a.given, "proxy") {
		return fault.UsageHint("write a URL: --proxy socks5://HOST:PORT", "--proxy %s: this verb has no server that could be behind a proxy", withoutLogin(v.nets[0]))
	}
	for i, s := range v.nets {
		if strings.Contains(s, "@") { // a URL without its scheme
			return fault.UsageHint("write socks5:// or http:// before it", "--proxy %s is neither a network nor the URL of a proxy", withoutLogin(v.nets[i]))
		}
	}
	switch len(v.out) {
	case 0:
		if a.out = proxy.Environment(a.Getenv); a.out != nil && cmd != nil {
			a.noteProxy(cmd, args)
		}
		return nil
	case 1:
	default:
		return fault.Usagef("--proxy: only one proxy can carry the connections, and %d are given", len(v.out))
	}
	via, err := proxy.Parse(v.out[0])
	if err != nil {
		return fault.UsageHint("write socks5://HOST:PORT, or socks5://NAME:PASSWORD@HOST:PORT", "--proxy: %w", err)
	}
	a.out = proxy.All(via)
	if hasPassword(via) && v.typed {
		a.warn("other users of this machine can see the password in --proxy in the list of processes: the variable SPATE_PROXY or the settings file keeps it from them")
	}
	return nil
}

func hasPassword(u *url.URL) bool {
	_, ok := u.User.Password()
	return ok
}

// withoutLogin returns the part of a value of --proxy that may be shown.
func withoutLogin(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = "..." + s[i:]
	}
	return fmt.Sprintf("%.60s", s)
}

// lookUpPeers looks up the names of hosts in --peer, if the flag is among flags.
func (a *app) lookUpPeers(ctx context.Context, flags *pflag.FlagSet) error {
	if f := flags.Lookup("peer"); f != nil {
		if v, ok := f.Value.(*peersValue); ok {
			return v.lookUp(ctx, a.out)
		}
	}
	return nil
}

// on returns " on ADDR" for the address at which peers connect, or "" if the process does not listen.
func on(addr string) string {
	if addr == "" {
		return ""
	}
	return " on " + addr
}

// peersOn returns ", peers on ADDR", or "" if the process does not listen.
func peersOn(addr string) string {
	if addr == "" {
		return ""
	}
	return ", peers" + on(addr)
}

// listens describes the addresses of a daemon.
func listens(s *api.Status) string {
	if s.PeerAddr == "" {
		return s.HTTPAddr + ", not for peers"
	}
	return s.HTTPAddr + ", peers " + s.PeerAddr
}
