package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"spate"
)

// setting is a key of the settings file.
type setting struct{ table, key, value, meaning string }

// settings returns the settings in the text of docs/spate.toml: each is a line of the form
// "# key = value" behind the comment that describes the key.
func settings(text string) (all []setting) {
	line := regexp.MustCompile(`^# ([a-z0-9-]+) = (.+)$`)
	head := regexp.MustCompile(`^(?:# \[)?\[([a-z]+)\]\]?$`) // [[on]] stands in a comment, because it would be a rule
	table, meaning := "", ""
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\n")
		if m := line.FindStringSubmatch(l); m != nil {
			all = append(all, setting{table, m[1], m[2], strings.TrimSpace(meaning)})
			meaning = ""
			continue
		}
		if m := head.FindStringSubmatch(l); m != nil {
			table = m[1]
		}
		rest, ok := strings.CutPrefix(l, "# ")
		if !ok {
			meaning = ""
			continue
		}
		meaning += rest + "\n"
	}
	return all
}

// settingsPage returns the manual page spate.toml(5) from the text of docs/spate.toml.
func settingsPage(text string, at time.Time) page {
	r := &roff{}
	fmt.Fprintf(&r.b, ".TH SPATE.TOML 5 %s %s \"File Formats\"\n.nh\n.ad l\n", quoteArg(at.Format("2006-01-02")), quoteArg("spate "+spate.Version))
	r.head("NAME")
	r.b.WriteString(quote("spate.toml - settings of spate") + "\n")
	r.head("DESCRIPTION")
	r.text(`spate reads its settings from ~/.config/spate/spate.toml, or from the FILE of --config; the service reads /etc/spate/spate.toml. The format is TOML. A key is the name of a flag without its dashes. A key at the top holds for every verb that has the flag, and a key in a table such as [get] for that verb and the verbs below it: [site] is the table of spate site export.

The command line overrides the variable of a flag (public-url: SPATE_PUBLIC_URL), and the variable overrides the file. A missing key has its default. An empty value, an unknown key and an unknown table are errors. spate never writes the file.`)
	table := ""
	for _, s := range settings(text) {
		if s.table != table {
			table = s.table
			r.head("SETTINGS IN [" + strings.ToUpper(table) + "]")
		}
		r.entry(s.key+" = "+s.value, "", strings.ReplaceAll(s.meaning, "\n", " "))
	}
	r.head("EXAMPLE")
	r.text(` up = "2M"

 [serve]
 watch = ["/srv/images"]
 public-url = "http://files.example.org:6969"

 [get]
 output = "/srv/downloads/"`)
	r.head("SEE ALSO")
	r.b.WriteString(".BR spate (1),\n.BR spate\\-serve (1)\n")
	return page{"spate.toml", r.bytes()}
}

// readSettingsPage makes the manual page of the settings file from the source.
func (d *dist) readSettingsPage() (page, error) {
	b, err := os.ReadFile(filepath.Join(d.top, "docs", "spate.toml"))
	if err != nil {
		return page{}, err
	}
	return settingsPage(string(b), d.time), nil
}
