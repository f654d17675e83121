package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate"
	"spate/internal/classic"
)

// page is a manual page.
type page struct {
	name string // without the section, such as "spate-get"
	text []byte // roff
}

// roff builds a manual page from man macros.
type roff struct{ b strings.Builder }

// newRoff starts the page of a command of that name.
func newRoff(name, summary string, at time.Time) *roff {
	r := &roff{}
	fmt.Fprintf(&r.b, ".TH %s 1 %s %s \"User Commands\"\n", quoteArg(strings.ToUpper(name)), quoteArg(at.Format("2006-01-02")), quoteArg("spate "+spate.Version))
	r.b.WriteString(".nh\n.ad l\n")
	r.head("NAME")
	r.b.WriteString(quote(name) + ` \- ` + quote(summary) + "\n")
	return r
}

// quote escapes text so that roff prints it literally, with ASCII dashes.
func quote(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// quoteArg quotes an argument of a macro.
func quoteArg(s string) string { return `"` + strings.ReplaceAll(quote(s), `"`, `\(dq`) + `"` }

// head starts a section.
func (r *roff) head(title string) { fmt.Fprintf(&r.b, ".SH %s\n", quoteArg(title)) }

// text writes paragraphs. An empty line starts a new paragraph. Lines that start with a
// space are not filled.
func (r *roff) text(s string) {
	literal := false
	for line := range strings.SplitSeq(strings.Trim(s, "\n"), "\n") {
		if indented := strings.HasPrefix(line, " "); indented != literal {
			literal = indented
			r.b.WriteString(map[bool]string{true: ".PP\n.nf\n", false: ".fi\n.PP\n"}[literal])
		}
		if line == "" {
			r.b.WriteString(".PP\n")
			continue
		}
		r.b.WriteString(quote(line) + "\n")
	}
	if literal {
		r.b.WriteString(".fi\n")
	}
}

// entry writes an item of a definition list, such as a flag with its value and meaning.
func (r *roff) entry(term, value, meaning string) {
	r.b.WriteString(".TP\n\\fB" + quote(term) + "\\fR")
	if value != "" {
		r.b.WriteString(" \\fI" + quote(value) + "\\fR")
	}
	r.b.WriteString("\n" + quote(meaning) + "\n")
}

// bytes returns the page.
func (r *roff) bytes() []byte { return []byte(r.b.String()) }

// manPages returns the manual pages of cmd and of all its subcommands.
func manPages(cmd *cobra.Command, at time.Time) []page {
	pages := []page{{manName(cmd), verbPage(cmd, at)}}
	for _, c := range cmd.Commands() {
		// toolPage writes the pages of the subcommands of bt, which are the tools of 2005.
		if c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" && cmd.Name() != "bt" {
			pages = append(pages, manPages(c, at)...)
		}
	}
	return pages
}

// manName returns the name of a command's page, such as "spate-tracker-token".
func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// verbPage returns the page of a command.
func verbPage(cmd *cobra.Command, at time.Time) []byte {
	r := newRoff(manName(cmd), cmd.Short, at)
	r.head("SYNOPSIS")
	r.b.WriteString(".B " + quote(cmd.UseLine()) + "\n")
	if cmd.HasAvailableFlags() {
		r.b.WriteString("[flags]\n")
	}
	if cmd.Long != "" {
		r.head("DESCRIPTION")
		r.text(cmd.Long)
	}
	var see []string
	if cmd.HasAvailableSubCommands() {
		r.head("COMMANDS")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.Name() != "completion" {
				r.entry(c.Name(), "", c.Short)
				if cmd.Name() == "bt" {
					see = append(see, c.Name())
				} else {
					see = append(see, manName(c))
				}
			}
		}
	}
	r.flags("OPTIONS", cmd.LocalFlags())
	r.flags("OPTIONS OF ALL VERBS", cmd.InheritedFlags())
	if cmd.Example != "" {
		r.head("EXAMPLES")
		r.text(cmd.Example)
	}
	r.surroundings()
	if cmd.HasParent() {
		see = append([]string{manName(cmd.Parent())}, see...)
	}
	r.seeAlso(see)
	return r.bytes()
}

// flags writes a section that lists flags in the order of the help text.
func (r *roff) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	r.head(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name, text := pflag.UnquoteUsage(f)
		if n, ok := map[string]string{"string": "TEXT", "strings": "TEXT", "stringArray": "TEXT", "int": "N", "int64": "N", "uint16": "N", "float": "N", "duration": "TIME", "count": ""}[name]; ok {
			name = n
		}
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		switch f.DefValue {
		case "", "0", "0s", "false", "[]", "none":
		default:
			text += " (default " + f.DefValue + ")"
		}
		r.entry(term, name, text)
	})
}

// surroundings writes the sections that are the same on the pages of all commands.
func (r *roff) surroundings() {
	r.head("ENVIRONMENT AND FILES")
	r.text(`An environment variable can set each flag: its name is SPATE_ and the name of the flag in capitals, with _ for - (SPATE_UP=2M). The settings file can set it too: ~/.config/spate/spate.toml, or the FILE of --config (up = "2M", or below [get] for one verb). A flag overrides the variable, and the variable overrides the file. spate never writes the file.

spate keeps its state in the directory of --state, by default $XDG_STATE_HOME/spate or ~/.local/state/spate. NO_COLOR turns colours off.`)
	r.head("EXIT STATUS")
	for _, e := range [][2]string{
		{"0", "success"}, {"1", "another failure"}, {"2", "wrong usage"}, {"3", "not found"}, {"4", "a wrong hash or signature, or a malformed torrent"},
		{"5", "no peers, or a timeout"}, {"6", "network failure"}, {"7", "interrupted; the same command continues"}, {"9", "disk full"}, {"13", "the target exists"},
	} {
		r.entry(e[0], "", e[1])
	}
}

// seeAlso writes the section that refers to other pages.
func (r *roff) seeAlso(names []string) {
	if len(names) == 0 {
		return
	}
	r.head("SEE ALSO")
	for i, n := range names {
		end := ","
		if i == len(names)-1 {
			end = ""
		}
		fmt.Fprintf(&r.b, ".BR %s (1)%s\n", quote(n), end)
	}
}

// toolPage returns the page of one of the tools of 2005.
func toolPage(t *classic.Tool, at time.Time) []byte {
	r := newRoff(t.Name, t.Summary, at)
	r.head("SYNOPSIS")
	for i, a := range t.Args {
		if i > 0 {
			r.b.WriteString(".br\n")
		}
		fmt.Fprintf(&r.b, ".B %s\n%s\n", quote(t.Name), quote(a))
	}
	r.head("DESCRIPTION")
	r.text("This is spate's replacement for a BitTorrent tool of 2005. It accepts the command lines of that time. An option is --name value or --name=value.")
	for _, part := range []struct {
		title string
		works bool
	}{{"OPTIONS", true}, {"OPTIONS WITHOUT EFFECT", false}} {
		head := false
		for _, o := range t.Options {
			if o.Works != part.works {
				continue
			}
			if !head {
				r.head(part.title)
				head = true
			}
			means := o.Means
			if o.Works && o.Default != "" {
				means += " (default " + o.Default + ")"
			}
			r.entry("--"+o.Name, "value", means)
		}
	}
	r.seeAlso([]string{"spate", "spate-bt"})
	return r.bytes()
}
