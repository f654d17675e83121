package metainfo_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestOtherPaths checks the paths at which other programs store files: the bytes of the
// torrent, and what libtorrent, Transmission and aria2 make of them.
func TestOtherPaths(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("most of these names are not valid on Windows")
	}
	cases := []struct {
		raw      []string // paths in the torrent
		other    string   // OtherPaths(false)
		distinct string   // OtherPaths(true), if it differs
	}{
		{raw: []string{"plain", "d/é"}},
		{[]string{"caf\xe9.txt"}, `0:caf\xe9.txt 0:caf_xt 0:caf�.txt 0:caf%E9.txt`, ""},
		{[]string{"d\xe9/b", "d\xe9/\xff"}, `0:d\xe9/b 0:d�/b 0:d%E9/b 1:d\xe9/\xff 1:d�/� 1:d%E9/%FF`, ""},
		{[]string{"\x83\x65\x83\x58\x83\x67"}, `0:\x83e\x83X\x83g 0:�e�X�g 0:%83e%83X%83g`, ""}, // Shift-JIS
		{[]string{"tab\tnl\n"}, "0:tab\\tnl\\n", ""},
		{[]string{"exe\u202etxt"}, "0:exe\\u202etxt 0:exetxt", ""},
		{[]string{"a\\b"}, `0:a\\b 0:ab`, ""},
		{[]string{"CON", "c:x"}, "0:CON 1:c:x", ""},
		{[]string{"a", "A"}, "1:A", "-"}, // "A" is "a" on some file systems
		{[]string{"a", "a"}, "-", "-"},
		{[]string{"a\x01", "a\x02", "a_"}, "0:a\\x01 1:a\\x02", ""},
		{[]string{"_", "\xff", "\xfe"}, `1:\xff 1:� 1:%FF 2:\xfe 2:%FE`, ""}, // only one file can be U+FFFD
		{[]string{"../x", "a/../b", "./c", "d//e", "f/\x00", "g/a/b"}, "-", ""},
		{[]string{"x/" + strings.Repeat("\xe9", 200)}, "0:x/" + strings.Repeat(`\xe9`, 200) + " 0:x/" + strings.Repeat("_", 67), ""},
	}
	for _, c := range cases {
		m := mustParse(t, v1(append(c.raw, "last")...))
		for _, distinct := range []bool{false, true} {
			want := c.other
			if distinct && c.distinct != "" {
				want = c.distinct
			}
			if got := shown(m.OtherPaths(distinct)); got != strings.TrimPrefix(want, "-") {
				t.Errorf("OtherPaths(%v) of %q = %s, want %s", distinct, c.raw, got, want)
			}
		}
	}
}

// shown returns paths as INDEX:PATH, in order.
func shown(paths map[int][]string) string {
	var list []string
	for k := range 20 {
		for _, p := range paths[k] {
			q := fmt.Sprintf("%q", p)
			list = append(list, fmt.Sprintf("%d:%s", k, q[1:len(q)-1]))
		}
	}
	return strings.Join(list, " ")
}

// TestOtherPathsOfTwoKeys checks that the value of path is tried if path.utf-8 is used.
func TestOtherPathsOfTwoKeys(t *testing.T) {
	file := func(path, utf8 string) string {
		return dict("length", num(0), "path", list(str(path)), "path.utf-8", list(str(utf8)))
	}
	m := mustParse(t, []byte(dict("info", v1Info("files", list(file("\xe9", "é"), file("same", "same"), file("e", "ê"), file("last", "last")),
		"name", str("n\xe9"), "name.utf-8", str("né")))))
	if got, want := shown(m.OtherPaths(true)), `0:\xe9 0:_ 0:� 0:%E9 2:e`; got != want {
		t.Errorf("OtherPaths = %s, want %s", got, want)
	}
	if got := m.OtherNames(); !slices.Equal(got, []string{"n\xe9", "n_", "n�", "n%E9"}) {
		t.Errorf("OtherNames = %q", got)
	}
	plain := mustParse(t, []byte(dict("info", v1Info("files", list(file("same", "same")), "name", str("n"), "name.utf-8", str("n")))))
	if len(plain.OtherPaths(false)) > 0 || len(plain.OtherNames()) > 0 {
		t.Errorf("equal values of two keys give the other paths %v and names %q", plain.OtherPaths(false), plain.OtherNames())
	}
}

func TestOtherNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("most of these names are not valid on Windows")
	}
	for raw, want := range map[string][]string{
		"plain": nil, "é": nil, "": nil, ".": nil, "..": nil, "../a": {"..a"}, "a/b": {"ab"}, "\x00": nil,
		"n\xff":   {"n\xff", "n�", "n%FF"}, // spate and libtorrent store n_
		"tab\t":   {"tab\t"},
		"nul":     {"nul"},
		"a\u200b": {"a\u200b"},
	} {
		m := mustParse(t, []byte(dict("info", v1Info("length", num(0), "name", str(raw)))))
		if got := m.OtherNames(); !slices.Equal(got, want) {
			t.Errorf("OtherNames of %q = %q, want %q", raw, got, want)
		}
	}
}

// TestOtherPathsOfV2 checks the paths of a v2 torrent.
func TestOtherPathsOfV2(t *testing.T) {
	m := mustParse(t, []byte("d4:infod9:file treed1:ad0:d6:lengthi0eee3:b\t\xffd0:d6:lengthi0eeee12:meta versioni2e4:name1:n12:piece lengthi16384eee"))
	if got, want := shown(m.OtherPaths(true)), `1:b\t\xff 1:b\t_ 1:b\t� 1:b%09%FF`; got != want {
		t.Errorf("OtherPaths = %s, want %s", got, want)
	}
}
