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

// notSettings are the first words of variables that are not settings: those that spate sets for the
// programs that it starts, and those of its tests.
var notSettings = []string{"EVENT", "TEST", "E2E", "INNER", "KILLPOINT", "PREVIEW", "FLOOD", "BIN", "SHOTS"}

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
		first, _, _ := strings.Cut(rest, "_")
		if !ours || slices.Contains(notSettings, first) || serviceVar(a.Environ, name) {
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
		if near := nearest(settingOf(name), settingsOf(known)); near != "" {
			hint = "; did you mean " + varOf(near) + "?"
		}
		a.warn(fmt.Sprintf("the variable %s has no effect, because no flag has that name%s", name, hint))
	}
}

// settingOf returns the name of a variable without what all variables begin with, in the form of a
// flag, so that only the rest counts for a suggestion.
func settingOf(name string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, varPrefix), "_", "-"))
}

func settingsOf(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = settingOf(n)
	}
	return out
}
