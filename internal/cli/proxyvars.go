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

// proxyVariables are the variables that name proxies for web servers. The upper-case names count
// too.
var proxyVariables = []string{"http_proxy", "https_proxy", "all_proxy"}

// proxyVerbs are the verbs that connect to peers. Other verbs with --bind connect only if an argument
// is a URL or a magnet link.
var proxyVerbs = []string{"get", "publish", "seed", "serve"}

// noteProxy prints a note if a variable names a proxy and cmd makes connections that do not go through it: those to
// peers and to UDP trackers, and those of the DHT.
func (a *app) noteProxy(cmd *cobra.Command, args []string) {
	bind := cmd.Flags().Lookup("bind")
	if bind == nil || cmd.Name() == "tracker" {
		return
	}
	if addr, err := netip.ParseAddr(bind.Value.String()); err == nil && addr.IsLoopback() {
		return
	}
	if !slices.Contains(proxyVerbs, cmd.Name()) && !slices.ContainsFunc(args, leadsPast) {
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
	is := "is"
	if len(set) > 1 {
		is = "are"
	}
	a.Notef("%s %s used for web servers; peers, UDP trackers and the DHT are reached directly, unless --proxy is given", strings.Join(set, " and "), is)
}

// leadsPast reports whether an argument is a magnet link or the URL of a UDP tracker on another machine.
func leadsPast(arg string) bool {
	u, err := url.Parse(source.Unquote(arg))
	return err == nil && (u.Scheme == "magnet" || u.Scheme == "udp" && !netguard.LocalHost(u.Hostname()))
}
