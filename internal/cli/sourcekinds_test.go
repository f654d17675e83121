package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base32"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spate/maker"
	"spate/metainfo"
)

// sourceWorld is a torrent and a server that offers it in all ways that a SOURCE can name.
type sourceWorld struct {
	torrent []byte
	mi      *metainfo.MetaInfo
	url     string // of the server
}

func newSourceWorld(t *testing.T, data string) *sourceWorld {
	t.Helper()
	w := &sourceWorld{}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	m, err := maker.Make(t.Context(), data, maker.Options{Format: metainfo.Hybrid, Announce: [][]string{{w.url + "/announce"}}})
	if err != nil {
		t.Fatal(err)
	}
	if w.torrent, err = m.Bytes(); err != nil {
		t.Fatal(err)
	}
	if w.mi, err = metainfo.Parse(w.torrent); err != nil {
		t.Fatal(err)
	}
	say := func(path, kind, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		})
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(w.torrent)
	z.Close()
	mux.HandleFunc("/gzip.torrent", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		rw.Header().Set("Content-Type", torrentType)
		rw.Write(zipped.Bytes())
	})
	say("/a.torrent", torrentType, string(w.torrent))
	say("/data.torrent", "application/octet-stream", string(w.torrent))
	say("/page", "text/html", `<a href="a.torrent">get</a>`)
	say("/magnetpage", "text/html", `<a href="`+w.magnet()+`">get</a>`)
	say("/a.meta4", "application/metalink4+xml", w.metalink())
	say("/a.metalink", "text/xml", w.metalink())
	mux.Handle("/moved", http.RedirectHandler("/a.torrent", http.StatusPermanentRedirect))
	mux.Handle("/tomagnet", http.RedirectHandler(w.magnet(), http.StatusSeeOther))
	mux.Handle("/tolinked", http.RedirectHandler(w.magnet("xs", w.url+"/a.torrent"), http.StatusSeeOther))
	say("/announce", "text/plain", "d8:intervali1800e5:peers0:e")
	say("/scrape", "text/plain", "d5:filesdee")
	return w
}

// magnet returns a link without trackers, with further parameters.
func (w *sourceWorld) magnet(params ...string) string {
	v1, _ := w.mi.HashV1()
	s := "magnet:?xt=urn:btih:" + v1.String()
	for i := 0; i < len(params); i += 2 {
		s += "&" + params[i] + "=" + url.QueryEscape(params[i+1])
	}
	return s
}

func (w *sourceWorld) metalink() string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="a.bin"><size>1</size>
<metaurl mediatype="torrent" priority="2">http://127.0.0.1:1/bad.torrent</metaurl>
<metaurl mediatype="torrent" priority="1"> ` + w.url + `/a.torrent </metaurl>
<url>http://127.0.0.1:1/a.bin</url></file></metalink>`
}

// offers says what a kind of SOURCE gives.
type offers uint8

const (
	hasFile     offers = 1 << iota // a .torrent file that can be changed
	hasTorrent                     // a .torrent
	hasTrackers                    // trackers
	isText                         // a file that is no .torrent
)

// sourceKind is a kind of SOURCE.
type sourceKind struct {
	name  string
	gives offers
	arg   func(w *sourceWorld, dir string) string // dir has the file a.torrent
	stdin func(w *sourceWorld) string             // nil: empty
}

func sourceKinds() (list []sourceKind) {
	add := func(name string, gives offers, arg func(w *sourceWorld, dir string) string) {
		list = append(list, sourceKind{name: name, gives: gives, arg: arg})
	}
	const file, torrent = hasFile | hasTorrent | hasTrackers, hasTorrent | hasTrackers
	in := func(dir string) string { return filepath.Join(dir, "a.torrent") }
	v2 := func(w *sourceWorld) string { h, _ := w.mi.HashV2(); return h.String() }
	v1 := func(w *sourceWorld) []byte { h, _ := w.mi.HashV1(); return h[:] }

	add("file", file, func(_ *sourceWorld, dir string) string { return in(dir) })
	add("file in blanks", file, func(_ *sourceWorld, dir string) string { return " " + in(dir) + "\n" })
	add("file in quotes", file, func(_ *sourceWorld, dir string) string { return `"` + in(dir) + `"` })
	for _, prefix := range []string{"file://", "file:", "FILE://localhost"} {
		add(prefix, file, func(_ *sourceWorld, dir string) string {
			return prefix + (&url.URL{Path: filepath.ToSlash(in(dir))}).EscapedPath()
		})
	}
	add("escaped file URL", file, func(_ *sourceWorld, dir string) string {
		return "<file://" + strings.Replace(in(dir), "a.torrent", "%61.torrent", 1) + ">"
	})

	for _, path := range []string{"/a.torrent", "/data.torrent", "/gzip.torrent", "/page", "/moved", "/a.meta4", "/a.metalink", "/tolinked"} {
		gives := torrent
		add(path, gives, func(w *sourceWorld, _ string) string { return w.url + path })
	}
	for _, path := range []string{"/magnetpage", "/tomagnet"} {
		add(path, 0, func(w *sourceWorld, _ string) string { return w.url + path })
	}
	add("HTTP://", torrent, func(w *sourceWorld, _ string) string { return strings.Replace(w.url, "http", "HTTP", 1) + "/a.torrent" })
	add("URL in angle brackets", torrent, func(w *sourceWorld, _ string) string { return " <" + w.url + "/a.torrent>\r\n" })
	add("URL with a fragment", torrent, func(w *sourceWorld, _ string) string { return w.url + "/a.torrent#top" })
	add("URL in two lines", torrent, func(w *sourceWorld, _ string) string { return w.url + "/a.\r\n   torrent" })

	tr := func(w *sourceWorld) []string { return []string{"tr", w.url + "/announce"} }
	add("magnet v1", 0, func(w *sourceWorld, _ string) string { return w.magnet() })
	add("magnet with a tracker", hasTrackers, func(w *sourceWorld, _ string) string { return w.magnet(tr(w)...) })
	add("MAGNET in quotes and lines", hasTrackers, func(w *sourceWorld, _ string) string {
		return "\u201cMAGNET" + strings.Replace(w.magnet(tr(w)...)[len("magnet"):], "&", "\n\t&", 1) + "\u201d"
	})
	add("magnet v2", 0, func(w *sourceWorld, _ string) string { return "magnet:?xt=urn:btmh:1220" + v2(w) })
	add("magnet hybrid", 0, func(w *sourceWorld, _ string) string { return w.magnet("xt", "urn:btmh:1220"+v2(w)) })
	add("magnet base32", 0, func(w *sourceWorld, _ string) string {
		return "magnet:?xt=urn:btih:" + base32.StdEncoding.EncodeToString(v1(w))
	})
	add("magnet with xs", torrent, func(w *sourceWorld, _ string) string { return w.magnet("xs", w.url+"/a.torrent") })
	add("magnet with xs of v2", torrent, func(w *sourceWorld, _ string) string {
		return "magnet:?xt=urn:btmh:1220" + v2(w) + "&xs=" + url.QueryEscape(w.url+"/moved")
	})
	add("magnet with as", torrent, func(w *sourceWorld, _ string) string {
		return w.magnet("xs", w.url+"/announce", "as", w.url+"/gzip.torrent")
	})
	add("magnet with xs to nothing", 0, func(w *sourceWorld, _ string) string { return w.magnet("xs", w.url+"/absent") })
	add("magnet with xs and a query", 0, func(w *sourceWorld, _ string) string { return w.magnet("xs", w.url+"/a.torrent?id=1") })
	add("magnet with xs of another torrent", 0, func(w *sourceWorld, _ string) string {
		return "magnet:?xt=urn:btih:" + strings.Repeat("1", 40) + "&xs=" + w.url + "/a.torrent"
	})
	add("hash", 0, func(w *sourceWorld, _ string) string { return hex.EncodeToString(v1(w)) })
	add("HASH in quotes", 0, func(w *sourceWorld, _ string) string { return "'" + strings.ToUpper(hex.EncodeToString(v1(w))) + "' " })
	add("hash v2", 0, func(w *sourceWorld, _ string) string { return v2(w) })
	add("multihash v2", 0, func(w *sourceWorld, _ string) string { return "1220" + v2(w) })
	add("hash base32", 0, func(w *sourceWorld, _ string) string { return base32.StdEncoding.EncodeToString(v1(w)) })
	add("hash base32 in small letters", 0, func(w *sourceWorld, _ string) string {
		return strings.ToLower(base32.StdEncoding.EncodeToString(v1(w)))
	})

	text := func(name string, gives offers, content func(w *sourceWorld) string) {
		list = append(list, sourceKind{name: "- with " + name, gives: gives, arg: func(*sourceWorld, string) string { return "-" }, stdin: content})
		add("file with "+name, gives|isText, func(w *sourceWorld, dir string) string {
			path := filepath.Join(dir, "text")
			os.WriteFile(path, []byte(content(w)), 0o600)
			return path
		})
	}
	list = append(list, sourceKind{name: "- with a torrent", gives: torrent, arg: func(*sourceWorld, string) string { return "-" }, stdin: func(w *sourceWorld) string { return string(w.torrent) }})
	text("a magnet link", hasTrackers, func(w *sourceWorld) string { return "\ufeff" + w.magnet(tr(w)...) + "\r\n" })
	text("a URL", torrent, func(w *sourceWorld) string { return w.url + "/page\n" })
	text("a hash", 0, func(w *sourceWorld) string { return hex.EncodeToString(v1(w)) + "\n" })
	text("a Metalink", torrent, func(w *sourceWorld) string { return w.metalink() })
	text("a Metalink of version 3", torrent, func(w *sourceWorld) string {
		return `<metalink version="3.0"><files><file name="a"><resources><url type="http" preference="100">http://127.0.0.1:1/a</url>` +
			`<url type="bittorrent" preference="1">http://127.0.0.1:1/b.torrent</url><url type="bittorrent" preference="100">` + w.url + `/a.torrent</url></resources></file></files></metalink>`
	})
	return list
}

// sourceVerb is a verb that takes a SOURCE. needs says what the SOURCE must give; otherwise the
// exit code is other, and the error contains says.
type sourceVerb struct {
	name  string
	args  func(w *sourceWorld, src, dir string) []string
	needs offers
	other int
	says  string
	until string // stop the verb when it has printed this
}

func sourceVerbs() []sourceVerb {
	line := func(before ...string) func(*sourceWorld, string, string) []string {
		return func(_ *sourceWorld, src, _ string) []string { return append(before[:len(before):len(before)], src) }
	}
	data := func(dir string) string { return filepath.Join(dir, "a.bin") }
	changes := "changes a .torrent file, not "
	return []sourceVerb{
		{name: "show", args: line("show")},
		{name: "magnet", args: line("magnet")},
		{name: "announce URL", args: func(w *sourceWorld, src, _ string) []string { return []string{"announce", w.url + "/announce", src} }},
		{name: "scrape URL", args: func(w *sourceWorld, src, _ string) []string { return []string{"scrape", w.url + "/announce", src} }},
		{name: "announce", args: line("announce"), needs: hasTrackers, other: CodeUsage, says: "names no tracker"},
		{name: "scrape", args: line("scrape", "--json"), needs: hasTrackers, other: CodeUsage, says: "names no tracker"},
		{name: "magnet --select", args: line("magnet", "--select", "*"), needs: hasTorrent, other: CodeUsage, says: "--select needs the .torrent"},
		{name: "verify", args: func(_ *sourceWorld, src, dir string) []string { return []string{"verify", src, data(dir)} },
			needs: hasTorrent, other: CodeUsage, says: "spate verify takes a .torrent file, its URL or page, or -"},
		{name: "seed", args: func(_ *sourceWorld, src, dir string) []string {
			return []string{"seed", "--json", "--bind", "127.0.0.1", "--peer-port", "0", "--no-lsd", "--data", dir, src}
		}, needs: hasTorrent, other: CodeUsage, says: "spate seed takes a .torrent file, its URL or page, or -", until: `"seeding"`},
		{name: "get", args: func(_ *sourceWorld, src, dir string) []string {
			return []string{"get", "--bind", "127.0.0.1", "--peer-port", "0", "--no-lsd", "--timeout", "50ms", "-o", dir, src}
		}, needs: hasTorrent, other: CodeNoPeers, says: "spate: "},
		{name: "edit -o", args: func(_ *sourceWorld, src, dir string) []string {
			return []string{"edit", "-o", filepath.Join(dir, "new.torrent"), "--comment", "x", src}
		}, needs: hasTorrent, other: CodeUsage, says: "spate edit takes a .torrent file, its URL or page, or -"},
		{name: "edit -o -", args: line("edit", "-o", "-"), needs: hasTorrent, other: CodeUsage, says: "spate edit takes a .torrent file, its URL or page, or -"},
		{name: "edit", args: line("edit", "--comment", "x"), needs: hasFile, other: CodeUsage, says: "spate edit " + changes},
		{name: "edit --announce-from", args: func(_ *sourceWorld, src, dir string) []string {
			return []string{"edit", "--announce-from", src, filepath.Join(dir, "a.torrent")}
		}, needs: hasFile, other: CodeUsage, says: "--announce-from reads a .torrent file or a list of trackers, not "},
		{name: "btshowmetainfo", args: line("bt", "btshowmetainfo"), needs: hasTorrent, other: CodeUsage, says: "btshowmetainfo takes a .torrent file, its URL or page, or -"},
		{name: "btcopyannounce", args: func(_ *sourceWorld, src, dir string) []string {
			return []string{"bt", "btcopyannounce", src, filepath.Join(dir, "a.torrent")}
		}, needs: hasTorrent, other: CodeUsage, says: "btcopyannounce takes a .torrent file, its URL or page, or -"},
		{name: "btreannounce", args: line("bt", "btreannounce", "http://t.example/announce"), needs: hasFile, other: CodeUsage, says: "btreannounce " + changes},
		{name: "btsethttpseeds", args: line("bt", "btsethttpseeds", "0"), needs: hasFile, other: CodeUsage, says: "btsethttpseeds " + changes},
		{name: "btrename", args: func(_ *sourceWorld, src, _ string) []string { return []string{"bt", "btrename", src, "name"} },
			needs: hasFile, other: CodeUsage, says: "btrename " + changes},
	}
}

// untilWriter cancels a run when it has printed a text.
type untilWriter struct {
	mu     sync.Mutex
	b      bytes.Buffer
	until  string
	cancel context.CancelFunc
}

func (w *untilWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p)
	if w.until != "" && strings.Contains(w.b.String(), w.until) {
		w.cancel()
	}
	return len(p), nil
}

// runIn runs the program with the home directory dir, and returns the exit code and the output.
func runIn(t *testing.T, dir, stdin, until string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &untilWriter{until: until, cancel: cancel}
	var errs bytes.Buffer
	a := newApp(Env{
		Name: "spate", Args: args, Environ: []string{"HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state")},
		Stdin: strings.NewReader(stdin), Stdout: out, Stderr: &errs, Now: time.Now,
	})
	code = a.report(a.execute(ctx))
	return code, out.b.String(), errs.String()
}

// TestVerbsTakeAllSources checks that each verb takes each kind of SOURCE that gives what the
// verb needs, and that it says which kinds it takes for all others.
func TestVerbsTakeAllSources(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	content := bytes.Repeat([]byte("some data "), 5000)
	if err := os.WriteFile(filepath.Join(shared, "a.bin"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newSourceWorld(t, filepath.Join(shared, "a.bin"))
	for _, verb := range sourceVerbs() {
		for _, kind := range sourceKinds() {
			t.Run(verb.name+"/"+kind.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				for name, b := range map[string][]byte{"a.bin": content, "a.torrent": w.torrent} {
					if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				stdin := ""
				if kind.stdin != nil {
					stdin = kind.stdin(w)
				}
				args := verb.args(w, kind.arg(w, dir), dir)
				if kind.gives&isText != 0 && verb.name == "edit --announce-from" {
					t.Skip("a file with URLs is a list of trackers")
				}
				code, stdout, stderr := runIn(t, dir, stdin, verb.until, args...)
				want, says := 0, ""
				if verb.needs&^kind.gives != 0 {
					want, says = verb.other, verb.says
				}
				if verb.needs&hasFile != 0 && kind.gives&isText != 0 {
					want, says = CodeBadData, "not a torrent"
				}
				if code != want || !strings.Contains(stderr, says) {
					t.Errorf("spate %q: exit code %d, want %d and %q\n%s%s", args, code, want, says, stdout, stderr)
				}
				if lines := strings.Split(strings.TrimSpace(stderr), "\n"); code == CodeUsage && len(slices.DeleteFunc(lines, isNote)) > 2 {
					t.Errorf("spate %q: the error has more than two lines:\n%s", args, stderr)
				}
			})
		}
	}
}

// isNote reports whether a line of standard error is a note about a URL of a magnet link.
func isNote(line string) bool { return strings.Contains(line, "the magnet link names http") }

// TestVerbsThatTakeData checks that a verb that makes torrents takes a file: URL, and says what
// it takes for other kinds of SOURCE.
func TestVerbsThatTakeData(t *testing.T) {
	t.Parallel()
	verbs := map[string][]string{
		"spate create":           {"create", "-o", "-"},
		"spate publish":          {"publish", "--bind", "127.0.0.1", "--listen", "127.0.0.1:0", "--peer-port", "0", "--no-lsd"},
		"PATH of spate verify":   {"verify", "$DIR/a.torrent"},
		"btmakemetafile":         {"bt", "btmakemetafile", "http://t.example/announce"},
		"btcompletedir":          {"bt", "btcompletedir", "http://t.example/announce"},
		"btlaunchmany":           {"bt", "btlaunchmany"},
		"spate create --each":    {"create", "--each"},
		"btlaunchmanycurses":     {"bt", "btlaunchmanycurses"},
		"btmakemetafile of 2003": {"bt", "btmakemetafile", "$SOURCE", "http://t.example/announce"},
	}
	links := []string{
		"http://127.0.0.1:1/x", "HTTPS://example.org/x.torrent", " <http://127.0.0.1:1/x> ", "ftp://example.org/x", "magnet:?xt=urn:btih:" + strings.Repeat("1", 40),
		"'MAGNET:?xt=urn:btih:" + strings.Repeat("1", 40) + "'", "file://other.example/x", "file:", "file:x", "file:///%zz",
	}
	for name, verb := range verbs {
		for _, link := range links {
			if name == "btmakemetafile of 2003" && !strings.HasPrefix(strings.ToLower(strings.Trim(link, "' ")), "magnet:") {
				continue // two URLs: the first is the tracker
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.torrent"), []byte(someTorrent), 0o600); err != nil {
				t.Fatal(err)
			}
			args, given := []string{}, false
			for _, arg := range verb {
				given = given || arg == "$SOURCE"
				args = append(args, strings.NewReplacer("$DIR", dir, "$SOURCE", link).Replace(arg))
			}
			if !given {
				args = append(args, link)
			}
			code, stdout, stderr := runIn(t, dir, "", "", args...)
			if lines := strings.Count(strings.TrimSpace(stderr), "\n"); code != CodeUsage || lines > 1 || stdout != "" {
				t.Errorf("spate %q: exit code %d, want %d and two lines\n%s%s", args, code, CodeUsage, stdout, stderr)
			}
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a b.bin")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := runIn(t, dir, "", "", "create", "-o", "-", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()); code != 0 || !strings.Contains(stdout, "7:a b.bin") {
		t.Errorf("create of a file: URL: exit code %d\n%s", code, stderr)
	}
	if code, _, stderr := runIn(t, dir, "", "", "publish", "-"); code != CodeUsage || !strings.Contains(stderr, "not standard input") {
		t.Errorf("publish of standard input: exit code %d\n%s", code, stderr)
	}
}
