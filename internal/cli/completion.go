package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/termsafe"
)

// flagValues holds the values that a shell completes after a flag.
var flagValues = map[string][]string{
	"format": {"v1", "v2", "hybrid"}, "seed": {"none", "forever", "ratio=", "time="}, "seed-mode": {"round-robin", "anti-leech"},
	"encryption": {"off", "allow", "prefer", "require"}, "transport": {"tcp", "utp", "both"}, "log-privacy": {"network", "full", "none"},
	"udp": {"off"}, "redirect": {"off"}, "web-seed": {"self"}, "piece-length": {"256KiB", "1MiB", "4MiB", "16MiB"},
}

// extensions holds the extensions of the files that a shell completes as arguments of a verb.
var extensions = map[string][]string{
	"get": {"torrent", "meta4", "magnet"}, "add": {"torrent", "meta4", "magnet"}, "show": {"torrent", "magnet"}, "verify": {"torrent"}, "edit": {"torrent"}, "magnet": {"torrent"}, "seed": {"torrent"},
	"announce": {"torrent"}, "scrape": {"torrent"},
}

// completions makes shells complete the values of flags and the arguments of verbs.
func (a *app) completions(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		values, known := flagValues[f.Name]
		kind, _ := pflag.UnquoteUsage(f)
		switch {
		case known:
			_ = cmd.RegisterFlagCompletionFunc(f.Name, func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
				return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return !strings.HasPrefix(v, word) }), cobra.ShellCompDirectiveNoFileComp
			})
		case kind == "DIR":
			_ = cmd.MarkFlagDirname(f.Name)
		case kind != "FILE" && kind != "KEY" && f.Name != "output":
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
		}
	})
	switch name := cmd.Name(); {
	case extensions[name] != nil:
		cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if name == "verify" && len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return extensions[name], cobra.ShellCompDirectiveFilterFileExt
		}
	case groupOf(name) == "serve" && name != "list" && name != "add":
		cmd.ValidArgsFunction = a.completeReleases
	case name == "list" || name == "top" || name == "version" || name == "tracker" || name == "serve":
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range cmd.Commands() {
		a.completions(sub)
	}
}

// completeTime bounds the time that a completion waits for the daemon.
const completeTime = time.Second

// onlyTorrents are the verbs whose arguments are never releases.
var onlyTorrents = map[string]bool{"remove": true, "set": true, "move": true, "recheck": true, "reannounce": true}

// completeReleases returns the names of the releases and added torrents of the daemon that begin with
// a word.
func (a *app) completeReleases(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp
	if (cmd.Name() == "status" || cmd.Name() == "move") && len(args) > 0 {
		return nil, nothing
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	state, _ := cmd.Flags().GetString("state")
	if state == "" {
		state = a.Getenv(varOf("state"))
	}
	states := a.daemonStates(state)
	c := api.New(states[0], states[1:]...)
	var names []string
	if cmd.Name() != "withdraw" {
		list, err := c.Torrents(ctx, daemon.TorrentList{Limit: topReleases})
		if err != nil {
			return nil, nothing
		}
		for _, t := range list.Torrents {
			names = append(names, t.Name)
		}
	}
	if !onlyTorrents[cmd.Name()] {
		list, err := c.Releases(ctx, api.List{Limit: topReleases})
		if err != nil {
			return nil, nothing
		}
		for _, r := range list.Releases {
			names = append(names, r.Ref)
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, word) || termsafe.Line(n) != n }), nothing
}
