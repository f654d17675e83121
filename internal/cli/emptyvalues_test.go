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

// dryRun parses a command line with its settings, and reports whether the verb would run.
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

// verbLine is a valid command line of a verb.
type verbLine struct {
	words []string // the verb
	args  []string // the required arguments
	flags []*pflag.Flag
}

// verbLines returns a command line for each verb but bt, which has its own test.
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
			t.Fatalf("verb %q does not accept the arguments %q: %v", v.words, v.args, err)
		}
		cmd.InheritedFlags() // makes LocalFlags complete
		cmd.Flags().VisitAll(func(f *pflag.Flag) { v.flags = append(v.flags, f) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { v.flags = append(v.flags, f) })
		all = append(all, v)
	})
	if len(all) < 20 {
		t.Fatalf("found only %d verbs", len(all))
	}
	return all
}

// takeEmpty lists the flags that accept an empty value.
var takeEmpty = []string{"edit --comment", "edit --created-by", "edit --source"}

// saysSo reports whether err is a usage error with a hint that names the empty flag or
// argument.
func saysSo(err error, name string) bool {
	return fault.CodeOf(err) == fault.Usage && strings.Contains(err.Error(), name) && hintFor(err) != ""
}

// TestEmptyFlags checks that an empty value of any flag is an error, except for the flags in
// takeEmpty.
func TestEmptyFlags(t *testing.T) {
	t.Parallel()
	met := map[string]bool{}
	for _, v := range verbLines(t) {
		for _, f := range v.flags {
			name := strings.Join(v.words, " ") + " --" + f.Name
			may := slices.Contains(takeEmpty, name)
			met[name] = true
			for _, nothing := range []string{"", " ", "\t", "\u00a0"} {
				ran, err := dryRun(t, nil, slices.Concat(v.words, v.args, []string{"--" + f.Name + "=" + nothing})...)
				if may := may && nothing == ""; ran != may || !may && !saysSo(err, "--"+f.Name) {
					t.Errorf("%s=%q: ran %v, %v", name, nothing, ran, err)
				}
			}
			if f.Value.Type() == "bool" || f.Value.Type() == "count" {
				continue // they do not use the next argument as their value
			}
			if f.Shorthand != "" {
				ran, err := dryRun(t, nil, slices.Concat(v.words, v.args, []string{"-" + f.Shorthand, ""})...)
				if ran != may || !may && !saysSo(err, "--"+f.Name) {
					t.Errorf("%s as -%s '': ran %v, %v", name, f.Shorthand, ran, err)
				}
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
			t.Errorf("takeEmpty lists %s, which does not exist", name)
		}
	}
}

// TestEmptyArguments checks that an empty argument of any verb is an error.
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

// TestEmptySettings checks that empty values in the settings file are errors, and that an
// empty variable is ignored or an error.
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
					continue // the top of the file has its settings
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
	doc, err := os.ReadFile("../../docs/reference/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range guards {
		if !guarded[name] {
			t.Errorf("no verb has --%s", name)
		}
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/reference/settings.md does not name %s", name)
		}
	}
}

// TestEmptyVariableLeavesTheFile checks that an empty variable does not override the settings
// file.
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

// TestEmptyCompletion checks that shell completion works with an empty word.
func TestEmptyCompletion(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	code := Main(Env{Name: "spate", Args: []string{cobra.ShellCompRequestCmd, "keys", ""}, Environ: []string{"HOME=" + t.TempDir()}, Stdout: &out, Stderr: &bytes.Buffer{}})
	if code != 0 || !strings.Contains(out.String(), "forget") {
		t.Errorf("exit code %d, %q", code, out.String())
	}
}

// TestEmptyValuesOf2005 checks the tools of 2005 with empty values: only options without
// effect accept them.
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
				t.Errorf("%s accepted the arguments %q", tool.Name, given)
			}
		}
	}
}
