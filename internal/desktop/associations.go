package desktop

import (
	"slices"
	"strings"
)

// defaults is the header of the group of a mimeapps.list that holds the defaults.
const defaults = "[Default Applications]"

// SetDefault returns the text of a mimeapps.list in which the entry id is the first default of types.
// Other lines stay as they are, and so do the other programs of these types, after id.
func SetDefault(list, id string, types []string) string {
	return change(list, types, func(ids []string) []string {
		return append([]string{id}, without(ids, id)...)
	})
}

// RemoveDefault returns the text of a mimeapps.list in which the entry id is no default of types.
func RemoveDefault(list, id string, types []string) string {
	return change(list, types, func(ids []string) []string { return without(ids, id) })
}

func without(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(s string) bool { return s == id })
}

// change applies f to the programs of each of types in the first group of defaults.
func change(list string, types []string, f func(ids []string) []string) string {
	lines := strings.SplitAfter(list, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	at := slices.IndexFunc(lines, func(l string) bool { return strings.TrimSpace(l) == defaults })
	if at < 0 {
		var added []string
		for _, t := range types {
			if ids := f(nil); len(ids) > 0 {
				added = append(added, line(t, ids))
			}
		}
		if len(added) == 0 {
			return list
		}
		if len(lines) > 0 {
			lines = append(lines, "\n")
		}
		return strings.Join(append(append(lines, defaults+"\n"), added...), "")
	}
	for _, t := range types {
		lines = changeLine(lines, at, t, f)
	}
	return strings.Join(lines, "")
}

// changeLine applies f to the programs of the type t in the group that begins at the line at.
func changeLine(lines []string, at int, t string, f func(ids []string) []string) []string {
	end := at + 1
	for ; end < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[end]), "["); end++ {
		key, value, ok := strings.Cut(lines[end], "=")
		if !ok || strings.TrimSpace(key) != t {
			continue
		}
		old := slices.DeleteFunc(strings.Split(strings.TrimSpace(value), ";"), func(s string) bool { return s == "" })
		ids := f(old)
		switch {
		case slices.Equal(ids, old):
			return lines
		case len(ids) == 0:
			return slices.Delete(lines, end, end+1)
		}
		lines[end] = line(t, ids)
		return lines
	}
	ids := f(nil)
	if len(ids) == 0 {
		return lines
	}
	for end > at+1 && strings.TrimSpace(lines[end-1]) == "" { // before the empty lines at the end of the group
		end--
	}
	return slices.Insert(lines, end, line(t, ids))
}

func line(t string, ids []string) string { return t + "=" + strings.Join(ids, ";") + ";\n" }
