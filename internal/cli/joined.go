package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"spate/internal/api"
	"spate/internal/units"
)

// warnWithoutEffect warns of the flags of publish that have no effect because a running process
// publishes the paths, which has its own settings. Only flags of the command line count, because
// settings are usually meant for that process too.
func (a *app) warnWithoutEffect(opt *publishOptions, running api.Status) {
	process := fmt.Sprintf("the running spate %s (process %d)", verbOf(running), running.PID)
	var names []string
	for _, name := range a.given {
		switch {
		case !ofProcess(name):
		case name == "public-url":
			if strings.TrimRight(opt.publicURL, "/") != strings.TrimRight(running.PublicURL, "/") {
				a.warn(fmt.Sprintf("--public-url has no effect: %s publishes at %s", process, running.PublicURL))
			}
		default:
			names = append(names, "--"+name)
		}
	}
	if n := len(names); n > 0 {
		all := strings.Join(names, ", ")
		if n > 1 {
			all = strings.Join(names[:n-1], ", ") + " and " + names[n-1]
		}
		a.warn(fmt.Sprintf("%s %s no effect: %s has its own settings", all, units.Agree(n, "has", "have"), process))
	}
}

// ofProcess reports whether a flag of publish is a setting of the process that publishes, and not
// of the release or of this command.
func ofProcess(flag string) bool {
	settings := pflag.NewFlagSet("", pflag.ContinueOnError)
	var tracker trackerFlags
	var session sessionFlags
	var secure tlsFlags
	var pages siteFlags
	tracker.add(settings)
	session.add(settings)
	secure.add(settings)
	pages.add(settings, "")
	new(publishOptions).addTracker(settings)
	return settings.Lookup(flag) != nil && flag != "state" || flag == "proxy"
}
