package metainfo_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"spate/bencode"
	"spate/metainfo"
)

// dict returns a dictionary of keys and encoded values in the given order.
func dict(pairs ...string) string {
	var b strings.Builder
	b.WriteByte('d')
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString(str(pairs[i]) + pairs[i+1])
	}
	return b.String() + "e"
}

func list(values ...string) string { return "l" + strings.Join(values, "") + "e" }

func num(n int64) string { return string(bencode.AppendInt(nil, n)) }

// path returns a list of the elements of a path.
func path(p string) string {
	var parts []string
	for part := range strings.SplitSeq(p, "/") {
		parts = append(parts, str(part))
	}
	return list(parts...)
}

// v1 returns a torrent of empty files with the given paths. It makes a symbolic link of a
// path in the form "link -> target".
func v1(paths ...string) []byte {
	var files []string
	for _, p := range paths {
		at, target, isLink := strings.Cut(p, " -> ")
		if isLink {
			files = append(files, dict("attr", str("l"), "length", num(0), "path", path(at), "symlink path", path(target)))
		} else {
			files = append(files, dict("length", num(0), "path", path(p)))
		}
	}
	return []byte(dict("info", v1Info("files", list(files...))))
}

// v1Info returns an info dictionary with changed or additional values.
func v1Info(pairs ...string) string {
	return dict(merge([]string{"name", str("n"), "piece length", num(16384), "pieces", str("")}, pairs)...)
}

// merge adds the pairs of more to those of base, sorted by key. An empty value removes
// a key.
func merge(base, more []string) []string {
	all := map[string]string{}
	for i := 0; i < len(base); i += 2 {
		all[base[i]] = base[i+1]
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
		if more[i+1] == "" {
			delete(all, more[i])
		}
	}
	var out []string
	for len(all) > 0 {
		least := ""
		for k := range all {
			if least == "" || k < least {
				least = k
			}
		}
		out = append(out, least, all[least])
		delete(all, least)
	}
	return out
}

func mustParse(t *testing.T, b []byte) *metainfo.MetaInfo {
	t.Helper()
	m, err := metainfo.Parse(b)
	if err != nil {
		t.Fatalf("parsing %q: %v", b, err)
	}
	return m
}

// wantError checks that err names field and has an offset inside b.
func wantError(t *testing.T, b []byte, err error, field string) {
	t.Helper()
	var e *metainfo.Error
	if !errors.As(err, &e) {
		t.Errorf("%.200q: %v, want an error about %s", b, err, field)
		return
	}
	if e.Field != field || e.Offset < -1 || e.Offset > len(b) || strings.Contains(e.Error(), "\n") {
		t.Errorf("%.200q: field %q at %d: %v, want %s", b, e.Field, e.Offset, e, field)
	}
}

func paths(m *metainfo.MetaInfo) []string {
	var list []string
	for k := range m.Info.Files {
		f := &m.Info.Files[k]
		s := f.DisplayPath()
		if f.IsSymlink() && f.Symlink != nil {
			s += " -> " + strings.Join(f.Symlink.Target, "/")
		} else if f.IsSymlink() {
			s += " -> nowhere"
		}
		list = append(list, s)
	}
	return list
}

func rawPath(r metainfo.Rename) string { return string(bytes.Join(r.Raw, []byte("/"))) }
