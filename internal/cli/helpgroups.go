package cli

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// fewFlags is the number of flags up to which help lists them without groups.
const fewFlags = 14

// firstFlags holds the flags of a verb that most people need, in the order in which help lists them.
var firstFlags = map[string]string{
	"publish": "public-url up release release-version variant notes listen domain sign state",
	"serve":   "watch public-url up listen domain title sign older-versions api state",
	"get":     "output select seed up down timeout force verify-key sequential daemon tui",
	"seed":    "data up down peer peer-port seed-mode force state",
	"create":  "output announce format piece-length web-seed private comment name exclude each",
	"edit":    "output announce web-seed comment name private",
	"tracker": "listen udp public-url allowed-dir log interval state",
}

// flagGroups holds the groups of the other flags, by name.
var flagGroups = []struct{ title, names string }{
	{"The torrent", "announce format piece-length web-seed private comment source name created-by no-date include exclude hidden collection similar update-url"},
	{"The page", "version-pattern release release-version variant group notes title theme follow-links host http-up no-v1-twin"},
	{"Peers", "up down seed-mode encryption peer peer-port bind no-pex no-lsd lsd-group transport no-utp no-peer-http no-portmap gateway no-dht dht-bootstrap ip-filter"},
	{"Tracker and web server", "listen udp public-url no-guess log log-privacy interval announce-budget access-log proxy proxy-protocol public-metrics tracker-dht reuse-port api api-group transmission-rpc"},
	{"HTTPS", "tls-cert tls-key domain https https-listen redirect acme-email acme-ca acme-ca-roots"},
}

// flagTables lists the flags of a verb: those that most people need first, and the others by group.
func flagTables(b *strings.Builder, verb string, flags *pflag.FlagSet) {
	n := 0
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			n++
		}
	})
	first, ok := firstFlags[verb]
	if !ok || n <= fewFlags {
		flagTable(b, "Flags", flags)
		return
	}
	var listed []string
	table := func(title string, names []string) {
		some := pflag.NewFlagSet("", pflag.ContinueOnError)
		some.SortFlags = false
		for _, name := range names {
			if f := flags.Lookup(name); f != nil && !slices.Contains(listed, name) {
				some.AddFlag(f)
				listed = append(listed, name)
			}
		}
		flagTable(b, title, some)
	}
	table("Most used flags", strings.Fields(first))
	for _, g := range flagGroups {
		table(g.title, strings.Fields(g.names))
	}
	var others []string
	flags.VisitAll(func(f *pflag.Flag) { others = append(others, f.Name) })
	table("Others", others)
}
