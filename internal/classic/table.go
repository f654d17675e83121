package classic

import (
	"fmt"
	"strings"
)

// Markdown returns the tables of all options, for docs/legacy.md.
func Markdown() string {
	var b strings.Builder
	seen := map[string]string{} // a list of options to the first tool with this list
	for _, t := range Tools() {
		fmt.Fprintf(&b, "### %s\n\n%s.\n\n", t.Name, strings.ToUpper(t.Summary[:1])+t.Summary[1:])
		for _, a := range t.Args {
			b.WriteString(strings.TrimRight("    "+t.Name+" "+a, " ") + "\n")
		}
		b.WriteString("\n")
		if len(t.Options) == 0 {
			continue
		}
		options := t.Options
		key := fmt.Sprint(options)
		if same, ok := seen[key]; ok {
			fmt.Fprintf(&b, "It has the same options as %s.\n\n", same)
			continue
		}
		seen[key] = t.Name
		if strings.HasPrefix(t.Name, "btlaunchmany") {
			n := len(getOptions())
			options = options[n:]
			b.WriteString("It has the options of btdownloadheadless, and these:\n\n")
		}
		b.WriteString("| option | from | default | state | meaning |\n| --- | --- | --- | --- | --- |\n")
		for _, o := range options {
			fmt.Fprintf(&b, "| `--%s` | %s | %s | %s | %s |\n", o.Name, o.From, o.Default, o.state(), cell(o.Means))
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// state describes whether the option has an effect.
func (o *Option) state() string {
	if o.Works {
		return "works"
	}
	return "no effect"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// Usage returns the help of a tool.
func (t *Tool) Usage() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", t.Name, t.Summary)
	for i, a := range t.Args {
		head := "Usage:"
		if i > 0 {
			head = "      "
		}
		b.WriteString(strings.TrimRight(head+" "+t.Name+" "+a, " ") + "\n")
	}
	works, idle := t.split()
	for _, o := range works {
		fmt.Fprintf(&b, "\n--%s VALUE", o.Name)
		if o.Default != "" {
			fmt.Fprintf(&b, " (default %s)", o.Default)
		}
		b.WriteString("\n" + wrap(o.Means, "    ", 79))
	}
	if len(idle) > 0 {
		b.WriteString("\nAccepted, but without effect:\n ")
		col := 1
		for _, o := range idle {
			if col+len(o.Name)+3 > 79 {
				b.WriteString("\n ")
				col = 1
			}
			b.WriteString(" --" + o.Name)
			col += len(o.Name) + 3
		}
		b.WriteString("\n")
	}
	return b.String()
}

// wrap breaks text into lines of at most width columns with an indent.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	col := 0
	for _, word := range strings.Fields(text) {
		switch {
		case col == 0:
			b.WriteString(indent)
			col = len(indent)
		case col+1+len(word) > width:
			b.WriteString("\n" + indent)
			col = len(indent)
		default:
			b.WriteString(" ")
			col++
		}
		b.WriteString(word)
		col += len(word)
	}
	return b.String() + "\n"
}

// split returns the options that work and those that have no effect.
func (t *Tool) split() (works, idle []Option) {
	for _, o := range t.Options {
		if o.Works {
			works = append(works, o)
		} else {
			idle = append(idle, o)
		}
	}
	return works, idle
}
