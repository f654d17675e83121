package cli

import (
	"errors"
	"slices"
	"strings"

	"spate/internal/fault"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// An empty value usually comes from a script with an unset variable. If it meant "none", create
// would pack the working directory, publish would not sign, and get would trust everybody.
// Therefore it is an error for every argument, flag and setting except those that [takesEmpty]
// marks. docs/reference/settings.md describes the rules.

// Errors of [checkValue].
var (
	errEmpty  = errors.New("the value is empty")
	errBlanks = errors.New("the value has only blanks")
)

const valueHint = "give it a value, or leave it out"

// emptyValue is the annotation of flags that accept an empty value.
const emptyValue = "spate-empty"

// takesEmpty marks flags that accept an empty value. Their help says what it means.
func takesEmpty(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := f.SetAnnotation(name, emptyValue, nil); err != nil {
			panic(err) // the flag does not exist
		}
	}
}

// checkValue returns an error if value is empty or has only blanks, unless f accepts an empty
// value. Flags with numbers and other parsed values check themselves.
func checkValue(f *pflag.Flag, value string) error {
	_, mayBeEmpty := f.Annotations[emptyValue]
	switch {
	case !blank(value), value == "" && mayBeEmpty:
		return nil
	case value == "":
		return errEmpty
	}
	return errBlanks
}

// blank reports whether s is empty or has only blanks.
func blank(s string) bool { return strings.TrimSpace(s) == "" }

// checkEmpty returns an error if an argument or a flag on the command line of cmd is empty
// or has only blanks.
func checkEmpty(cmd *cobra.Command, args []string) error {
	switch cmd.Name() {
	case cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return nil // the shell requests a completion of an empty word
	}
	for i, arg := range args {
		if blank(arg) {
			return fault.UsageHint("usage: "+strings.TrimSuffix(cmd.UseLine(), " [flags]"), "%s: argument %d (%q) is empty", cmd.CommandPath(), i+1, arg)
		}
	}
	var bad error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, v := range textsOf(f) {
			if err := checkValue(f, v); err != nil && bad == nil {
				bad = fault.UsageHint(valueHint, "--%s: %w", f.Name, err)
			}
		}
	})
	return bad
}

// textsOf returns the values of a flag with text values, as the user gave them. It returns nil
// for other flags, which check their values themselves.
func textsOf(f *pflag.Flag) []string {
	switch f.Value.Type() {
	case "string":
		return []string{f.Value.String()}
	case "stringArray":
		return f.Value.(pflag.SliceValue).GetSlice()
	}
	return nil
}

// guards lists the flags that restrict what spate trusts, reads, publishes or listens on. An
// empty variable for one of them is an error, because a user who sets the variable wants the
// restriction. For all other flags an empty variable counts as unset.
var guards = []string{
	"sign", "verify-key", "tls-cert", "tls-key", "domain", "acme-ca", "acme-ca-roots",
	"allowed-dir", "allow-list", "deny-list", "allow-net", "deny-net", "nets", "tokens", "ws-origin",
	"files-from", "include", "exclude", "select", "private",
	"bind", "listen", "udp", "proxy",
}

// checkVariable returns an error if the variable for f is empty and f is one of [guards].
func checkVariable(f *pflag.Flag, name string) error {
	if !slices.Contains(guards, f.Name) {
		return nil
	}
	return fault.UsageHint("give it a value, or unset it", "variable %s is empty", name)
}
