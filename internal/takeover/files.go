package takeover

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"spate/bitfield"
	"spate/metainfo"
)

// Limits of what is taken over of a torrent.
const (
	maxRules = 500       // rules for priorities of files
	maxPaths = 256 << 10 // bytes of the paths of renamed files
	maxLabel = 100       // characters
)

// setPaths records where the files are. at holds for each file its path below t.Dir, with slashes,
// or "" if the program has not renamed it. incomplete is the ending of incomplete files in these paths.
func (t *Torrent) setPaths(at []string, incomplete string) error {
	t.Kept.Partial = incomplete
	mi := t.info
	if len(at) != len(mi.Info.Files) || !slices.ContainsFunc(at, func(p string) bool { return p != "" }) {
		return nil
	}
	for i, p := range at {
		if incomplete != "" {
			at[i] = strings.TrimSuffix(p, incomplete)
		}
		if p != "" && !filepath.IsLocal(filepath.FromSlash(p)) {
			return fmt.Errorf("the path %q of a file leads out of its directory", p)
		}
	}
	if mi.Info.Single() {
		dir, name := filepath.Split(filepath.FromSlash(at[0]))
		t.Dir, t.Kept.Name = filepath.Join(t.Dir, dir), name
		return nil
	}
	root := ""
	for i := range at {
		f := &mi.Info.Files[i]
		if f.Pad() {
			continue
		}
		at[i] = cmp.Or(at[i], mi.Info.Name+"/"+f.DisplayPath())
		first, _, below := strings.Cut(at[i], "/")
		switch {
		case !below || root != "" && root != first:
			t.mixed = true
		case root == "":
			root = first
		}
	}
	if t.mixed {
		t.Dir, root = filepath.Split(filepath.Clean(t.Dir))
		t.Dir = filepath.Clean(t.Dir)
		if root == "" {
			return errors.New("its files are in the root directory")
		}
	}
	t.Kept.Name = root
	size := 0
	for i, p := range at {
		f := &mi.Info.Files[i]
		if f.Pad() {
			continue
		}
		if !t.mixed {
			_, p, _ = strings.Cut(p, "/")
		}
		if p == f.DisplayPath() {
			continue
		}
		if t.Kept.Paths == nil {
			t.Kept.Paths = map[int]string{}
		}
		t.Kept.Paths[i] = p
		if size += len(p); size > maxPaths {
			return errors.New("too many of its files were renamed")
		}
	}
	return nil
}

// setPriorities makes rules of the priorities of the files, which are names of priorities.
func (t *Torrent) setPriorities(priority []string) {
	files := t.info.Info.Files
	if len(priority) != len(files) {
		return
	}
	count := map[string]int{}
	for i, p := range priority {
		if !files[i].Pad() {
			count[p]++
		}
	}
	most := "normal"
	for p, n := range count {
		if n > count[most] || n == count[most] && p < most && most != "normal" {
			most = p
		}
	}
	if most != "normal" {
		t.Rules = append(t.Rules, Rule{"*", most})
	}
	// A directory whose files all have one priority is one rule.
	same := map[string]string{} // by directory; "" if they differ
	for i, p := range priority {
		if files[i].Pad() {
			continue
		}
		for dir := range dirsAbove(files[i].DisplayPath()) {
			if had, ok := same[dir]; ok && had != p {
				same[dir] = ""
			} else if !ok {
				same[dir] = p
			}
		}
	}
	covered := map[string]bool{}
	for i, p := range priority {
		if files[i].Pad() || p == most {
			continue
		}
		what := t.info.Info.Name
		if files[i].Path != nil {
			what = files[i].DisplayPath()
			for dir := range dirsAbove(what) {
				if same[dir] == p {
					what = dir
					break
				}
			}
			what = "/" + what
		}
		if covered[what] {
			continue
		}
		covered[what] = true
		if len(t.Rules) == maxRules {
			t.Rules, t.Paused = nil, true
			t.Notes = append(t.Notes, "it has too many files with different priorities: all files are wanted, and it is paused")
			return
		}
		t.Rules = append(t.Rules, Rule{escapeGlob(what), p})
	}
}

// dirsAbove returns the directories above a path, from the top.
func dirsAbove(p string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range p {
			if p[i] == '/' && !yield(p[:i]) {
				return
			}
		}
	}
}

// escapeGlob returns the pattern that matches only p.
func escapeGlob(p string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(p)
}

// setLabel chooses the label among the categories and tags of a torrent.
func (t *Torrent) setLabel(labels ...string) {
	labels = slices.DeleteFunc(labels, func(l string) bool { return l == "" })
	if len(labels) == 0 {
		return
	}
	t.Label = labelOf(labels[0])
	if len(labels) > 1 {
		t.Notes = append(t.Notes, "of its labels only "+t.Label+" is kept: "+strings.Join(labels, ", "))
	}
}

// labelOf returns a name as a label, which has no characters with another meaning.
func labelOf(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`=/\,`, r) || unicode.IsControl(r) || r == utf8.RuneError {
			return '-'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxLabel {
		s = string(r[:maxLabel])
	}
	return strings.TrimSpace(s)
}

// setHave records the verified pieces.
func (t *Torrent) setHave(have bitfield.Bitfield) {
	if !have.None() {
		t.Kept.Have = have.Bytes()
	}
}

// piecesOf returns the first piece of file i and the one after its last. Both are 0 for an empty file.
func piecesOf(info *metainfo.Info, i int) (first, end int) {
	f := &info.Files[i]
	if f.Length == 0 || info.PieceLength <= 0 {
		return 0, 0
	}
	return int(f.Offset / info.PieceLength), int((f.Offset+f.Length-1)/info.PieceLength) + 1
}

// allOf reports whether have has all pieces of file i.
func allOf(info *metainfo.Info, have bitfield.Bitfield, i int) bool {
	first, end := piecesOf(info, i)
	next := have.NextClear(first)
	return first == end || next < 0 || next >= end
}
