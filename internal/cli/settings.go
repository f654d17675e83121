package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/filetrust"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxSettings limits the size of the settings file, in bytes.
const maxSettings = 1 << 20

// noSetting lists the flags that are allowed only on the command line.
var noSetting = []string{"help", "config", "version"}

// applySettings sets the flags of cmd that are not on the command line. Variables
// SPATE_FLAG_NAME override the settings file. In the file, the table of --preset overrides the
// table of the verb, which overrides the top level. The table of a verb such as site is also that of
// the verbs below it, such as site export.
func (a *app) applySettings(cmd *cobra.Command) error {
	flags := cmd.Flags()
	if err := a.applyVars(flags); err != nil {
		return err
	}
	a.warnUnknownVars(cmd.Root())
	path, tree, raw, err := a.readSettings()
	if err != nil || tree == nil {
		return err
	}
	if err := checkSettings(cmd.Root(), path, tree, raw); err != nil {
		return err
	}
	if a.on, err = parseOn(path, tree, raw); err != nil {
		return err
	}
	if a.windows, err = parseWindows(path, tree, raw); err != nil {
		return err
	}
	type layer struct {
		keys   []string // of the table in the file
		values map[string]any
	}
	layers := []layer{}
	if f := flags.Lookup("preset"); f != nil && f.Value.String() != "" {
		presets, _ := tree["preset"].(map[string]any)
		table, ok := presets[f.Value.String()].(map[string]any)
		if !ok {
			return fault.Usagef("%s has no table [preset.%s]", path, f.Value)
		}
		layers = append(layers, layer{[]string{"preset", f.Value.String()}, table})
	}
	verb := verbAbove(cmd).Name()
	if table, ok := tree[verb].(map[string]any); ok {
		layers = append(layers, layer{[]string{verb}, table})
	}
	layers = append(layers, layer{nil, tree})
	for _, l := range layers {
		var bad error
		flags.VisitAll(func(f *pflag.Flag) {
			v, ok := l.values[f.Name]
			if p, isProxy := f.Value.(*proxyValue); ok && isProxy {
				v, ok = p.lacking(v)
			} else if f.Changed {
				return
			}
			if _, table := v.(map[string]any); !ok || table || bad != nil {
				return
			}
			if err := setFlag(flags, f, v); err != nil {
				bad = fault.UsageHint("correct "+path, "%s: setting %s: %w", at(path, raw, append(l.keys, f.Name)...), f.Name, err)
			}
		})
		if bad != nil {
			return bad
		}
	}
	return nil
}

// verbAbove returns the verb of the first level that cmd is or belongs to.
func verbAbove(cmd *cobra.Command) *cobra.Command {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return cmd
}

// applyVars sets flags from environment variables, except those of [serviceVar]. A repeatable flag gets a value for each line
// or, if there is one line, for each word. An empty variable counts as unset, except for the
// flags in [guards].
func (a *app) applyVars(flags *pflag.FlagSet) error {
	var bad error
	flags.VisitAll(func(f *pflag.Flag) {
		name := varOf(f.Name)
		val, ok := a.LookupEnv(name)
		_, isProxy := f.Value.(*proxyValue)
		if !ok || f.Changed && !isProxy || bad != nil || f.Name == "help" || serviceVar(a.Environ, name) {
			return
		}
		if blank(val) {
			bad = checkVariable(f, name)
			return
		}
		var v any = val
		if _, list := f.Value.(pflag.SliceValue); list {
			words := strings.Fields(val)
			if strings.Contains(val, "\n") {
				words = strings.Split(strings.Trim(val, "\n"), "\n")
			}
			list := []any{}
			for _, w := range words {
				list = append(list, w)
			}
			v = list
		}
		if p, isProxy := f.Value.(*proxyValue); isProxy {
			if v, ok = p.lacking(v); !ok {
				return
			}
		}
		if err := setFlag(flags, f, v); err != nil {
			bad = fault.Usagef("variable %s: %w", name, err)
		}
	})
	return bad
}

func (a *app) readSettings() (path string, tree map[string]any, raw []byte, err error) {
	path = a.config
	if path == "" {
		path = filepath.Join(a.configDir(), "spate.toml")
	}
	b, err := filetrust.Read(path, maxSettings, filetrust.Power, nil)
	if errors.Is(err, fs.ErrNotExist) && a.config == "" {
		return path, nil, nil, nil
	}
	if err == nil {
		err = toml.Unmarshal(b, &tree)
	}
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		row, col := syntax.Position()
		return path, nil, nil, fault.Usagef("settings: %s:%d:%d: %w", path, row, col, err)
	}
	if err != nil {
		return path, nil, nil, &fault.Error{Code: fault.Usage, Err: fmt.Errorf("settings: %w", err)}
	}
	kind := filetrust.Power
	if hasSecret(tree) {
		kind = filetrust.Secret
	}
	return path, tree, b, filetrust.Check(path, kind, a.Warnf)
}

// hasSecret reports whether settings contain a secret: the token of an API, the key that signs
// what is posted for an event, or the password of a proxy.
func hasSecret(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, hasSecret)
	case map[string]any:
		for name, one := range v {
			if name == "api-token" || name == "secret" || hasSecret(one) || name == "proxy" && proxySecret(one) {
				return true
			}
		}
	}
	return false
}

// checkSettings returns an error for keys that are not flags, so that a typing error is not
// ignored.
func checkSettings(root *cobra.Command, path string, tree map[string]any, raw []byte) error {
	known := map[string]map[string]bool{"": {}}
	for _, cmd := range root.Commands() {
		known[cmd.Name()] = map[string]bool{}
		add := func(f *pflag.Flag) {
			if !slices.Contains(noSetting, f.Name) {
				known[cmd.Name()][f.Name] = true
				known[""][f.Name] = true
			}
		}
		root.PersistentFlags().VisitAll(add)
		for below := []*cobra.Command{cmd}; len(below) > 0; below = below[1:] {
			below[0].Flags().VisitAll(add)
			below[0].PersistentFlags().VisitAll(add)
			below = append(below, below[0].Commands()...)
		}
	}
	check := func(verb, where string, table map[string]any, keys ...string) error {
		for _, k := range slices.Sorted(maps.Keys(table)) {
			if !known[verb][k] {
				hint := "correct " + path
				if near := nearest(k, slices.Sorted(maps.Keys(known[verb]))); near != "" {
					hint += "; did you mean " + near + "?"
				}
				return fault.UsageHint(hint, "%s: there is no flag --%s%s", at(path, raw, append(keys, k)...), k, where)
			}
		}
		return nil
	}
	for _, k := range slices.Sorted(maps.Keys(tree)) {
		v := tree[k]
		table, isTable := v.(map[string]any)
		var err error
		switch {
		case k == onKey, k == scheduleKey && !isTable: // parseOn and parseWindows check them
		case k == "preset" && isTable:
			for _, name := range slices.Sorted(maps.Keys(table)) {
				preset, ok := table[name].(map[string]any)
				if !ok {
					return fault.UsageHint("correct "+path, "%s: preset.%s is not a table", at(path, raw, k, name), name)
				}
				if err == nil {
					err = check("create", " of create (preset "+name+")", preset, k, name)
				}
			}
		case isTable && known[k] != nil:
			err = check(k, " of "+k, table, k)
		case isTable:
			err = fault.UsageHint("correct "+path, "%s: there is no verb %s", at(path, raw, k), k)
		default:
			err = check("", "", map[string]any{k: v})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// at returns the path of the settings file with the line of the key or table that keys lead to
// from the top level. If it is inside a value, such as an inline table, at returns the line of that
// value.
func at(path string, raw []byte, keys ...string) string {
	var p unstable.Parser
	p.Reset(raw)
	var table []string // of the current expressions
	where := path
	for p.NextExpression() {
		e := p.Expression()
		var full []string
		if e.Kind == unstable.KeyValue {
			full = slices.Clone(table)
		}
		line := 0
		for k := e.Key(); k.Next(); {
			full = append(full, string(k.Node().Data))
			line = p.Shape(k.Node().Raw).Start.Line
		}
		if e.Kind != unstable.KeyValue {
			table = full
		}
		here := fmt.Sprintf("%s:%d", path, line)
		switch n := len(full); {
		case n >= len(keys) && slices.Equal(full[:len(keys)], keys):
			return here
		case e.Kind == unstable.KeyValue && n < len(keys) && slices.Equal(full, keys[:n]):
			where = here
		}
	}
	return where
}

// setFlag sets f to the value v of a settings file or a variable.
func setFlag(flags *pflag.FlagSet, f *pflag.Flag, v any) error {
	if list, ok := v.([]any); ok {
		if _, repeat := f.Value.(pflag.SliceValue); !repeat {
			return errors.New("takes one value, not a list")
		}
		for _, one := range list {
			if err := setFlag(flags, f, one); err != nil {
				return err
			}
		}
		return nil
	}
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case bool:
		s = strconv.FormatBool(v)
	case int64:
		s = strconv.FormatInt(v, 10)
	case float64:
		s = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Errorf("a value of type %T is not supported", v)
	}
	if err := checkValue(f, s); err != nil {
		return err
	}
	return flags.Set(f.Name, s)
}

// configDir returns the directory of the settings: $XDG_CONFIG_HOME/spate, or
// ~/.config/spate.
func (a *app) configDir() string { return a.xdg("XDG_CONFIG_HOME", ".config") }

// stateDir returns the state directory: dir if it is not empty, or else $XDG_STATE_HOME/spate
// or ~/.local/state/spate.
func (a *app) stateDir(dir string) string {
	if dir != "" {
		return dir
	}
	return a.xdg("XDG_STATE_HOME", filepath.Join(".local", "state"))
}

// daemonStates returns the state directories whose daemon a verb uses, the first one that runs: dir
// if it is not empty, or else that of this user and that of the service.
func (a *app) daemonStates(dir string) []string {
	states := []string{a.stateDir(dir)}
	if service := a.env.ServiceState; dir == "" && service != "" && service != states[0] {
		states = append(states, service)
	}
	return states
}

// serveState returns the state directory of the spate serve that a verb is about, whether it runs or
// not: dir if it is not empty, or else that of this user if a spate serve has used it, or else that
// of the installed service.
func (a *app) serveState(dir string) string {
	states := a.daemonStates(dir)
	if len(states) == 1 {
		return states[0]
	}
	for _, used := range []string{"catalog", daemon.APITokensFile} {
		if _, err := os.Lstat(filepath.Join(states[0], used)); err == nil {
			return states[0]
		}
	}
	if _, err := os.Stat(states[1]); err != nil {
		return states[0]
	}
	return states[1]
}

// homeDir returns the home directory of this user according to the system. A user without one gets
// a directory of its own below that of temporary files. The latter itself would be wrong, because
// any user can create settings there.
func homeDir() string {
	if u, err := user.Current(); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir
	}
	return filepath.Join(os.TempDir(), "spate-"+strconv.Itoa(os.Getuid()))
}

// xdg returns the directory spate in the directory that a variable names, or in the directory
// fallback of the home directory.
func (a *app) xdg(variable, fallback string) string {
	if d := a.Getenv(variable); filepath.IsAbs(d) {
		return filepath.Join(d, "spate")
	}
	home := a.Getenv("HOME")
	if home == "" {
		home = a.Getenv("USERPROFILE")
	}
	if home == "" {
		home = homeDir()
	}
	return filepath.Join(home, fallback, "spate")
}
