package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestSampleSettings checks that docs/spate.toml has every flag of serve and site export, and only
// valid settings, windows and rules for events.
func TestSampleSettings(t *testing.T) {
	b, err := os.ReadFile("../../docs/spate.toml")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if name, _, ok := strings.Cut(line, " = "); ok && strings.HasPrefix(line, "# ") && !strings.Contains(name[2:], " ") {
			line = line[2:]
		}
		if strings.HasPrefix(line, "# [[") {
			line = line[2:]
		}
		lines = append(lines, line)
	}
	var tree map[string]any
	if err := toml.Unmarshal([]byte(strings.Join(lines, "")), &tree); err != nil {
		t.Fatal(err)
	}
	if windows, err := parseWindows("spate.toml", tree, b); err != nil || len(windows) != 2 {
		t.Errorf("%d windows: %v", len(windows), err)
	}
	if rules, err := parseOn("spate.toml", tree, b); err != nil || len(rules) != 2 {
		t.Errorf("%d rules: %v", len(rules), err)
	}
	serve, _, err := newApp(Env{}).root().Find([]string{"serve"}) // the root adds --proxy
	if err != nil {
		t.Fatal(err)
	}
	for table, cmd := range map[string]*cobra.Command{"serve": serve, "site": newApp(Env{}).siteExportCmd()} {
		settings, _ := tree[table].(map[string]any)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			v, ok := settings[f.Name]
			if f.Hidden && !ok {
				return
			}
			if !ok {
				t.Errorf("[%s] of docs/spate.toml does not contain %s", table, f.Name)
			} else if err := setFlag(cmd.Flags(), f, v); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
			delete(settings, f.Name)
		})
		for name := range settings {
			t.Errorf("%s has no --%s", table, name)
		}
	}
}
