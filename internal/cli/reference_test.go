package cli

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite docs/reference/verbs.md")

const referencePage = "../../docs/reference/verbs.md"

// TestReference checks that docs/reference/verbs.md is the one that the verbs make.
func TestReference(t *testing.T) {
	want := reference()
	if *update {
		if err := os.WriteFile(referencePage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from the verbs: run go test ./internal/cli -run TestReference -update", referencePage)
	}
}

// reference returns the page that lists all verbs with their flags.
func reference() []byte {
	root := Command()
	var b strings.Builder
	b.WriteString(`# Verbs and flags

**For:** people who use ` + "`spate`" + ` in a terminal or a script. **Task:** look up a verb or a flag.

<!-- written by: go test ./internal/cli -run TestReference -update -->

` + "`spate VERB --help`" + ` prints the same texts. [Exit codes](exit-codes.md) and [settings](settings.md) have pages of their own.
`)
	for _, g := range groups() {
		fmt.Fprintf(&b, "\n## %s\n", g.Title)
		for _, cmd := range newApp(Env{}).verbs() {
			if groupOf(cmd.Name()) == g.ID && cmd.IsAvailableCommand() {
				found, _, err := root.Find([]string{cmd.Name()})
				if err == nil {
					referenceOf(&b, found)
				}
			}
		}
	}
	b.WriteString("\n## Flags of every verb\n\n```text\n")
	var flags strings.Builder
	flagTable(&flags, "", root.PersistentFlags())
	b.WriteString(strings.TrimPrefix(flags.String(), "\n:\n") + "```\n")
	return []byte(b.String())
}

// referenceOf writes the part of a verb and of the verbs below it.
func referenceOf(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n### %s\n\n", cmd.CommandPath())
	about := cmd.Long
	if about == "" {
		about = strings.ToUpper(cmd.Short[:1]) + cmd.Short[1:] + "."
	}
	fmt.Fprintf(b, "```text\n%s\n\nUsage: %s\n", strings.TrimSpace(about), cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(b, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	flagTables(b, cmd.Name(), cmd.NonInheritedFlags())
	b.WriteString("```\n")
	if cmd.Name() == "bt" {
		b.WriteString("\n[The tools of 2005](../legacy.md) lists their options.\n")
		return
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			referenceOf(b, sub)
		}
	}
}

// TestDocumentsNameRealFlags checks that each command line of spate in the documents names a
// verb that exists, and only flags that this verb has.
func TestDocumentsNameRealFlags(t *testing.T) {
	t.Parallel()
	root := Command()
	// A command line is inside backquotes, or a line of a block of code that may begin with a prompt.
	line := regexp.MustCompile("(?m)(?:`|^ *(?:\\$ |# )?|; do |\\| |&& |sudo |=\\S* )(?:\\./)?spate ([a-z][^`\n|;#]*)")
	seen := 0
	for name, text := range documents(t) {
		if name == "CHANGELOG.md" {
			continue
		}
		for _, m := range line.FindAllStringSubmatch(text, -1) {
			args := strings.Fields(m[1])
			cmd, rest, err := root.Find(args)
			if err != nil || cmd == root {
				// Prose such as "spate finds the router" begins a line too.
				if strings.HasPrefix(m[0], "`") || strings.HasPrefix(m[0], "$") {
					t.Errorf("%s: %q: no such verb", name, strings.TrimSpace(m[0]))
				}
				continue
			}
			seen++
			for _, a := range rest {
				flag, ok := strings.CutPrefix(strings.TrimRight(a, ".,:)"), "--")
				flag, _, _ = strings.Cut(flag, "=")
				if ok && flag != "" && !strings.HasPrefix(cmd.CommandPath(), "spate bt") && lookupFlag(cmd, flag) == nil {
					t.Errorf("%s: %q: %s has no flag --%s", name, strings.TrimSpace(m[0]), cmd.CommandPath(), flag)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("found only %d command lines", seen)
	}
}

// lookupFlag returns the flag of a verb, or nil.
func lookupFlag(cmd *cobra.Command, name string) *pflag.Flag {
	cmd.InitDefaultHelpFlag()
	if f := cmd.Flags().Lookup(name); f != nil {
		return f
	}
	return cmd.InheritedFlags().Lookup(name)
}

// documents returns the Markdown documents of the repository by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	top := os.DirFS("../..")
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		names, err := fs.Glob(top, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := fs.ReadFile(top, name)
			if err != nil {
				t.Fatal(err)
			}
			found[name] = string(b)
		}
	}
	return found
}
