package classic

import (
	"fmt"
	"strconv"
	"strings"

	"spate/internal/units"
)

// Values are the options of one command line.
type Values struct {
	tool  *Tool
	given map[string]string
}

// Parse parses the command line of a tool as the old tools did. An option is "--name value"
// at any position. Parse also accepts "--name=value", dashes in names, and "-i" for "--ip".
// If an option is repeated, the last value is used. Parse returns an error if an argument, or
// the text value of a working option, is empty or has only blanks. It returns the arguments that are
// not options, and a note for each option that has no effect.
func (t *Tool) Parse(argv []string) (v *Values, args, notes []string, err error) {
	v = &Values{tool: t, given: map[string]string{}}
	for len(argv) > 0 {
		arg := argv[0]
		argv = argv[1:]
		if arg == "-i" && t.Option("ip") != nil {
			arg = "--ip"
		}
		if !strings.HasPrefix(arg, "--") || arg == "--" {
			if strings.TrimSpace(arg) == "" {
				return nil, nil, nil, fmt.Errorf("argument %d (%q) is empty", len(args)+1, arg)
			}
			args = append(args, arg)
			continue
		}
		name, value, joined := strings.Cut(arg[2:], "=")
		o := t.Option(name)
		if o == nil {
			return nil, nil, nil, fmt.Errorf("unknown option --%s", name)
		}
		if !joined {
			if len(argv) == 0 {
				return nil, nil, nil, fmt.Errorf("--%s needs a value, as all options of %s do", name, t.Name)
			}
			value, argv = argv[0], argv[1:]
		}
		if err := o.check(value); err != nil {
			return nil, nil, nil, err
		}
		if _, again := v.given[o.Name]; !again && !o.Works {
			notes = append(notes, fmt.Sprintf("--%s has no effect: %s", o.Name, o.Means))
		}
		v.given[o.Name] = value
	}
	switch {
	case len(args) < t.Min:
		err = fmt.Errorf("at least %s %s needed", units.Plural(t.Min, "argument"), units.Agree(t.Min, "is", "are"))
	case t.Max >= 0 && len(args) > t.Max:
		err = fmt.Errorf("too many arguments: the maximum is %d, and %q is one more", t.Max, args[t.Max])
	}
	return v, args, notes, err
}

// check returns an error if value has the wrong kind or is empty.
func (o *Option) check(value string) (err error) {
	switch o.Kind {
	case Text:
		if o.Works && strings.TrimSpace(value) == "" {
			return fmt.Errorf("--%s is empty: give it a value, or leave it out", o.Name)
		}
	case Int:
		_, err = strconv.ParseInt(value, 10, 32)
	case Float:
		_, err = parseFloat(value)
	}
	if err != nil {
		return fmt.Errorf("--%s: %q is not a valid number", o.Name, value)
	}
	return nil
}

// parseFloat parses a number. It returns an error for NaN, infinities and huge numbers.
func parseFloat(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && !(f > -1e12 && f < 1e12) {
		err = strconv.ErrRange
	}
	return f, err
}

// Given reports whether the option was on the command line.
func (v *Values) Given(name string) bool {
	_, ok := v.given[name]
	return ok
}

// Text returns the value of an option, or its default. Text, Int and Float panic if the tool
// has no option with this name.
func (v *Values) Text(name string) string {
	if s, ok := v.given[name]; ok {
		return s
	}
	return v.tool.Option(name).Default
}

// Int returns the value of an option of the kind [Int].
func (v *Values) Int(name string) int {
	n, _ := strconv.ParseInt(v.Text(name), 10, 32) // checked by Parse
	return int(n)
}

// Float returns the value of an option of the kind [Float].
func (v *Values) Float(name string) float64 {
	f, _ := parseFloat(v.Text(name)) // checked by Parse
	return f
}

// Tiers parses a list of trackers. Commas separate the trackers of a tier, and bars separate
// the tiers.
func Tiers(list string) (tiers [][]string) {
	for part := range strings.SplitSeq(list, "|") {
		var tier []string
		for u := range strings.SplitSeq(part, ",") {
			if u = strings.TrimSpace(u); u != "" {
				tier = append(tier, u)
			}
		}
		if len(tier) > 0 {
			tiers = append(tiers, tier)
		}
	}
	return tiers
}

// JoinTiers formats tiers for [Tiers].
func JoinTiers(tiers [][]string) string {
	var parts []string
	for _, t := range tiers {
		parts = append(parts, strings.Join(t, ","))
	}
	return strings.Join(parts, "|")
}
