package cli

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"spate/internal/netguard"
	"spate/internal/source"
)

// proxyVariables are the variables that make other programs connect through a proxy. The
// upper-case names count too.
var proxyVariables = []string{"http_proxy", "https_proxy", "all_proxy"}

// proxyVerbs are the verbs that always connect to other machines. Other verbs with --bind
// connect only if an argument is a URL or a magnet link.
var proxyVerbs = []string{"get", "publish", "seed", "serve"}

// noteProxy prints a note if a variable asks for a proxy and cmd connects to other machines,
// because spate uses no proxies.
func (a *app) noteProxy(cmd *cobra.Command, args []string) {
	bind := cmd.Flags().Lookup("bind")
	if bind == nil || cmd.Name() == "tracker" || a.Getenv("no_proxy") == "*" || a.Getenv("NO_PROXY") == "*" {
		return
	}
	if addr, err := netip.ParseAddr(bind.Value.String()); err == nil && addr.IsLoopback() {
		return
	}
	if !slices.Contains(proxyVerbs, cmd.Name()) && !slices.ContainsFunc(args, leadsAway) {
		return
	}
	var set []string
	for _, name := range proxyVariables {
		for _, v := range []string{name, strings.ToUpper(name)} {
			if strings.TrimSpace(a.Getenv(v)) != "" {
				set = append(set, v)
				break
			}
		}
	}
	switch len(set) {
	case 0:
	case 1:
		a.Notef("%s is set, but spate connects directly", set[0])
	default:
		a.Notef("%s are set, but spate connects directly", strings.Join(set, " and "))
	}
}

// leadsAway reports whether an argument is a magnet link, or a URL of another machine.
func leadsAway(arg string) bool {
	u, err := url.Parse(source.Unquote(arg))
	if err != nil || u.Scheme == "magnet" {
		return err == nil
	}
	return u.Host != "" && !netguard.LocalHost(u.Hostname())
}
