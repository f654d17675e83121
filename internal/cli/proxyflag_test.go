package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"spate/internal/proxy"
)

// TestProxyFlag checks which proxy the connections of a verb take, and which networks the server trusts, by the command
// line, the variable and the settings file; and that nothing that is printed contains the password.
func TestProxyFlag(t *testing.T) {
	t.Parallel()
	const url = "socks5://me:s3cret@h:9050"
	for _, c := range []struct {
		environ, settings, args string
		via, nets               string
		err                     string
	}{
		{args: "get x"},
		{args: "get x --proxy " + url, via: "socks5://h:9050"},
		{args: "get x --proxy socks5h://h", via: "socks5://h:1080"},
		{args: "seed x --proxy http://h", via: "http://h:8080"},
		{args: "doctor --proxy " + url, via: "socks5://h:9050"},
		{args: "dht status --proxy " + url, via: "socks5://h:9050"},
		{environ: "SPATE_PROXY=" + url, args: "magnet x", via: "socks5://h:9050"},
		{environ: "SPATE_PROXY=" + url, args: "tracker", via: "socks5://h:9050"},
		{settings: `proxy = "` + url + `"`, args: "scrape x", via: "socks5://h:9050"},
		{settings: `proxy = ["10.0.0.0/8", "` + url + `"]`, args: "serve", via: "socks5://h:9050", nets: "10.0.0.0/8"},
		{settings: `proxy = ["10.0.0.0/8", "` + url + `"]`, args: "get x", via: "socks5://h:9050", nets: "10.0.0.0/8"},
		// A network on the command line or in the table of a verb does not turn off the outgoing proxy.
		{settings: `proxy = "` + url + `"`, args: "serve --proxy 10.0.0.1", via: "socks5://h:9050", nets: "10.0.0.1"},
		{settings: "proxy = \"" + url + "\"\n[serve]\nproxy = \"10.0.0.1\"", args: "serve", via: "socks5://h:9050", nets: "10.0.0.1"},
		{environ: "SPATE_PROXY=10.0.0.1", settings: `proxy = "` + url + `"`, args: "publish x", via: "socks5://h:9050", nets: "10.0.0.1"},
		{environ: "SPATE_PROXY=" + url, args: "get x --proxy socks5://other", via: "socks5://other:1080"},
		{environ: "SPATE_PROXY=10.0.0.0/8", args: "get x", nets: "10.0.0.0/8"},
		{args: "get x --proxy 10.0.0.0/8", err: "no server"},
		{args: "serve --proxy me:s3cret@h:1080", err: "write socks5://"},
		{args: "get x --proxy me:s3cret@h:1080", err: "no server"},
		{args: "get x --proxy " + url + " --proxy socks5://b", err: "only one proxy"},
		{args: "get x --proxy socks4://me:s3cret@h", err: "socks4"},
		{args: "get x --proxy socks5://me:s3cret@h:port", err: "cannot be parsed"},
		{environ: "SPATE_PROXY=socks5://me:s3cret@h/x", args: "get x", err: "has a path"},
		{settings: `proxy = "socks5://me:s3cret@h:0"`, args: "get x", err: "port"},
		{args: "get x --peer peer.example:1 --proxy " + url, err: "no names are looked up"},
		{args: "list --proxy " + url, err: "unknown flag"},
	} {
		home := t.TempDir()
		conf := filepath.Join(home, "spate.toml")
		if err := os.WriteFile(conf, []byte(c.settings), 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		a := newApp(Env{Name: "spate", Environ: append(strings.Fields(c.environ), "HOME="+home), Stdin: strings.NewReader(""), Stdout: &said, Stderr: &said})
		root := a.root()
		eachCommand(root, func(cmd *cobra.Command) { cmd.RunE = func(*cobra.Command, []string) error { return nil } })
		root.SetArgs(append(slices.Clone(strings.Fields(c.args)), "--config", conf))
		err := root.Execute()
		what := strings.TrimSpace(c.environ + " spate " + c.args + " " + c.settings)
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error()+hintFor(err), c.err) {
			t.Errorf("%s: %v, want %q", what, err, c.err)
			continue
		}
		if err != nil && strings.Contains(err.Error()+hintFor(err), "s3cret") || strings.Contains(said.String(), "s3cret") {
			t.Errorf("%s: the password is printed: %v %s", what, err, said.String())
		}
		if err != nil {
			continue
		}
		via := ""
		if u := a.out.Only(); u != nil {
			via = proxy.Show(u)
		}
		if nets := strings.Join(a.proxy.nets, " "); via != c.via || nets != c.nets {
			t.Errorf("%s: through %q, trusting %q, want %q and %q", what, via, nets, c.via, c.nets)
		}
		if seen := strings.Contains(said.String(), "list of processes"); seen != strings.Contains(c.args, "s3cret") {
			t.Errorf("%s: printed %q", what, said.String())
		}
	}
}

// TestEveryConnectingVerbHasProxy checks that each verb with --bind has --proxy, and that the help of those with a server
// names both meanings.
func TestEveryConnectingVerbHasProxy(t *testing.T) {
	t.Parallel()
	eachCommand(newApp(Env{Name: "spate"}).root(), func(cmd *cobra.Command) {
		f := cmd.Flags()
		if f.Lookup("bind") == nil {
			return
		}
		p := f.Lookup("proxy")
		if p == nil {
			t.Errorf("%s has --bind, but not --proxy", cmd.CommandPath())
		} else if strings.Contains(p.Usage, "NET") != (f.Lookup("proxy-protocol") != nil) {
			t.Errorf("%s: --proxy %s", cmd.CommandPath(), p.Usage)
		}
	})
}
