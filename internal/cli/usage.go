package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// groups returns the headings under which help lists the verbs.
func groups() []*cobra.Group {
	return []*cobra.Group{
		{ID: "main", Title: "Publish and fetch"},
		{ID: "serve", Title: "The daemon, spate serve"},
		{ID: "torrent", Title: "Torrents"},
		{ID: "tracker", Title: "Trackers and the DHT"},
		{ID: "", Title: "Other"},
	}
}

// groupOf returns the group of a verb.
func groupOf(verb string) string {
	switch verb {
	case "publish", "get", "open", "seed", "serve", "top", "doctor":
		return "main"
	case "add", "list", "status", "pause", "resume", "remove", "withdraw", "set", "move", "recheck", "reannounce", "schedule", "feed", "import":
		return "serve"
	case "create", "show", "verify", "edit", "magnet":
		return "torrent"
	case "tracker", "announce", "scrape", "dht":
		return "tracker"
	}
	return ""
}

// usage writes the part of a verb's help that follows its description.
func (a *app) usage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s\n", cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		a.listVerbs(&b, cmd)
	}
	if cmd.HasParent() {
		flagTables(&b, cmd.Name(), cmd.LocalFlags())
		flagTable(&b, "Flags of every verb", cmd.InheritedFlags())
	} else {
		flagTable(&b, "Flags of every verb", cmd.LocalFlags())
		b.WriteString(`
spate VERB --help tells more. Flags can also come from variables (SPATE_UP=2M)
and from ~/.config/spate/spate.toml (up = "2M", or below [get] for one verb).
An empty value is an error. An empty variable counts as unset, except for flags
without which spate would trust or publish more: for these it is an error too.
`)
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// listVerbs lists the verbs by group, in the order of [app.verbs].
func (a *app) listVerbs(b *strings.Builder, cmd *cobra.Command) {
	if cmd.HasParent() {
		listCommands(b, cmd)
		return
	}
	verbs := a.verbs()
	for _, g := range groups() {
		title := g.Title
		for _, v := range verbs {
			if !v.IsAvailableCommand() || groupOf(v.Name()) != g.ID {
				continue
			}
			if title != "" {
				fmt.Fprintf(b, "\n%s:\n", title)
				title = ""
			}
			fmt.Fprintf(b, "  %-10s %s\n", v.Name(), v.Short)
		}
	}
}

// listCommands lists the verbs below a verb.
func listCommands(b *strings.Builder, cmd *cobra.Command) {
	width := 0
	for _, c := range cmd.Commands() {
		width = max(width, len(c.Name()))
	}
	b.WriteString("\nCommands:\n")
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(b, "  %-*s  %s\n", width, c.Name(), c.Short)
		}
	}
}

// flagTable lists flags in the order in which they were added.
func flagTable(b *strings.Builder, title string, flags *pflag.FlagSet) {
	type row struct{ left, right string }
	var rows []row
	width := 0
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		left := "    "
		if f.Shorthand != "" {
			left = "-" + f.Shorthand + ", "
		}
		left += "--" + f.Name
		name, text := pflag.UnquoteUsage(f)
		if n, ok := map[string]string{"string": "TEXT", "strings": "TEXT", "stringArray": "TEXT", "int": "N", "int64": "N", "uint16": "N", "duration": "TIME", "count": ""}[name]; ok {
			name = n
		}
		if name != "" {
			left += " " + name
		}
		switch f.DefValue {
		case "", "0", "0s", "false", "[]", "none":
		default:
			text += " (default " + f.DefValue + ")"
		}
		width = max(width, len(left))
		rows = append(rows, row{left, text})
	})
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, r := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", width, r.left, r.right)
	}
}
