package spate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rows gives the row of each package in the import table of ARCHITECTURE.md. A package
// may import packages of lower rows. Imports between different entries of one row must
// be listed in edges. A package that is not listed has the row of its nearest listed
// parent.
var rows = map[string]int{
	"spate": 0, "spate/bencode": 0, "spate/bitfield": 0, "spate/merkle": 0, "spate/internal": 0,
	"spate/metainfo": 1, "spate/tracker": 1, "spate/tracker/wire": 1, "spate/peerwire": 1, "spate/signature": 1,
	"spate/lsd": 2, "spate/maker": 2, "spate/storage": 2, "spate/tracker/trackerclient": 2, "spate/tracker/swarm": 2,
	"spate/torrent": 3, "spate/tracker/trackerserver": 3,
	"spate/publish": 4, "spate/site": 4,
	"spate/internal/cli": 5, "spate/internal/legacy": 5, "spate/cmd": 6,
	"spate/e2e": 7, "spate/bench": 7, "spate/packaging": 7,
}

// edges lists the imports that are allowed between entries of one row.
var edges = map[[2]string]bool{
	{"spate/bencode", "spate"}:                      true,
	{"spate/tracker/wire", "spate/tracker"}:         true,
	{"spate/tracker/swarm", "spate/tracker/swarm"}:  true,
	{"spate/site", "spate/publish"}:                 true,
	{"spate/internal/cli", "spate/internal/legacy"}: true,
}

// listed returns the entry of rows that covers the package at path.
func listed(path string) string {
	for p := path; p != "."; p = filepath.Dir(p) {
		if _, ok := rows[p]; ok {
			return p
		}
	}
	return "spate"
}

func TestImportsGoDownOnly(t *testing.T) {
	fset := token.NewFileSet()
	documented := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Join("spate", filepath.Dir(path)))
		documented[pkg] = documented[pkg] || f.Doc != nil
		for _, imp := range f.Imports {
			to := strings.Trim(imp.Path.Value, `"`)
			if to != "spate" && !strings.HasPrefix(to, "spate/") {
				continue
			}
			a, b := listed(pkg), listed(to)
			if a == b || rows[b] < rows[a] || edges[[2]string{a, b}] || b == "spate" || rows[b] == 0 && b != "spate/internal" {
				continue
			}
			if b == "spate/internal" && rows[a] == 0 {
				continue // packages of row 0 may use internal helpers
			}
			t.Errorf("%s imports %s: row %d may not import row %d", pkg, to, rows[a], rows[b])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", pkg)
		}
	}
}

// TestDocs checks that the links in the documents lead to files, and that the Go files
// they name exist in the root of the module or in the folder torrent.
func TestDocs(t *testing.T) {
	link, source := regexp.MustCompile(`\]\(([^():#]+)[)#]`), regexp.MustCompile("`([a-z_/]+\\.go)`")
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), string(m[1]))); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
		for _, m := range source.FindAllSubmatch(text, -1) {
			_, err := os.Stat(string(m[1]))
			if _, engine := os.Stat(filepath.Join("torrent", string(m[1]))); err != nil && engine != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}

// dialling are the parts of the standard library that make connections out of addresses
// or URLs.
var dialling = map[string]*regexp.Regexp{
	"net":        regexp.MustCompile(`^(Dial|Dialer$)`),
	"net/http":   regexp.MustCompile(`^(Client|Transport|DefaultClient|DefaultTransport|Get|Head|Post|PostForm)$`),
	"crypto/tls": regexp.MustCompile(`^(Dial|Dialer$)`),
	"net/rpc":    regexp.MustCompile(`^Dial`),
	"net/smtp":   regexp.MustCompile(`^(Dial|SendMail$)`),
}

// mayDial are the uses of those without package netguard, as "file: package.Name", and
// why no URL of somebody else's gets there.
var mayDial = map[string]string{
	"internal/api/client.go: net.Dialer":                 "the socket of the daemon",
	"internal/api/client.go: http.Client":                "the daemon at the URL that --api-url gives",
	"internal/api/client.go: http.Transport":             "for the socket of the daemon",
	"internal/cli/fetch.go: http.Transport":              "limits for the guard's own transports",
	"internal/cli/publicurl.go: net.Dial":                "asks the system for a route and sends nothing",
	"internal/cli/running.go: http.Client":               "sockets in the state directory",
	"internal/cli/running.go: http.Transport":            "sockets in the state directory",
	"internal/cli/running.go: net.Dialer":                "sockets in the state directory",
	"internal/cli/serve.go: net.DialUnix":                "the socket of systemd",
	"torrent/internal/webseed/client.go: http.Transport": "limits for the guard's own transports",
	"torrent/options.go: net.Dialer":                     "peers, which package peerlist judges",
	"tracker/trackerclient/http.go: http.Transport":      "limits for the guard's own transports",
	"tracker/trackerserver/natcheck.go: net.Dialer":      "peers that announced, which are judged there",
}

// TestOnlyTheGuardDials: whatever asks URLs of others does so through internal/netguard.
// Tests, benchmarks and the simulated network are not looked at.
func TestOnlyTheGuardDials(t *testing.T) {
	fset := token.NewFileSet()
	found := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		if d.IsDir() {
			switch name := d.Name(); {
			case name != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools"),
				path == "internal/netguard", path == "internal/simnet", path == "bench", path == "e2e":
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, use := range dials(f) {
			use = path + ": " + use
			if found[use] = true; mayDial[use] == "" {
				t.Errorf("%s: let internal/netguard connect, or give the reason in mayDial", use)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for use := range mayDial {
		if !found[use] {
			t.Errorf("mayDial has %q, which is not there any more", use)
		}
	}
}

// dials returns what a file uses of [dialling], as "package.Name".
func dials(f *ast.File) (uses []string) {
	packages := map[string]*regexp.Regexp{} // by their names in this file
	for _, imp := range f.Imports {
		path := strings.Trim(imp.Path.Value, `"`)
		if names := dialling[path]; names != nil {
			name := path[strings.LastIndexByte(path, '/')+1:]
			if imp.Name != nil {
				name = imp.Name.Name
			}
			packages[name] = names
		}
	}
	if names := packages["."]; names != nil {
		return []string{"a dot import"}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && packages[x.Name] != nil && packages[x.Name].MatchString(s.Sel.Name) {
				uses = append(uses, x.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return uses
}

// TestDials: the ways to write a dial are found.
func TestDials(t *testing.T) {
	for src, want := range map[string]int{
		`package p; import "net"; var d net.Dialer`:                               1,
		`package p; import n "net"; var f = n.DialTimeout`:                        1,
		`package p; import "net/http"; var c = &http.Client{}`:                    1,
		`package p; import "net/http"; func f() { http.Get("http://x") }`:         1,
		`package p; import h "net/http"; var c = h.DefaultClient`:                 1,
		`package p; import . "net"; var d Dialer`:                                 1,
		`package p; import "net/http"; var c http.Handler`:                        0,
		`package p; import "example.org/net"; var d net.Dialer`:                   0,
		`package p; import "net"; type d struct{ net.Listener; net.Conn }`:        0,
		`package p; import "crypto/tls"; var f, g = tls.Dial, tls.DialWithDialer`: 2,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", src, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := dials(f); len(got) != want {
			t.Errorf("%s: %q", src, got)
		}
	}
}
