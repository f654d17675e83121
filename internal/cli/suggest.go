package cli

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/term"
)

// otherWords maps words that other programs use for a verb or a flag to those of spate.
var otherWords = map[string]string{
	"download": "get", "fetch": "get", "add": "publish", "share": "publish", "make": "create", "info": "show", "inspect": "show",
	"check": "verify", "rm": "remove", "delete": "remove", "unpublish": "withdraw", "ls": "list", "daemon": "serve", "watch": "top",
	"diagnose": "doctor", "out": "output", "dir": "output", "upload": "up", "download-limit": "down", "port": "peer-port", "trackers": "announce", "tracker": "announce",
}

// noVerb returns the error that there is no verb name below cmd.
func noVerb(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := cmd.CommandPath() + " --help lists the verbs"
	if verb := verbFor(name); verb != "" && !cmd.HasParent() {
		hint = fmt.Sprintf("did you mean spate %s %s?", verb, term.ShellWord(name))
	} else if near := nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %s %s?", cmd.CommandPath(), near)
	}
	return fault.UsageHint(hint, "there is no verb %q", strings.TrimPrefix(cmd.CommandPath()+" "+name, "spate "))
}

// verbFor returns the verb that is meant by a file, a directory or a link without a verb, or "".
func verbFor(arg string) string {
	if strings.HasPrefix(arg, "magnet:") || strings.Contains(arg, "://") || strings.HasSuffix(strings.ToLower(arg), ".torrent") {
		return "get"
	}
	if _, err := os.Stat(arg); err == nil {
		return "publish"
	}
	return ""
}

// nearFlag returns the flag of cmd that is meant by a name that none has, or "".
func nearFlag(cmd *cobra.Command, name string) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return nearest(name, names)
}

// nearest returns the one of names that is meant by word, or "". word can also be one of
// [otherWords]. nearest allows one typing error for each three letters.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	if other := otherWords[word]; slices.Contains(names, other) {
		return other
	}
	best, least := "", len(word)/3+1
	closer := func(meant string, d int) {
		if d < least {
			best, least = meant, d
		}
	}
	for _, n := range names {
		d := distance(word, n)
		if len(word) >= 3 && strings.HasPrefix(n, word) {
			d = min(d, 1)
		}
		closer(n, d)
	}
	for _, other := range slices.Sorted(maps.Keys(otherWords)) {
		if meant := otherWords[other]; slices.Contains(names, meant) {
			closer(meant, distance(word, other))
		}
	}
	return best
}

// maxWord bounds the words that distance compares, in bytes.
const maxWord = 64

// distance returns the number of letters that have to be inserted, removed, replaced or exchanged
// with their neighbour to change a into b (Damerau-Levenshtein).
func distance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return maxWord
	}
	older, old := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(old[j]+cost, old[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, old = old, row
	}
	return old[len(b)]
}

// refuseHelpOfUnknownVerb makes "spate nonsense --help" an error instead of the general help.
func (a *app) refuseHelpOfUnknownVerb(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd.HasAvailableSubCommands() {
			if rest := cmd.Flags().Args(); len(rest) > 0 {
				a.helpErr = noVerb(cmd, rest[0])
				return
			}
		}
		help(cmd, args)
	})
}
