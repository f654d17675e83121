package metainfo_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"spate/metainfo"
)

// TestNamesAreSafe checks that no path element leaves the directory, is the name of a
// device or drive, or contains control characters.
func TestNamesAreSafe(t *testing.T) {
	long := strings.Repeat("x", 300)
	cases := []struct {
		raw, safe, windows, native string // empty windows and native are the same as safe
	}{
		{"plain.txt", "plain.txt", "", ""},
		{"dir/été 漢字.txt", "dir/été 漢字.txt", "", ""},
		{".hidden", ".hidden", "", ""},
		{"...", "...", "___", ""},
		{"../../etc/passwd", "etc/passwd", "", ""},
		{"a/../../b", "a/b", "", ""},
		{"./a/.", "a", "", ""},
		{"a//b", "a/b", "", ""},
		{"..", "_", "", ""},
		{"a\\..\\b", "a_.._b", "", `a\..\b`},
		{"C:", "C_", "", "C:"},
		{"c:autoexec.bat", "c_autoexec.bat", "", "c:autoexec.bat"},
		{"12:30.txt", "12:30.txt", "12_30.txt", ""},
		{"CON", "_CON", "", "CON"},
		{"aux.c", "_aux.c", "", "aux.c"},
		{"nul .txt", "_nul .txt", "", "nul .txt"},
		{"Com1/lpt9.log", "_Com1/_lpt9.log", "", "Com1/lpt9.log"},
		{"COM¹", "_COM¹", "", "COM¹"},
		{"conin$", "_conin$", "", "conin$"},
		{"console", "console", "", ""},
		{"com10", "com10", "", ""},
		{"a\x00b", "a_b", "", ""},
		{"a\x1b[31mb\r\n", "a_[31mb__", "", "a\x1b[31mb\r\n"},
		{"del\x7f c1\u0085 \u009b31m", "del_ c1_ _31m", "", "del\x7f c1\u0085 \u009b31m"},
		{"exe\u202etxt.scr", "exe_txt.scr", "", "exe\u202etxt.scr"},
		{"\u200e\u200f\u2066\u2069\u061c\u2028", "______", "", "\u200e\u200f\u2066\u2069\u061c\u2028"},
		{"zero\u200dwidth", "zero_width", "", "zero\u200dwidth"},
		{"zero\u200bwidth\ufeff", "zero_width_", "", "zero\u200bwidth\ufeff"},
		{"\u3164\u00ad\u2800\u2060\U000e0001\U000e0041", "______", "", "\u3164\u00ad\u2800\u2060\U000e0001\U000e0041"},
		{".\u200b./\u200d", "._./_", ".__/_", ".\u200b./\u200d"},
		{"\ufdd0\uffff\U0010fffe", "___", "", "\ufdd0\uffff\U0010fffe"},
		{"👨\u200d👩\u200d👧/❤️\u200d🔥 1️⃣.txt", "👨\u200d👩\u200d👧/❤️\u200d🔥 1️⃣.txt", "", ""},
		{"می\u200cخواهم/क्\u200dष", "می\u200cخواهم/क्\u200dष", "", ""},
		{"\uf8ff private", "\uf8ff private", "", ""},
		{"cesu\xed\xa0\xbd\xed\xb8\x80", "cesu______", "", "cesu\xed\xa0\xbd\xed\xb8\x80"},
		{"overlong\xc0\xae\xe0\x80\xaf", "overlong_____", "", "overlong\xc0\xae\xe0\x80\xaf"},
		{"bad\xff\xc3utf8", "bad__utf8", "", "bad\xff\xc3utf8"},
		{"replacement\ufffd", "replacement\ufffd", "", ""},
		{"what?<|>*\"", "what?<|>*\"", "what______", ""},
		{"dot. ", "dot. ", "dot__", ""},
		{long, long[:255], "", ""},
		{long + ".tar", long[:251] + ".tar", "", ""},
		{"con." + long, "_con." + long[:250], "", "con." + long[:251]},
		{strings.Repeat("é", 200), strings.Repeat("é", 127), "", ""},
	}
	for _, c := range cases {
		for _, n := range []struct {
			policy metainfo.Names
			want   string
		}{{metainfo.NamesSafe, c.safe}, {metainfo.NamesWindows, c.windows}, {metainfo.NamesNative, c.native}} {
			want := n.want
			if want == "" {
				want = c.safe
			}
			if runtime.GOOS == "windows" && n.policy != metainfo.NamesWindows {
				continue
			}
			m, err := metainfo.Options{Names: n.policy}.Parse(v1(c.raw, "other"))
			if err != nil {
				t.Errorf("Parse of a torrent with the name %q: %v", c.raw, err)
				continue
			}
			if got := m.Info.Files[0].DisplayPath(); got != want {
				t.Errorf("policy %d: %q became %q, want %q", n.policy, c.raw, got, want)
			}
			renames := m.Info.Renames(m.InfoBytes)
			if changed := want != c.raw; changed != (len(renames) == 1) || changed && (renames[0].File != 0 || rawPath(renames[0]) != c.raw) {
				t.Errorf("policy %d: %q became %q, but Renames returned %v", n.policy, c.raw, want, renames)
			}
		}
	}
}

func TestTorrentNameIsSafe(t *testing.T) {
	for raw, want := range map[string]string{
		"plain": "plain", "../../evil": ".._.._evil", "/etc": "_etc", "nul": "_nul", "a\nb": "a_b",
	} {
		m := mustParse(t, []byte(dict("info", v1Info("length", num(0), "name", str(raw)))))
		if m.Info.Name != want || (m.Info.RawName == "") != (raw == want) || m.Info.RawName != "" && m.Info.RawName != raw {
			t.Errorf("the name %q became %q with the original name %q, want %q", raw, m.Info.Name, m.Info.RawName, want)
		}
	}
	for _, raw := range []string{"", ".", ".."} {
		m := mustParse(t, []byte(dict("info", v1Info("length", num(0), "name", str(raw)))))
		if h, _ := m.HashV1(); m.Info.Name != h.String() {
			t.Errorf("%q became %q, not the info-hash", raw, m.Info.Name)
		}
	}
}

// TestCollisions checks that no two files have paths that differ only in case or
// composition, and that the first of several files keeps its name.
func TestCollisions(t *testing.T) {
	long := strings.Repeat("x", 255)
	cases := []struct{ raw, want []string }{
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{"a.txt", "a.txt", "a.txt"}, []string{"a.txt", "a.1.txt", "a.2.txt"}},
		{[]string{"a", "A", "a.1"}, []string{"a", "A.2", "a.1"}},
		{[]string{"Dir/x", "dir/X"}, []string{"Dir/x", "dir/X.1"}},
		{[]string{"d", "d/x"}, []string{"d.1", "d/x"}},
		{[]string{"d/x", "D"}, []string{"d/x", "D.1"}},
		{[]string{"d/x/y", "d/x"}, []string{"d/x/y", "d/x.1"}},
		{[]string{"\u00e9", "e\u0301", "E\u0301"}, []string{"\u00e9", "e\u0301.1", "E\u0301.2"}},
		{[]string{"straße", "STRASSE", "ſtrasse"}, []string{"straße", "STRASSE.1", "ſtrasse.2"}},
		{[]string{"Σ", "ς", "σ"}, []string{"Σ", "ς.1", "σ.2"}},
		{[]string{"ΐ", "ΐ", "ι\u0308\u0301"}, []string{"ΐ", "ΐ.1", "ι\u0308\u0301.2"}},
		{[]string{"ﬁ", "FI", "K", "\u212a"}, []string{"ﬁ", "FI.1", "K", "\u212a.1"}},
		{[]string{"한", "\u1112\u1161\u11ab"}, []string{"한", "\u1112\u1161\u11ab.1"}},
		{[]string{"q\u0323\u0307", "q\u0307\u0323"}, []string{"q\u0323\u0307", "q\u0307\u0323.1"}},
		{[]string{"resume", "résumé", "ı", "i", "Ж", "漢"}, []string{"resume", "résumé", "ı", "i", "Ж", "漢"}},
		{[]string{"a/../b", "a/b"}, []string{"a/b", "a/b.1"}},
		{[]string{"a\x01", "a\x02"}, []string{"a_", "a_.1"}},
		{[]string{"a\u200b", "a\ufeff", "a"}, []string{"a_", "a_.1", "a"}},
		{[]string{"é.txt", "é\u200d.txt", "É\ufe0f.txt"}, []string{"é.txt", "é\u200d.1.txt", "É\ufe0f.2.txt"}},
		{[]string{"👨\u200d👩", "👨👩", "❤/x", "❤️/x"}, []string{"👨\u200d👩", "👨👩.1", "❤/x", "❤️/x.1"}},
		{[]string{long, long}, []string{long, long[:244] + ".1"}},
		{[]string{".bashrc", ".BASHRC", "noext.", "NOEXT."}, []string{".bashrc", ".BASHRC.1", "noext.", "NOEXT.1."}},
	}
	for _, c := range cases {
		m := mustParse(t, v1(c.raw...))
		if got := paths(m); !slices.Equal(got, c.want) {
			t.Errorf("%q became %q, want %q", c.raw, got, c.want)
		}
		checkSafe(t, m)
		for _, r := range m.Info.Renames(m.InfoBytes) {
			if c.want[r.File] != strings.Join(r.Path, "/") || c.raw[r.File] != rawPath(r) || c.want[r.File] == c.raw[r.File] {
				t.Errorf("%q: Renames reports that %q became %q", c.raw, r.Raw, r.Path)
			}
		}
		if (m.Info.NumRenames() > 0) != (len(m.Warnings) > 0) {
			t.Errorf("%q: %d files were renamed, but the warnings are %v", c.raw, m.Info.NumRenames(), m.Warnings)
		}
	}
}

// TestSymlinks checks that links lead to entries of the torrent and create no cycles.
func TestSymlinks(t *testing.T) {
	cases := []struct{ raw, want []string }{
		{[]string{"a", "l -> a"}, []string{"a", "l -> a"}},
		{[]string{"d/a", "l -> d", "d/m -> d/a"}, []string{"d/a", "l -> d", "d/m -> d/a"}},
		{[]string{"d/a", "d/l -> a"}, []string{"d/a", "d/l -> d/a"}},         // relative to the directory of the link
		{[]string{"d/a", "a", "d/l -> a"}, []string{"d/a", "a", "d/l -> a"}}, // relative to the root first (BEP 47)
		{[]string{"d/a", "b", "d/l -> ../b"}, []string{"d/a", "b", "d/l -> b"}},
		{[]string{"d/a", "d/l -> ../../b", "b"}, []string{"d/a", "d/l -> nowhere", "b"}},
		{[]string{"d/a", "d/l -> ..", "d/m -> ."}, []string{"d/a", "d/l -> nowhere", "d/m -> nowhere"}},
		{[]string{"a", "l -> /etc/passwd", "m -> b", "n -> a/b"}, []string{"a", "l -> nowhere", "m -> nowhere", "n -> nowhere"}},
		{[]string{"a", "l -> m", "m -> a"}, []string{"a", "l -> m", "m -> a"}},
		{[]string{"l -> l", "m -> n", "n -> m"}, []string{"l -> nowhere", "m -> nowhere", "n -> nowhere"}},
		{[]string{"d/a", "d/l -> d"}, []string{"d/a", "d/l -> nowhere"}},
		{[]string{"d/a", "e/b", "d/l -> e", "e/m -> d"}, []string{"d/a", "e/b", "d/l -> nowhere", "e/m -> nowhere"}},
		{[]string{"V/A/x", "V/Cur -> V/A", "x -> V/Cur/x"}, []string{"V/A/x", "V/Cur -> V/A", "x -> V/Cur/x"}},
		{[]string{"l -> d", "l/x", "d/y"}, []string{"l.1 -> d", "l/x", "d/y"}}, // no file is written through a link
		{[]string{"a", "l -> a\\b", "m -> con"}, []string{"a", "l -> nowhere", "m -> nowhere"}},
	}
	for _, c := range cases {
		m := mustParse(t, v1(c.raw...))
		if got := paths(m); !slices.Equal(got, c.want) {
			t.Errorf("%q became %q, want %q", c.raw, got, c.want)
		}
		checkSafe(t, m)
	}
	m := mustParse(t, []byte(dict("info", v1Info("files", list(
		dict("attr", str("l"), "length", num(1), "path", path("l"), "symlink path", path("a")),
		dict("attr", str("xl"), "path", path("m"), "symlink path", path("l")),
	), "pieces", str(strings.Repeat("a", 20))))))
	if f := m.Info.Files; f[0].IsSymlink() || f[0].Length != 1 || f[1].Symlink == nil || !f[1].Executable() {
		t.Errorf("the files are %+v, want no link at first, then a link that is executable", f)
	}
}
