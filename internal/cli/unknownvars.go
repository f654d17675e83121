package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// varPrefix begins the names of the environment variables that set flags.
const varPrefix = "SPATE_"

// notSettings are the beginnings of variables that are not settings: those that spate sets for the
// programs that it starts, and those of its tests.
var notSettings = []string{"EVENT_", "TEST_", "E2E", "INNER", "KILLPOINT", "PREVIEW", "FLOOD", "BIN", "SHOTS"}

// varOf returns the name of the variable that sets a flag.
func varOf(flag string) string {
	return varPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// warnUnknownVars warns of variables that look like settings but set no flag of any verb.
func (a *app) warnUnknownVars(root *cobra.Command) {
	var known []string
	var collect func(*cobra.Command)
	collect = func(cmd *cobra.Command) {
		add := func(f *pflag.Flag) { known = append(known, varOf(f.Name)) }
		cmd.Flags().VisitAll(add)
		cmd.PersistentFlags().VisitAll(add)
		for _, sub := range cmd.Commands() {
			collect(sub)
		}
	}
	var unknown []string
	for _, kv := range a.Environ {
		name, _, _ := strings.Cut(kv, "=")
		rest, ours := strings.CutPrefix(name, varPrefix)
		if !ours || slices.ContainsFunc(notSettings, func(p string) bool { return strings.HasPrefix(rest, p) }) {
			continue
		}
		if known == nil {
			collect(root)
		}
		if !slices.Contains(known, name) && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		hint := ""
		if near := nearest(strings.ToLower(name), lowered(known)); near != "" {
			hint = "; did you mean " + strings.ToUpper(near) + "?"
		}
		a.warn(fmt.Sprintf("the variable %s has no effect, because no flag has that name%s", name, hint))
	}
}

func lowered(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	return out
}
