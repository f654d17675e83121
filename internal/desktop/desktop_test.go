package desktop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAssociationsStayIntact checks that only the lines of the own types change, that a second change
// changes nothing, and that the removal restores the text.
func TestAssociationsStayIntact(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"no file":        {"", "[Default Applications]\nm=s;\nb=s;\n"},
		"no group":       {"[Added Associations]\nm=x;\n", "[Added Associations]\nm=x;\n\n[Default Applications]\nm=s;\nb=s;\n"},
		"no newline":     {"[Default Applications]\nb=x", "[Default Applications]\nb=s;x;\nm=s;\n"},
		"another client": {"# mine\n[Default Applications]\nb = x.desktop;y;\ntext/html=f;\n\n[Removed Associations]\nm=z;\n", "# mine\n[Default Applications]\nb=s;x.desktop;y;\ntext/html=f;\nm=s;\n\n[Removed Associations]\nm=z;\n"},
		"not the first":  {"[Default Applications]\nm=x;s;\n", "[Default Applications]\nm=s;x;\nb=s;\n"},
		"other groups":   {"[A]\n[Default Applications]\n[B]\nm=x\n", "[A]\n[Default Applications]\nm=s;\nb=s;\n[B]\nm=x\n"},
		"CRLF":           {"[Default Applications]\r\nm=x;\r\n", "[Default Applications]\r\nm=s;x;\nb=s;\n"},
	} {
		types := []string{"m", "b"}
		got := SetDefault(c.before, "s", types)
		if got != c.after {
			t.Errorf("%s: %q, want %q", name, got, c.after)
		}
		if again := SetDefault(got, "s", types); again != got {
			t.Errorf("%s: a second change: %q", name, again)
		}
		removed := RemoveDefault(got, "s", types)
		if strings.Contains(removed, "=s") || RemoveDefault(removed, "s", types) != removed {
			t.Errorf("%s: removed: %q", name, removed)
		}
		for line := range strings.Lines(c.before) {
			if key, _, ok := strings.Cut(line, "="); (!ok || strings.TrimSpace(key) != "m" && strings.TrimSpace(key) != "b") && !strings.Contains(removed, strings.TrimSpace(line)) {
				t.Errorf("%s: %q is missing after the removal", name, line)
			}
		}
	}
}

// FuzzAssociations checks for any text that a change can be repeated and keeps the lines of others.
func FuzzAssociations(f *testing.F) {
	f.Add("[Default Applications]\nm=x;\n\n[Added Associations]\nm=y;\n")
	f.Fuzz(func(t *testing.T, text string) {
		got := SetDefault(text, "s", []string{"m"})
		if SetDefault(got, "s", []string{"m"}) != got {
			t.Errorf("a second change of %q changes %q", text, got)
		}
		for line := range strings.Lines(text) {
			if key, _, _ := strings.Cut(line, "="); strings.TrimSpace(key) != "m" && !strings.Contains(got, strings.TrimRight(line, "\n")) {
				t.Errorf("%q of %q is missing", line, text)
			}
		}
	})
}

// TestInstallTwiceAndRemove checks the files, and that a second installation changes nothing.
func TestInstallTwiceAndRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := Place{filepath.Join(dir, "data"), filepath.Join(dir, "config")}
	const before = "[Default Applications]\nx-scheme-handler/magnet=other.desktop;\n"
	if err := os.MkdirAll(p.Config, 0o755); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "kept") // the list is a link, as in a repository of settings
	if err := os.WriteFile(kept, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kept, p.associations()); err != nil {
		t.Skip(err)
	}
	for i, want := range []int{3, 0} {
		done, err := p.Install("/usr/bin/spate", []byte("<svg/>"))
		if err != nil || len(done) != want {
			t.Errorf("installation %d: %v, %v", i, done, err)
		}
	}
	if b, _ := os.ReadFile(kept); string(b) != "[Default Applications]\nx-scheme-handler/magnet=spate.desktop;other.desktop;\napplication/x-bittorrent=spate.desktop;\n" {
		t.Errorf("the list is %q", b)
	}
	for i, want := range []int{3, 0} {
		done, err := p.Remove()
		if err != nil || len(done) != want {
			t.Errorf("removal %d: %v, %v", i, done, err)
		}
	}
	if b, _ := os.ReadFile(kept); string(b) != before {
		t.Errorf("after the removal the list is %q", b)
	}
}

// TestEntryIsValid checks entries with the validator of freedesktop.org, and the quotes of a path.
func TestEntryIsValid(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		"spate": "spate", "/opt/my apps/spate": `"/opt/my apps/spate"`, "/a/50%/s": "/a/50%%/s", `/a/"$x\/s`: `"/a/\\"\\$x\\\\/s"`,
	} {
		text := Entry(program)
		if !strings.Contains(text, "\nExec="+want+" open %u\n") {
			t.Errorf("%s: %s", program, text)
		}
		validate, err := exec.LookPath("desktop-file-validate")
		if err != nil {
			continue
		}
		path := filepath.Join(t.TempDir(), ID)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(validate, path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", program, err, out)
		}
	}
}
