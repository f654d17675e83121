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

// rows maps each package to its row in the import table of ARCHITECTURE.md. Rows are
// compared as strings. A package may import packages of lower rows; edges lists the allowed
// imports between packages of one row. A package that is not listed has the row of its
// nearest listed parent directory. "." is the root package.
var rows = map[string]string{
	".": "0", "bencode": "0", "bitfield": "0", "merkle": "0", "internal": "0",
	"discovery": "1", "metainfo": "1", "tracker": "1", "tracker/wire": "1", "peerwire": "1", "peerwire/mse": "1", "signature": "1", "utp": "1",
	"lsd": "2", "maker": "2", "portmap": "2", "storage": "2", "tracker/trackerclient": "2", "tracker/swarm": "2", "tracker/trackerlog": "2",
	"internal/fault": "2", "internal/webseed": "2", "internal/feed": "2",
	"dht":     "2",
	"torrent": "3", "tracker/trackerserver": "3", "tracker/trackerstats": "3", "internal/torrentfile": "3", "internal/stall": "3", "internal/doctor": "3", "internal/onevent": "3", "internal/upload": "3",
	"publish": "4a", "site": "4a", "internal/running": "4a", "internal/fileserver": "4a", "internal/source": "4a", "internal/takeover": "4a",
	"internal/daemon": "4b",
	"internal/api":    "4c", "internal/transmission": "4c", "internal/ui": "4c",
	"internal/term": "5", "internal/classic": "5", "internal/cli": "5",
	"cmd": "6",
	"e2e": "7", "bench": "7", "packaging": "7", "scripts": "7", "docs": "7",
}

// edges lists the allowed imports between packages of one row.
var edges = map[[2]string]bool{
	{"bencode", "."}:                      true,
	{"tracker/wire", "tracker"}:           true,
	{"tracker/swarm", "tracker/swarm"}:    true,
	{"internal/stall", "torrent"}:         true,
	{"site", "publish"}:                   true,
	{"internal/source", "publish"}:        true,
	{"internal/classic", "internal/term"}: true,
	{"internal/cli", "internal/classic"}:  true,
	{"internal/cli", "internal/term"}:     true,
}

// listed returns the entry of rows that covers the package at path.
func listed(path string) string {
	for p := path; p != "."; p = filepath.Dir(p) {
		if _, ok := rows[p]; ok {
			return p
		}
	}
	return "."
}

// modulePath returns the module path in go.mod.
func modulePath(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatal("go.mod names no module")
	}
	return string(m[1])
}

// TestImportsGoDownOnly checks the imports of all packages against rows and edges, and that
// each package has a doc comment.
func TestImportsGoDownOnly(t *testing.T) {
	module := modulePath(t)
	fset := token.NewFileSet()
	documented := map[string]bool{}
	imports := 0
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
		pkg := filepath.ToSlash(filepath.Dir(path))
		documented[pkg] = documented[pkg] || f.Doc != nil
		for _, imp := range f.Imports {
			to, ok := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`)+"/", module+"/")
			if !ok {
				continue
			}
			imports++
			to = filepath.ToSlash(filepath.Clean(to))
			a, b := listed(pkg), listed(to)
			if a == b || rows[b] < rows[a] || edges[[2]string{a, b}] || b == "." || rows[b] == "0" && b != "internal" {
				continue
			}
			if b == "internal" && rows[a] == "0" {
				continue // packages of row 0 may use internal helpers
			}
			t.Errorf("%s imports %s: row %s may not import row %s", pkg, to, rows[a], rows[b])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if imports == 0 {
		t.Error("found no import of a package of this module: the test uses the wrong module path")
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", pkg)
		}
	}
}

// TestArchitectureTable checks that the import table of ARCHITECTURE.md lists every package
// once, in the row that rows says.
func TestArchitectureTable(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	table, row := map[string]string{}, ""
	for _, m := range regexp.MustCompile("(?m)^\\| *(\\w*) *\\| `([^`]+)`").FindAllSubmatch(text, -1) {
		if len(m[1]) > 0 {
			row = string(m[1])
		}
		pkg := string(m[2])
		if pkg == "spate" {
			pkg = "."
		}
		if table[pkg] != "" {
			t.Errorf("ARCHITECTURE.md lists %s twice", pkg)
		}
		table[pkg] = row
	}
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); name != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools") {
			return fs.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if pkg := filepath.ToSlash(path); len(files) > 0 {
			if want := rows[listed(pkg)]; table[pkg] != want {
				t.Errorf("ARCHITECTURE.md has %s in row %q, want %q", pkg, table[pkg], want)
			}
			delete(table, pkg)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range table {
		t.Errorf("ARCHITECTURE.md lists %s, which is no package", pkg)
	}
}

// importsOf returns the imports of the package in a directory, without those of its tests.
func importsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			imports[strings.Trim(imp.Path.Value, `"`)] = true
		}
	}
	return imports
}

// TestDaemonKnowsNoCommandLine checks that internal/daemon and the packages of this module
// that it depends on import neither the command line nor a terminal.
func TestDaemonKnowsNoCommandLine(t *testing.T) {
	module := modulePath(t)
	forbidden := map[string]bool{
		module + "/internal/cli": true, module + "/internal/term": true, module + "/internal/tui": true, module + "/internal/classic": true,
		"github.com/spf13/cobra": true, "github.com/spf13/pflag": true, "golang.org/x/term": true,
	}
	seen := map[string]bool{}
	var visit func(dir string)
	visit = func(dir string) {
		if seen[dir] {
			return
		}
		seen[dir] = true
		for path := range importsOf(t, dir) {
			if forbidden[path] {
				t.Errorf("%s, which internal/daemon depends on, imports %s", dir, path)
			}
			if path == module {
				visit(".")
			} else if sub, ok := strings.CutPrefix(path, module+"/"); ok {
				visit(sub)
			}
		}
	}
	visit("internal/daemon")
	if len(seen) < 10 {
		t.Errorf("the dependencies of internal/daemon are only %d packages: the test looks for the wrong path", len(seen))
	}
}

// TestNoReplace checks that go.mod replaces and excludes no module, because
// "go install MODULE/cmd/spate@VERSION" rejects such a module.
func TestNoReplace(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if line := regexp.MustCompile(`(?m)^(replace|exclude)\b.*`).Find(text); line != nil {
		t.Errorf("go.mod: %s: go install rejects this line; require a version instead", line)
	}
}

// TestDocs checks that the links in the documents lead to existing files, and that the Go
// files named in the documents exist in the root of the module or in the folder torrent.
func TestDocs(t *testing.T) {
	link, source := regexp.MustCompile(`\]\(([^():#]+)[)#]`), regexp.MustCompile("`([a-z_/]+\\.go)`")
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	docs = append(docs, deeper...)
	for _, doc := range append(docs, "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), string(m[1]))); err != nil {
				t.Errorf("a link in %s leads to no file: %v", doc, err)
			}
		}
		for _, m := range source.FindAllSubmatch(text, -1) {
			_, err := os.Stat(string(m[1]))
			if _, engine := os.Stat(filepath.Join("torrent", string(m[1]))); err != nil && engine != nil {
				t.Errorf("%s names a Go file that does not exist: %v", doc, err)
			}
		}
	}
}

// dialling maps packages of the standard library to the names in them that connect to an
// address or a URL.
var dialling = map[string]*regexp.Regexp{
	"net":        regexp.MustCompile(`^(Dial|Dialer$)`),
	"net/http":   regexp.MustCompile(`^(Client|Transport|DefaultClient|DefaultTransport|Get|Head|Post|PostForm)$`),
	"crypto/tls": regexp.MustCompile(`^(Dial|Dialer$)`),
	"net/rpc":    regexp.MustCompile(`^Dial`),
	"net/smtp":   regexp.MustCompile(`^(Dial|SendMail$)`),
}

// mayDial maps the allowed uses of the names in dialling, as "file: package.Name", to the
// reason why a URL from an untrusted source cannot reach them.
var mayDial = map[string]string{
	"internal/api/sockets.go: net.Dialer":               "the socket of the daemon",
	"internal/api/client.go: http.Client":               "the daemon at the URL that --api-url gives",
	"internal/api/client.go: http.Transport":            "for the socket of the daemon",
	"internal/source/fetch.go: http.Transport":          "limits for the guard's own transports",
	"internal/daemon/ownsignals.go: net.Dialer":         "the own tracker of this process, at its own socket only",
	"internal/daemon/publicurl.go: net.Dial":            "asks the system for a route and sends nothing",
	"internal/doctor/web.go: http.Transport":            "limits for the guard's own transports",
	"internal/proxy/dial.go: net.Dialer":                "the proxy itself, which the user named",
	"internal/proxy/outgoing.go: http.Transport":        "for URLs that the user or the program chose",
	"internal/proxy/outgoing.go: http.DefaultTransport": "cloned, for URLs that the user or the program chose",
	"internal/onevent/post.go: http.Client":             "URLs in the settings of the user, and it follows no redirects",
	"internal/running/socket.go: http.Client":           "sockets in the state directory",
	"internal/running/socket.go: http.Transport":        "sockets in the state directory",
	"internal/running/socket.go: net.Dialer":            "sockets in the state directory",
	"internal/udpmux/trackerconn.go: net.DialUDP":       "asks the system for a route and sends nothing",
	"internal/daemon/daemon.go: net.DialUnix":           "the socket of systemd",
	"portmap/pmp.go: net.Dialer":                        "the router, which checkGateway has judged",
	"portmap/route.go: net.DialUDP":                     "asks the system for a route and sends nothing",
	"portmap/upnp.go: http.Client":                      "the router, whose URLs checkURL has judged",
	"portmap/upnp.go: http.Transport":                   "the router, whose URLs checkURL has judged",
	"portmap/upnp.go: net.Dialer":                       "the address of the router, whatever the URL says",
	"internal/webseed/client.go: http.Transport":        "limits for the guard's own transports",
	"torrent/options.go: net.Dialer":                    "peers, which package peerlist judges",
	"tracker/trackerclient/http.go: http.Transport":     "limits for the guard's own transports",
	"tracker/trackerclient/wsconnect.go: http.Client":   "its transport connects through the guard's dialer, and it follows no redirects",
	"tracker/trackerserver/natcheck.go: net.Dialer":     "peers that announced, which are judged there",
}

// TestOnlyTheGuardDials checks that only internal/netguard connects to addresses and URLs,
// except for the uses in mayDial. It ignores tests, benchmarks and the simulated network.
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
			found[use] = true
			if mayDial[use] == "" {
				t.Errorf("%s: connect through internal/netguard, or add the use with its reason to mayDial", use)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for use := range mayDial {
		if !found[use] {
			t.Errorf("mayDial lists %q, which no file contains", use)
		}
	}
}

// dials returns the uses in a file of the names in [dialling], as "package.Name".
func dials(f *ast.File) (uses []string) {
	packages := map[string]*regexp.Regexp{} // by the name of the import in this file
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

// TestDialsFindsAllForms checks that dials finds each form of a use, and nothing else.
func TestDialsFindsAllForms(t *testing.T) {
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
			t.Errorf("dials of %s returned %q, want %d uses", src, got, want)
		}
	}
}
