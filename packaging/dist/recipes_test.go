package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testDist returns the state of a run that has built all files, with invented sums.
func testDist() *dist {
	d := &dist{
		top: filepath.Join("..", ".."), time: time.Unix(1e9, 0).UTC(), maintainer: "Pat O'Example <pat@example.org>",
		url: "https://example.org/spate/files", sums: map[string]string{},
	}
	for _, t := range targets() {
		d.sums[t.archiveName()] = strings.Repeat("0a", 32)
		if t.os == "linux" {
			d.sums[t.packageName("deb")] = strings.Repeat("0b", 32)
		}
	}
	return d
}

// TestRecipes checks the recipes of package managers with the parsers of their languages, as far as
// these are installed.
func TestRecipes(t *testing.T) {
	t.Parallel()
	d := testDist()
	if err := d.check(); err != nil {
		t.Fatal(err)
	}
	all, err := d.recipes()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range all {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "{{"+".") || strings.Contains(string(text), "<no value>") {
			t.Errorf("%s contains a part of the template:\n%s", name, text)
		}
		if filepath.Ext(name) == ".json" && !json.Valid(text) {
			t.Errorf("%s is not JSON:\n%s", name, text)
		}
		for _, command := range map[string][][]string{
			".rb":   {{"ruby", "-c", path}},
			".nix":  {{"nix-instantiate", "--parse", path}},
			".yaml": {{"ruby", "-rdate", "-ryaml", "-e", `YAML.load_file(ARGV[0], permitted_classes: [Date])["PackageIdentifier"] == "Spate.Spate" or exit 1`, path}},
			"":      {{"bash", "-n", path}},
		}[filepath.Ext(name)] {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Logf("%s is not checked, because %s is not installed", name, command[0])
			} else if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%q: %v\n%s\n%s", command, err, out, text)
			}
		}
	}
	for file := range d.sums {
		if !strings.Contains(file, "freebsd") && !strings.HasSuffix(file, ".deb") && !strings.Contains(joined(all), "https://example.org/spate/files/"+file) && !strings.Contains(joined(all), `"`+file+`"`) {
			t.Errorf("no recipe names %s", file)
		}
	}
}

// joined returns all texts as one.
func joined(all map[string][]byte) string {
	var b strings.Builder
	for _, text := range all {
		b.Write(text)
	}
	return b.String()
}

// TestRecipesNeedAllFiles checks that a recipe with a file that was not built is an error.
func TestRecipesNeedAllFiles(t *testing.T) {
	t.Parallel()
	d := testDist()
	delete(d.sums, target{"windows", "arm64"}.archiveName())
	if all, err := d.recipes(); err == nil || !strings.Contains(err.Error(), "windows-arm64.zip was not built") {
		t.Errorf("recipes returned %d recipes and the error %v", len(all), err)
	}
}

// TestSettingsOfTheBuild checks that values which a recipe could not quote are errors.
func TestSettingsOfTheBuild(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*dist){
		"target":     func(d *dist) { d.only = []string{"plan9-amd64"} },
		"no address": func(d *dist) { d.maintainer = "Pat" },
		"command":    func(d *dist) { d.maintainer = "Pat$(id) <pat@example.org>" },
		"line":       func(d *dist) { d.maintainer = "Pat\nDepends: x <pat@example.org>" },
		"homepage":   func(d *dist) { d.homepage = "example.org" },
		"quote":      func(d *dist) { d.url = `https://example.org/"x` },
	} {
		d := testDist()
		change(d)
		if d.check() == nil {
			t.Errorf("%s: check returned no error", name)
		}
	}
}
