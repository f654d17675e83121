package spate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// passing lists the functions that listen, resolve names or open sockets that are not connected, grouped by why they do
// not pass a proxy that carries all connections (--proxy). mayDial lists those that connect.
var passing = map[string][]string{
	"it resolves no names while a proxy carries all connections": {
		"internal/cli/flagvalues.go: lookUp: net.DefaultResolver",
		"internal/daemon/proxied.go: resolver: net.DefaultResolver",
		"internal/doctor/tracker.go: ways: net.DefaultResolver",
		"internal/netguard/dialer.go: resolve: net.DefaultResolver",
		"torrent/metafetch.go: lookUp: net.DefaultResolver",
		"torrent/options.go: setDefaults: net.DefaultResolver",
		"tracker/trackerclient/family.go: bothFamilies: net.DefaultResolver",
		"tracker/trackerclient/peernames.go: lookUp: net.DefaultResolver",
	},
	"it belongs to a part that is off while a proxy carries all connections: incoming peers, the DHT, uTP, WebRTC, local peers, port mapping, dial-back": {
		"dht/dht.go: resolve: net.DefaultResolver",
		"internal/daemon/dht.go: openDHT: net.DefaultResolver",
		"internal/daemon/dht.go: resolveOne: net.DefaultResolver",
		"internal/daemon/dhtclient.go: listenDHT: net.ListenConfig",
		"internal/daemon/dialback.go: dialBackSender: net.ListenUDP",
		"internal/daemon/ownsignals.go: openOwnSignals: net.Listen",
		"internal/udpmux/udpmux.go: open: net.ListenUDP",
		"lsd/link.go: open: net.ListenMulticastUDP",
		"lsd/link.go: open: net.ListenUDP",
		"portmap/upnp.go: search: net.ListenUDP",
		"torrent/options.go: Listen: net.ListenConfig",
	},
	"the user asked for a server at this address": {
		"internal/daemon/addresshttps.go: openAddressHTTPS: net.Listen",
		"internal/daemon/https.go: openACME: net.Listen",
		"internal/daemon/sockets.go: open: net.ListenConfig",
		"tracker/trackerserver/serveudp_linux.go: siblings: net.ListenConfig",
	},
	"the socket stays on this machine": {
		"internal/daemon/clientdoor.go: listenLoopback: net.ListenConfig",
		"internal/filetrust/socket_other.go: Listen: net.Listen",
		"internal/filetrust/socket_unix.go: Listen: net.ListenConfig",
	},
}

// TestSocketsAreListed checks that the functions that listen and resolve names are those in passing.
func TestSocketsAreListed(t *testing.T) {
	t.Parallel()
	var want []string
	for _, list := range passing {
		want = append(want, list...)
	}
	var got []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Skip directories that are not part of the program.
			if slices.Contains([]string{"bench", "docs", "e2e", "packaging", "scripts", "tools", "internal/folder/foldertest", "internal/netguard/guardtest"}, filepath.ToSlash(path)) || path != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			uses, err := socketsIn(path)
			got = append(got, uses...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, use := range got {
		if !slices.Contains(want, use) {
			t.Errorf("%s: add the function to passing with the reason for which it does not pass a proxy", use)
		}
	}
	for _, use := range want {
		if !slices.Contains(got, use) {
			t.Errorf("passing lists %s, which no file contains", use)
		}
	}
}

// socketsIn returns the uses in a file of what listens or resolves names, as
// "file: function: use".
func socketsIn(path string) (uses []string, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, decl := range f.Decls {
		name := "-"
		if fn, ok := decl.(*ast.FuncDecl); ok {
			name = fn.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if _, isType := n.(*ast.StarExpr); isType {
				return false // a type of a variable, a field or a result
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, ok := sel.X.(*ast.Ident)
			if use := filepath.ToSlash(path) + ": " + name + ": "; ok && opensSocket(of.Name, sel.Sel.Name) && !slices.Contains(uses, use+of.Name+"."+sel.Sel.Name) {
				uses = append(uses, use+of.Name+"."+sel.Sel.Name)
			}
			return true
		})
	}
	return uses, nil
}

// opensSocket reports whether a name of package net listens or resolves names.
func opensSocket(of, name string) bool {
	return of == "net" && (strings.HasPrefix(name, "Lookup") || strings.HasPrefix(name, "Resolve") && name != "Resolver" ||
		strings.HasPrefix(name, "Listen") && name != "Listener" || name == "DefaultResolver")
}

// direct lists the functions that make a client without the field Proxy, with the reason for which it passes no proxy that
// carries all connections.
var direct = map[string]string{
	"internal/daemon/ownsignals.go: openOwnSignals: trackerclient.Options": "the own tracker of this process, at its own socket only",
	"internal/daemon/peerreach.go: check: netguard.Dialer":                 "it returns before, because the session has no port",
	"internal/daemon/webrtc.go: mayCheck: netguard.Dialer":                 "WebRTC is off then",
}

// TestClientsTakeProxies checks that all clients of other machines get the field Proxy, except for those in direct.
func TestClientsTakeProxies(t *testing.T) {
	t.Parallel()
	clients := []string{"netguard.Dialer", "trackerclient.Options", "webseed.Options", "source.Resolver", "doctor.Trackers"}
	seen := map[string]bool{}
	found := 0
	for _, dir := range []string{"internal", "torrent", "tracker", "publish", "site"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, decl := range f.Decls {
				name := "-"
				if fn, ok := decl.(*ast.FuncDecl); ok {
					name = fn.Name.Name
				}
				ast.Inspect(decl, func(n ast.Node) bool {
					lit, ok := n.(*ast.CompositeLit)
					if !ok {
						return true
					}
					sel, ok := lit.Type.(*ast.SelectorExpr)
					if !ok {
						return true
					}
					of, ok := sel.X.(*ast.Ident)
					if !ok || !slices.Contains(clients, of.Name+"."+sel.Sel.Name) {
						return true
					}
					found++
					if slices.ContainsFunc(lit.Elts, func(e ast.Expr) bool {
						kv, ok := e.(*ast.KeyValueExpr)
						if !ok {
							return false
						}
						key, ok := kv.Key.(*ast.Ident)
						return ok && key.Name == "Proxy"
					}) {
						return true
					}
					use := filepath.ToSlash(path) + ": " + name + ": " + of.Name + "." + sel.Sel.Name
					seen[use] = true
					if direct[use] == "" {
						t.Errorf("%s: set Proxy (daemon.Env.Out), or add the function to direct with the reason for which it passes no proxy", use)
					}
					return true
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for use := range direct {
		if !seen[use] {
			t.Errorf("direct lists %s, which no file contains", use)
		}
	}
	if found < 10 {
		t.Errorf("found %d clients only", found)
	}
}
