package cli

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"time"

	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/onevent"
	"spate/internal/units"
)

// onKey is the name of the tables of the settings file that say what to do for events. They set no
// flag, so that they cannot come from the command line, a variable or the network.
const onKey = "on"

// onFields are the keys of such a table.
var onFields = []string{"event", "run", "post", "secret", "timeout"}

// parseOn parses the [[on]] tables of the settings file.
func parseOn(path string, tree map[string]any, raw []byte) ([]onevent.Rule, error) {
	v, ok := tree[onKey]
	if !ok {
		return nil, nil
	}
	bad := func(i int, err error) error {
		hint := fault.HintOf(err)
		if hint == "" {
			hint = "correct " + path
		}
		return fault.UsageHint(hint, "%s: number %d of [[on]]: %w", at(path, raw, onKey), i+1, err)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fault.UsageHint("write [[on]] with two brackets, and correct "+path, "%s: on is not a list of tables", at(path, raw, onKey))
	}
	if len(list) > onevent.MaxRules {
		return nil, fault.Usagef("%s: there are more than the %s [[on]] that are allowed", at(path, raw, onKey), units.Plural(onevent.MaxRules, "table"))
	}
	var rules []onevent.Rule
	for i, one := range list {
		table, ok := one.(map[string]any)
		if !ok {
			return nil, bad(i, fault.UsageHint("write [[on]] with two brackets", "it is no table"))
		}
		rule, err := onRule(table)
		if err == nil {
			err = rule.Check()
		}
		if err != nil {
			return nil, bad(i, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// onRule converts one table.
func onRule(table map[string]any) (r onevent.Rule, err error) {
	for _, k := range slices.Sorted(maps.Keys(table)) {
		v := table[k]
		switch k {
		case "event":
			var kinds []string
			if kinds, err = texts(k, v); err == nil {
				for _, kind := range kinds {
					r.Events = append(r.Events, onevent.Kind(kind))
				}
			}
		case "run":
			r.Run, err = texts(k, v)
		case "post":
			r.Post, err = text(k, v)
		case "secret":
			r.Secret, err = text(k, v)
		case "timeout":
			var s string
			if s, err = text(k, v); err == nil {
				if r.Timeout, err = time.ParseDuration(s); err != nil || r.Timeout <= 0 {
					err = fault.UsageHint(`write for example timeout = "30s"`, "timeout %q is no positive time", s)
				}
			}
		default:
			err = fmt.Errorf("there is no setting %s", k)
			if near := nearest(k, onFields); near != "" {
				err = fault.UsageHint("did you mean "+near+"?", "%w", err)
			}
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// text returns the value of a setting that is one text.
func text(key string, v any) (string, error) {
	s, ok := v.(string)
	if !ok || blank(s) {
		return "", fault.Usagef("%s must be a text that is not empty", key)
	}
	return s, nil
}

// texts returns the value of a setting that is a list of texts, or one text. Only the first text
// must not be empty.
func texts(key string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 {
		return nil, fault.Usagef("%s is an empty list", key)
	}
	out := make([]string, len(list))
	for i, one := range list {
		s, ok := one.(string)
		if !ok || i == 0 && blank(s) {
			return nil, fault.Usagef("%s must be a list of texts", key)
		}
		out[i] = s
	}
	return out, nil
}

// eventRunner returns what does the [[on]] tables of the settings, or nil if there are none. It
// refuses a program that every user can change.
func (a *app) eventRunner() (*onevent.Runner, error) {
	if len(a.on) == 0 {
		return nil, nil
	}
	for i := range a.on {
		if run := a.on[i].Run; len(run) > 0 {
			_, err := exec.LookPath(run[0])
			if e := new(exec.Error); errors.As(err, &e) {
				err = e.Err // which names the path
			}
			if err == nil {
				err = filetrust.Check(run[0], filetrust.Power, a.Warnf)
			}
			if err != nil {
				return nil, fmt.Errorf("settings: [[on]]: run: %w", err)
			}
		}
	}
	return onevent.New(a.on, onevent.Options{Environ: a.Environ, Transport: a.out.Transport(), Log: a.Log, Now: a.Now}), nil
}
