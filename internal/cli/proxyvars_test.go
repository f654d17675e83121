package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestNoteProxy checks which verbs say that their connections to peers do not go through the proxies in variables.
func TestNoteProxy(t *testing.T) {
	t.Parallel()
	const rest = " used for web servers; peers, UDP trackers and the DHT are reached directly, unless --proxy is given\n"
	const one = "http_proxy is" + rest
	for _, c := range []struct{ environ, args, want string }{
		{"http_proxy=p", "get x.torrent", one},
		{"http_proxy=p", "publish x", one},
		{"http_proxy=p", "seed x", one},
		{"http_proxy=p", "serve", one},
		{"http_proxy=p", "announce http://t.example/announce 00", ""},
		{"http_proxy=p", "announce udp://t.example:1/announce 00", one},
		{"http_proxy=p", "scrape udp://127.0.0.1:1/announce 00", ""},
		{"http_proxy=p", "magnet http://a.example/x.torrent", ""},
		{"http_proxy=p", "create x", ""},
		{"http_proxy=p", "tracker", ""},
		{"http_proxy=p", "get x.torrent --bind 127.0.0.1", ""},
		{"http_proxy=p", "serve --bind ::1", ""},
		{"http_proxy=p", "get x.torrent --bind 192.0.2.1", one},
		{"http_proxy=p", "get x.torrent -q", ""},
		{"http_proxy=p", "get x.torrent --proxy socks5://h", ""},
		{"http_proxy=p SPATE_PROXY=socks5://h", "get x.torrent", ""},
		{"http_proxy=p no_proxy=*", "get x", ""},
		{"http_proxy=p NO_PROXY=*", "get x", ""},
		{"http_proxy=p no_proxy=a.example", "get x", one},
		{"http_proxy=", "get x", ""},
		{"", "get x", ""},
		{"HTTP_PROXY=p http_proxy=p", "get x", one},
		{"HTTPS_PROXY=p", "get x", "HTTPS_PROXY is" + rest},
		{"all_proxy=p https_proxy=q", "get x", "https_proxy and all_proxy are" + rest},
	} {
		var said bytes.Buffer
		a := newApp(Env{Name: "spate", Environ: append(strings.Fields(c.environ), "HOME="+t.TempDir()), Stdin: strings.NewReader(""), Stdout: &bytes.Buffer{}, Stderr: &said})
		root := a.root()
		eachCommand(root, func(cmd *cobra.Command) { cmd.RunE = func(*cobra.Command, []string) error { return nil } })
		root.SetArgs(slices.Clone(strings.Fields(c.args)))
		if err := root.Execute(); err != nil || said.String() != c.want {
			t.Errorf("%s spate %s: %v, printed %q, want %q", c.environ, c.args, err, said.String(), c.want)
		}
	}
}
