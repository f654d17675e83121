package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"spate"
	"spate/internal/classic"
)

// recipeFiles maps the templates below packaging/recipes to the paths below recipes/ in the output.
var recipeFiles = map[string]string{
	"homebrew.rb":           "homebrew/spate.rb",
	"nix.nix":               "nix/package.nix",
	"aur-PKGBUILD":          "aur/PKGBUILD",
	"aur-SRCINFO":           "aur/.SRCINFO",
	"scoop.json":            "scoop/spate.json",
	"winget.yaml":           "winget/Spate.Spate.yaml",
	"winget.installer.yaml": "winget/Spate.Spate.installer.yaml",
	"winget.locale-en.yaml": "winget/Spate.Spate.locale.en-US.yaml",
}

// recipe has the values of the templates. They contain no characters that end or change a text in
// double quotes: see [dist.check].
type recipe struct {
	Version, Summary, License string
	Maintainer, Publisher     string // with and without the address
	Homepage                  string // or the URL of the files
	URL                       string // of the directory of the files
	Date                      string // of the commit
	sums                      map[string]string
}

// File returns the name of the archive of a target, such as "linux-armv7", or of one of its
// packages, such as "linux-armv7.deb".
func (r *recipe) File(name string) (string, error) {
	name, format, isPackage := strings.Cut(name, ".")
	for _, t := range targets() {
		switch {
		case t.String() == name && isPackage:
			return t.packageName(format), nil
		case t.String() == name:
			return t.archiveName(), nil
		}
	}
	return "", fmt.Errorf("there is no target %s", name)
}

// Folder returns the name of the directory in the archive of a target.
func (r *recipe) Folder(name string) (string, error) {
	file, err := r.File(name)
	return strings.TrimSuffix(strings.TrimSuffix(file, ".zip"), ".tar.gz"), err
}

// Tools returns the names of the tools of 2005.
func (r *recipe) Tools() (names []string) {
	for _, t := range classic.Tools() {
		names = append(names, t.Name)
	}
	return names
}

// UpperSum returns [recipe.Sum] in upper case.
func (r *recipe) UpperSum(name string) (string, error) {
	s, err := r.Sum(name)
	return strings.ToUpper(s), err
}

// Sum returns the SHA-256 sum of a file of [recipe.File] in hexadecimal.
func (r *recipe) Sum(name string) (string, error) {
	file, err := r.File(name)
	if err == nil && r.sums[file] == "" {
		err = fmt.Errorf("%s was not built", file)
	}
	return r.sums[file], err
}

// SRI returns the SHA-256 sum of a file in the form of Subresource Integrity, which Nix uses.
func (r *recipe) SRI(name string) (string, error) {
	s, err := r.Sum(name)
	if err != nil {
		return "", err
	}
	b, err := hex.DecodeString(s)
	return "sha256-" + base64.StdEncoding.EncodeToString(b), err
}

// writeRecipes writes the recipes of package managers, which download the files from the URL of
// -url. They name the files of all targets, so that they need a run without -only.
func (d *dist) writeRecipes() error {
	switch {
	case d.url == "":
		fmt.Println("no recipes for Homebrew, Nix, AUR, scoop and winget: -url names no address of the files")
		return nil
	case len(d.only) > 0:
		fmt.Println("no recipes for Homebrew, Nix, AUR, scoop and winget: they need the files of all targets")
		return nil
	}
	all, err := d.recipes()
	if err != nil {
		return err
	}
	for name, text := range all {
		path := filepath.Join(d.out, "recipes", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	fmt.Println(filepath.Join(d.out, "recipes"))
	return nil
}

// recipes returns the recipes by path.
func (d *dist) recipes() (map[string][]byte, error) {
	publisher, _, _ := strings.Cut(d.maintainer, " <")
	r := &recipe{
		Version: spate.Version, Summary: strings.ToUpper(summary[:1]) + summary[1:], License: license, Maintainer: d.maintainer, Publisher: publisher,
		Homepage: d.homepage, URL: d.url, Date: d.time.Format(time.DateOnly), sums: d.sums,
	}
	if r.Homepage == "" {
		r.Homepage = d.url
	}
	all := map[string][]byte{}
	for from, to := range recipeFiles {
		t, err := template.New(from).ParseFiles(filepath.Join(d.top, "packaging/recipes", from))
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, r); err != nil {
			return nil, err
		}
		all[to] = b.Bytes()
	}
	return all, nil
}
