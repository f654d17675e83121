package main

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"spate/internal/classic"
	"spate/internal/cli"
)

// sharedFiles returns the files that are the same for all systems: manual pages below man1/ and
// man5/, completions below completions/, the documents, and the license.
func (d *dist) sharedFiles() ([]file, error) {
	root := cli.Command()
	var out []file
	add := func(path string, b []byte) { out = append(out, file{path: path, data: b, mode: 0o644}) }
	for _, p := range manPages(root, d.time) {
		add("man1/"+p.name+".1", p.text)
	}
	for _, t := range classic.Tools() {
		add("man1/"+t.Name+".1", toolPage(t, d.time))
	}
	toml, err := d.readSettingsPage()
	if err != nil {
		return nil, err
	}
	add("man5/"+toml.name+".5", toml.text)
	for name, generate := range map[string]func(*bytes.Buffer) error{
		"spate.bash": func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
		"_spate":     func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
		"spate.fish": func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
		"spate.ps1":  func(b *bytes.Buffer) error { return root.GenPowerShellCompletionWithDesc(b) },
	} {
		var b bytes.Buffer
		if err := generate(&b); err != nil {
			return nil, err
		}
		add("completions/"+name, b.Bytes())
	}
	names, err := d.documents()
	if err != nil {
		return nil, err
	}
	for _, name := range append(names, "LICENSE", "README.md", "CHANGELOG.md") {
		b, err := os.ReadFile(filepath.Join(d.top, name))
		if err != nil {
			return nil, err
		}
		add(name, b)
	}
	return out, nil
}

// documents returns the paths of the documents below docs/ for users.
func (d *dist) documents() (names []string, err error) {
	err = fs.WalkDir(os.DirFS(d.top), "docs", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir() && strings.Contains(".md .toml .yaml .svg", path.Ext(name)) && path.Ext(name) != "":
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// docs returns the files that an archive contains beside the program.
func (d *dist) docs(shared []file) []file {
	var out []file
	for _, f := range shared {
		if strings.HasPrefix(f.path, "man1/") || strings.HasPrefix(f.path, "man5/") {
			f.path = "share/man/" + f.path
		}
		out = append(out, f)
	}
	return out
}
