package ui

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestModulesInNode runs the tests of the modules of the page.
func TestModulesInNode(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("SPATE_E2E") == "require" {
			t.Fatal("node is missing, and SPATE_E2E=require")
		}
		t.Skip("SKIPPED: node is missing")
	}
	files, err := filepath.Glob("testdata/client/*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no tests of the modules", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, append([]string{"--test", "--test-timeout=120000"}, files...)...).CombinedOutput()
	if err != nil {
		t.Errorf("node --test: %v\n%s", err, out)
	}
}

// maxAssets is the maximum size of all assets of the client, each compressed.
const maxAssets = 150_000

// TestAssetsAreSmall checks the size of what a browser loads.
func TestAssetsAreSmall(t *testing.T) {
	t.Parallel()
	total := 0
	eachAsset(t, func(name string, data []byte) {
		if strings.HasPrefix(name, "vendor/") && path.Ext(name) == ".txt" {
			return // licences are not loaded
		}
		var b bytes.Buffer
		zip := gzip.NewWriter(&b)
		zip.Write(data)
		zip.Close()
		total += b.Len()
	})
	if total > maxAssets {
		t.Errorf("the assets have %d bytes compressed, want at most %d", total, maxAssets)
	}
	t.Logf("the assets have %d bytes compressed", total)
}

// TestPagesHaveNoInlineCode checks that pages and modules contain nothing that the content security
// policy forbids: scripts and styles in pages, and text that becomes HTML or code.
func TestPagesHaveNoInlineCode(t *testing.T) {
	t.Parallel()
	page := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:`)
	code := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|dangerouslySetInnerHTML|importScripts`)
	eachAsset(t, func(name string, data []byte) {
		switch {
		case path.Ext(name) == ".html" && page.Match(data):
			t.Errorf("%s has inline code: %q", name, page.Find(data))
		case path.Ext(name) == ".js" && !strings.HasPrefix(name, "vendor/") && code.Match(data):
			t.Errorf("%s makes HTML or code of text: %q", name, code.Find(data))
		}
	})
}

// TestVendored checks that the libraries are the versions in vendor/README.txt.
func TestVendored(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"preact.js":       "225d7a773766e6fb2cfcc45274fe41d2059f5782f3f2c4569aa5132a2d3a2902",
		"preact-hooks.js": "5c65ab263688d0805862fd0807c779af02c2799c44fda0873dfcb870d0da70a0",
		"htm.js":          "ab33dd3f38059b9be4d5f5350128eefb2356639c4e0bbe9d9e8b3ba75847e9e4",
		"uplot.js":        "073f022c867cb9c40f0be28f5d680830857a5b3a04082c2473880c8328a12e04",
		"uplot.css":       "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	} {
		data, err := embedded.ReadFile("static/vendor/" + name)
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has the SHA-256 sum %x", name, sum)
		}
	}
}

// TestLookIsThatOfTheSite checks that the colours of the client are those of the public site.
func TestLookIsThatOfTheSite(t *testing.T) {
	t.Parallel()
	site, err := os.ReadFile("../../site/static/site.css")
	if err != nil {
		t.Fatal(err)
	}
	own, err := embedded.ReadFile("static/css/look.css")
	if err != nil {
		t.Fatal(err)
	}
	colour := regexp.MustCompile(`(?m)^\s+(--[a-z-]+): (#[0-9a-f]+);$`)
	colours := func(css []byte) map[string][]string {
		all := map[string][]string{}
		for _, m := range colour.FindAllSubmatch(css, -1) {
			all[string(m[1])] = append(all[string(m[1])], string(m[2]))
		}
		return all
	}
	ours := colours(own)
	for name, want := range colours(site) {
		if got := strings.Join(ours[name], " "); got != strings.Join(want, " ") {
			t.Errorf("%s is %q, and %q on the site", name, got, want)
		}
	}
}

// TestImportsExist checks that the modules import only files that exist.
func TestImportsExist(t *testing.T) {
	t.Parallel()
	imports := regexp.MustCompile(`(?:from |import\(|import )"(\.[^"]+)"`)
	assets := map[string]bool{}
	eachAsset(t, func(name string, _ []byte) { assets[name] = true })
	eachAsset(t, func(name string, data []byte) {
		if path.Ext(name) != ".js" {
			return
		}
		for _, m := range imports.FindAllSubmatch(data, -1) {
			if to := path.Join(path.Dir(name), string(m[1])); !assets[to] {
				t.Errorf("%s imports %s", name, m[1])
			}
		}
	})
}

// eachAsset calls do with each file of static/.
func eachAsset(t *testing.T, do func(name string, data []byte)) {
	t.Helper()
	static, err := fs.Sub(embedded, "static")
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(static, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(static, name)
		if err == nil {
			do(name, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStylesDoNotMeet checks that no two files style the same class as a whole: the page loads all of
// them, so that the one would change what the other is for.
func TestStylesDoNotMeet(t *testing.T) {
	t.Parallel()
	whole := regexp.MustCompile(`(?m)^\s*\.([a-z][a-z0-9-]*)\s*[,{]`)
	owner := map[string]string{}
	eachAsset(t, func(name string, data []byte) {
		if !strings.HasPrefix(name, "css/") {
			return
		}
		for _, m := range whole.FindAllStringSubmatch(string(data), -1) {
			if other := owner[m[1]]; other != "" && other != name {
				t.Errorf("%s and %s both style .%s", other, name, m[1])
			}
			owner[m[1]] = name
		}
	})
	if len(owner) < 50 {
		t.Errorf("found only %d classes", len(owner))
	}
}
