package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/classic"
	"spate/internal/fault"
)

// dryRun parses a command line, with its settings, and reports whether the verb would have
// run.
func dryRun(t *testing.T, environ []string, args ...string) (ran bool, err error) {
	t.Helper()
	a := newApp(Env{
		Name: "spate", Args: args, Environ: append([]string{"HOME=/nonexistent"}, environ...),
		Stdin: strings.NewReader(""), Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{},
	})
	root := a.root()
	eachCommand(root, func(cmd *cobra.Command) {
		cmd.RunE = func(*cobra.Command, []string) error {
			ran = true
			return nil
		}
	})
	root.SetArgs(args)
	if err = root.ExecuteContext(context.Background()); err != nil {
		err = asUsage(err)
	}
	return ran, err
}

// eachCommand calls f for cmd and all commands below it.
func eachCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		eachCommand(sub, f)
	}
}

// verbLine is a command line that a verb takes.
type verbLine struct {
	words []string // the verb
	args  []string // and as many arguments as it needs
	flags []*pflag.Flag
}

// verbLines returns a command line for each verb. The tools of 2005 have tests of their
// own.
func verbLines(t *testing.T) (all []verbLine) {
	t.Helper()
	root := newApp(Env{}).root()
	eachCommand(root, func(cmd *cobra.Command) {
		if cmd.Parent() == nil || cmd.Parent().Name() == "bt" || cmd.Hidden {
			return
		}
		v := verbLine{words: strings.Fields(cmd.CommandPath())[1:]}
		for range 3 {
			if ran, _ := dryRun(t, nil, slices.Concat(v.words, v.args)...); ran {
				break
			}
			v.args = append(v.args, "x")
		}
		if ran, err := dryRun(t, nil, slices.Concat(v.words, v.args)...); !ran {
			t.Fatalf("%q takes no %q: %v", v.words, v.args, err)
		}
		cmd.InheritedFlags() // has LocalFlags and Flags agree
		cmd.Flags().VisitAll(func(f *pflag.Flag) { v.flags = append(v.flags, f) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { v.flags = append(v.flags, f) })
		all = append(all, v)
	})
	if len(all) < 20 {
		t.Fatalf("%d verbs", len(all))
	}
	return all
}

// takeEmpty are the flags for which an empty value means something.
var takeEmpty = []string{"edit --comment", "edit --created-by", "edit --source"}

// saysSo reports whether err is a usage error that names what is empty, with a hint.
func saysSo(err error, name string) bool {
	return fault.CodeOf(err) == fault.Usage && strings.Contains(err.Error(), name) && hintFor(err) != ""
}

// TestEmptyFlags gives every flag of every verb an empty value: each is an error, but for
// those in takeEmpty.
func TestEmptyFlags(t *testing.T) {
	t.Parallel()
	met := map[string]bool{}
	for _, v := range verbLines(t) {
		for _, f := range v.flags {
			name := strings.Join(v.words, " ") + " --" + f.Name
			may := slices.Contains(takeEmpty, name)
			met[name] = true
			if f.Value.Type() == "bool" || f.Value.Type() == "count" {
				continue // they take no value from the next word
			}
			ran, err := dryRun(t, nil, slices.Concat(v.words, v.args, []string{"--" + f.Name, ""})...)
			if ran != may || !may && !saysSo(err, "--"+f.Name) {
				t.Errorf("%s '': ran %v, %v", name, ran, err)
			}
			ran, err = dryRun(t, nil, slices.Concat(v.words, v.args, []string{"--" + f.Name + "=", "--" + f.Name, " \t"})...)
			if ran || !saysSo(err, "--"+f.Name) {
				t.Errorf("%s of blanks: ran %v, %v", name, ran, err)
			}
			if f.Value.Type() != "stringArray" {
				continue
			}
			if ran, err = dryRun(t, nil, slices.Concat(v.words, v.args, []string{"--" + f.Name, "x", "--" + f.Name, ""})...); ran || !saysSo(err, "--"+f.Name) {
				t.Errorf("%s x and '': ran %v, %v", name, ran, err)
			}
		}
	}
	for _, name := range takeEmpty {
		if !met[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestEmptyArguments gives every argument of every verb an empty value.
func TestEmptyArguments(t *testing.T) {
	t.Parallel()
	for _, v := range verbLines(t) {
		for n := 1; n <= len(v.args)+1; n++ {
			args := slices.Repeat([]string{"x"}, n)
			if ran, _ := dryRun(t, nil, slices.Concat(v.words, args)...); !ran {
				continue
			}
			for i := range args {
				for _, nothing := range []string{"", " \t"} {
					given := slices.Clone(args)
					given[i] = nothing
					ran, err := dryRun(t, nil, slices.Concat(v.words, given)...)
					if ran || !saysSo(err, fmt.Sprintf("argument %d", i+1)) {
						t.Errorf("%s %q: ran %v, %v", strings.Join(v.words, " "), given, ran, err)
					}
				}
			}
		}
	}
}

// TestEmptySettings gives every flag an empty value in the settings file, and as a variable.
func TestEmptySettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	guarded := map[string]bool{}
	for _, v := range verbLines(t) {
		for _, f := range v.flags {
			name := strings.Join(v.words, " ") + " --" + f.Name
			if slices.Contains(noSetting, f.Name) {
				continue
			}
			for _, nothing := range []string{"", " "} {
				variable := "SPATE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
				guard := slices.Contains(guards, f.Name)
				guarded[f.Name] = true
				ran, err := dryRun(t, []string{variable + "=" + nothing}, slices.Concat(v.words, v.args)...)
				if ran == guard || guard && !saysSo(err, variable) {
					t.Errorf("%s=%q for %s: ran %v, %v", variable, nothing, name, ran, err)
				}
				if len(v.words) > 1 {
					continue // its settings stand at the top
				}
				file := filepath.Join(dir, "spate.toml")
				for _, value := range map[string][]string{"": {`""`, `["x", ""]`}, " ": {`" "`}}[nothing] {
					if err := os.WriteFile(file, fmt.Appendf(nil, "[%s]\n%s = %s\n", v.words[0], f.Name, value), 0o600); err != nil {
						t.Fatal(err)
					}
					ran, err = dryRun(t, nil, slices.Concat(v.words, v.args, []string{"--config", file})...)
					may := slices.Contains(takeEmpty, name) && value == `""`
					if ran != may || !may && !saysSo(err, file) {
						t.Errorf("%s = %s for %s: ran %v, %v", f.Name, value, name, ran, err)
					}
				}
			}
		}
	}
	doc, err := os.ReadFile("../../docs/serve.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range guards {
		if !guarded[name] {
			t.Errorf("no verb has --%s", name)
		}
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/serve.md does not name %s", name)
		}
	}
}

// TestEmptyVariableLeavesTheFile: a variable without a value does not take back what the
// settings file says.
func TestEmptyVariableLeavesTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "spate.toml")
	if err := os.WriteFile(file, []byte("up = \"2M\"\nsign = \"key\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for variable, code := range map[string]int{"SPATE_UP=": 0, "SPATE_SIGN=": CodeUsage} {
		a := newApp(Env{Environ: []string{variable}, Stderr: &bytes.Buffer{}})
		a.config = file
		cmd := a.publishCmd()
		(&cobra.Command{Use: "spate"}).AddCommand(cmd)
		err := a.applySettings(cmd)
		if exitCode(err) != code || err == nil && (cmd.Flag("up").Value.String() != "2000000" || cmd.Flag("sign").Value.String() != "key") {
			t.Errorf("%s: %v, up %v, sign %v", variable, err, cmd.Flag("up").Value, cmd.Flag("sign").Value)
		}
	}
}

// TestEmptyCompletion: a shell may ask what comes after an empty word.
func TestEmptyCompletion(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	code := Main(Env{Name: "spate", Args: []string{cobra.ShellCompRequestCmd, "keys", ""}, Environ: []string{"HOME=" + t.TempDir()}, Stdout: &out, Stderr: &bytes.Buffer{}})
	if code != 0 || !strings.Contains(out.String(), "forget") {
		t.Errorf("exit code %d, %q", code, out.String())
	}
}

// TestEmptyValuesOf2005 gives every option and every argument of the tools of 2005 an empty
// value. Options that mean nothing now take one.
func TestEmptyValuesOf2005(t *testing.T) {
	t.Parallel()
	for _, tool := range classic.Tools() {
		args := slices.Repeat([]string{"x"}, tool.Min)
		for _, o := range tool.Options {
			for _, nothing := range []string{"", " "} {
				_, _, _, err := tool.Parse(slices.Concat(args, []string{"--" + o.Name, nothing}))
				if may := o.Kind == classic.Text && !o.Works; (err == nil) != may || err != nil && !strings.Contains(err.Error(), "--"+o.Name) {
					t.Errorf("%s --%s %q: %v", tool.Name, o.Name, nothing, err)
				}
			}
		}
		for i := range args {
			given := slices.Clone(args)
			given[i] = ""
			if _, _, _, err := tool.Parse(given); err == nil {
				t.Errorf("%s %q is taken", tool.Name, given)
			}
		}
	}
}
