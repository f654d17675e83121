package transmission

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"spate/internal/apitoken"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/maker"
	"spate/torrent"
)

// fake is a daemon with torrents that do not run. It records what it is asked for.
type fake struct {
	list []daemon.TorrentInfo
	file []daemon.TorrentFile
	done []string
	up   int64
	down int64
}

func (f *fake) List(daemon.TorrentList) ([]daemon.TorrentInfo, int) {
	return slices.Clone(f.list), len(f.list)
}

func (f *fake) Details(ref string) (daemon.TorrentDetails, error) {
	for _, t := range f.list {
		if t.InfoHash == ref {
			return daemon.TorrentDetails{TorrentInfo: t, Files: f.file}, nil
		}
	}
	return daemon.TorrentDetails{}, fault.New(fault.NotFound, "", "none")
}

func (f *fake) Engine(string) (*torrent.Torrent, error) { return nil, nil }

func (f *fake) Add(_ context.Context, r daemon.AddRequest) (daemon.TorrentInfo, error) {
	f.record("add %s %d bytes in %q label %q paused %v remote %v", r.Source, len(r.Torrent), r.Dir, r.Label, r.Paused, r.Remote)
	for _, t := range f.list {
		if strings.HasSuffix(r.Source, t.InfoHash) {
			return t, fault.New(fault.Exists, "", "%s was added already", t.Name)
		}
	}
	t := daemon.TorrentInfo{InfoHash: strings.Repeat("c", 40), Name: "new", State: daemon.TorrentMetadata}
	f.list = append(f.list, t)
	return t, nil
}

func (f *fake) Change(_ context.Context, ref string, c daemon.TorrentChange) error {
	b, _ := json.Marshal(c)
	f.record("change %.2s %s", ref, b)
	return nil
}

func (f *fake) Remove(_ context.Context, ref string, data bool) error {
	f.list = slices.DeleteFunc(f.list, func(t daemon.TorrentInfo) bool { return t.InfoHash == ref })
	f.record("remove %.2s %v", ref, data)
	return nil
}

func (f *fake) Move(_ context.Context, ref, dir string, remote bool) error {
	f.record("move %.2s %s %v", ref, dir, remote)
	return nil
}

func (f *fake) Recheck(_ context.Context, ref string) error {
	f.record("recheck %.2s", ref)
	return nil
}

func (f *fake) Reannounce(_ context.Context, ref string) error {
	f.record("reannounce %.2s", ref)
	return nil
}

func (f *fake) record(format string, args ...any) {
	f.done = append(f.done, fmt.Sprintf(format, args...))
}

// Info implements [Session].
func (f *fake) Info() SessionInfo {
	return SessionInfo{Version: "1.2", DownloadDir: "/d", Folders: []string{"/d"}, PeerPort: 6881, DHT: true, TCP: true, Encryption: "tolerated", Up: f.up, Down: f.down}
}

// SetRates implements [Session].
func (f *fake) SetRates(up, down int64) { f.up, f.down = up, down }

// two returns a daemon with two torrents, aaa… and bbb….
func two() *fake {
	return &fake{
		list: []daemon.TorrentInfo{
			{InfoHash: strings.Repeat("a", 40), Name: "A", State: daemon.TorrentDownloading, Dir: "/d", Path: "/d/A", TotalLength: 1000, Done: 250, NumFiles: 3, Downloaded: 100, Uploaded: 50, DownRate: 75, Added: time.Unix(1000, 0)},
			{InfoHash: strings.Repeat("b", 40), Name: "B", State: daemon.TorrentPaused, Dir: "/d", Completed: time.Unix(2000, 0)},
		},
		file: []daemon.TorrentFile{{Path: "x.txt", Length: 10, Priority: "normal"}, {Path: "d/[y]*.mkv", Length: 980, Done: 240, Priority: "skip"}, {Path: "z", Length: 10, Done: 10, Priority: "high"}},
	}
}

// client sends requests to a server.
type client struct {
	t *testing.T
	s *Server
}

func newClient(t *testing.T, f *fake) *client {
	return &client{t, NewServer(f, f, Options{Now: func() time.Time { return time.Unix(5000, 0) }, Admit: func(*http.Request) (daemon.Access, int, string) { return daemon.Access{Scopes: apitoken.Admin}, 0, "" }})}
}

// do sends a body and returns the status and the body of the reply.
func (c *client) do(body string) (int, string) {
	r := httptest.NewRequest("POST", Path, strings.NewReader(body))
	r.Header.Set(sessionHeader, c.s.id)
	w := httptest.NewRecorder()
	c.s.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

// want checks the body of the reply to a request.
func (c *client) want(body, want string) {
	c.t.Helper()
	if _, got := c.do(body); got != want {
		c.t.Errorf("%s\n got %s\nwant %s", body, got, want)
	}
}

// TestDialects checks that both dialects read and write the same in their own spelling.
func TestDialects(t *testing.T) {
	c := newClient(t, two())
	c.want(`{"method":"torrent-get","arguments":{"fields":["id","name","hashString","percentDone","file-count","eta","wanted","files"],"ids":1},"tag":7}`,
		`{"arguments":{"torrents":[{"eta":10,"file-count":3,"files":[{"bytesCompleted":0,"length":10,"name":"A/x.txt"},{"bytesCompleted":240,"length":980,"name":"A/d/[y]*.mkv"},{"bytesCompleted":10,"length":10,"name":"A/z"}],"hashString":"`+strings.Repeat("a", 40)+`","id":1,"name":"A","percentDone":0.25,"wanted":[1,0,1]}]},"result":"success","tag":7}`)
	c.want(`{"jsonrpc":"2.0","method":"torrent_get","params":{"fields":["id","percent_done","wanted","file_stats"],"ids":["`+strings.Repeat("A", 40)+`"]},"id":"x"}`,
		`{"id":"x","jsonrpc":"2.0","result":{"torrents":[{"file_stats":[{"bytes_completed":0,"priority":0,"wanted":true},{"bytes_completed":240,"priority":0,"wanted":false},{"bytes_completed":10,"priority":1,"wanted":true}],"id":1,"percent_done":0.25,"wanted":[true,false,true]}]}}`)
	c.want(`{"jsonrpc":"2.0","method":"torrent_get","params":{"fields":["id","name"],"format":"table"},"id":1}`,
		`{"id":1,"jsonrpc":"2.0","result":{"torrents":[["id","name"],[1,"A"],[2,"B"]]}}`)
	c.want(`{"method":"torrent-get","arguments":{"fields":["id","status"],"format":"table","ids":[2,99]}}`, `{"arguments":{"torrents":[["id","status"],[2,0]]},"result":"success"}`)
	c.want(`{"method":"session-get","arguments":{"fields":["download-dir","seedRatioLimit","peer-port"]}}`, `{"arguments":{"download-dir":"/d","peer-port":6881,"seedRatioLimit":0},"result":"success"}`)
	c.want(`{"jsonrpc":"2.0","method":"session_get","params":{"fields":["download_dir"]},"id":2}`, `{"id":2,"jsonrpc":"2.0","result":{"download_dir":"/d"}}`)
	c.want(`{"method":"session-stats"}`, `{"arguments":{"activeTorrentCount":1,"cumulative-stats":{"downloadedBytes":100,"filesAdded":2,"secondsActive":5000,"sessionCount":1,"uploadedBytes":50},"current-stats":{"downloadedBytes":100,"filesAdded":2,"secondsActive":5000,"sessionCount":1,"uploadedBytes":50},"downloadSpeed":75,"pausedTorrentCount":1,"torrentCount":2,"uploadSpeed":0},"result":"success"}`)
	c.want(`{"method":"free-space","arguments":{"path":"/etc"}}`, `{"arguments":{},"result":"/etc is in none of the folders for downloads"}`)
	c.want(`{"method":"torrent-rename-path","arguments":{"ids":1}}`, `{"arguments":{},"result":"spate does not support torrent_rename_path: files keep the names in the torrent"}`)
	c.want(`{"method":"no-such"}`, `{"arguments":{},"result":"method name not recognized"}`)
	c.want(`{"jsonrpc":"2.0","method":"no_such","id":3}`, `{"error":{"code":-32601,"data":{"error_string":"there is no method no_such"},"message":"there is no method no_such"},"id":3,"jsonrpc":"2.0"}`)
	c.want(`{`, `{"error":{"code":-32700,"data":{"error_string":"unexpected end of JSON input"},"message":"unexpected end of JSON input"},"id":null,"jsonrpc":"2.0"}`)
	c.want(`[{"jsonrpc":"2.0","method":"group_get","id":1},{"jsonrpc":"2.0","method":"group_get"}]`, `[{"id":1,"jsonrpc":"2.0","result":{"group":[]}}]`)
	if code, body := c.do(`{"jsonrpc":"2.0","method":"group_get"}`); code != http.StatusNoContent || body != "" {
		t.Errorf("a notification is answered: %d %s", code, body)
	}
}

// TestFields checks that each field of both dialects has a value for a torrent that does not run.
func TestFields(t *testing.T) {
	f := two()
	c := newClient(t, f)
	for name := range fieldOf {
		for _, body := range []string{
			fmt.Sprintf(`{"jsonrpc":"2.0","method":"torrent_get","params":{"fields":[%q]},"id":1}`, name),
			fmt.Sprintf(`{"method":"torrent-get","arguments":{"fields":[%q]}}`, camel(name)),
		} {
			if _, got := c.do(body); strings.Contains(got, "[{},{}]") || strings.Contains(got, "null") {
				t.Errorf("%s: %s", body, got)
			}
		}
	}
}

// TestSnake checks the spellings.
func TestSnake(t *testing.T) {
	for old, want := range map[string]string{
		"downloadDir": "download_dir", "download-dir": "download_dir", "isUTP": "is_utp", "hashString": "hash_string", "file-count": "file_count",
		"cache-size-mb": "cache_size_mb", "webseedsSendingToUs": "webseeds_sending_to_us", "sequential_download": "sequential_download", "etaIdle": "eta_idle",
	} {
		if got := snake(old); got != want {
			t.Errorf("%s: %s, want %s", old, got, want)
		}
	}
	for name := range fieldOf {
		if got := snake(camel(name)); got != name {
			t.Errorf("%s is %s in 3.00, which is read as %s", name, camel(name), got)
		}
	}
}

// TestActions checks what each method does.
func TestActions(t *testing.T) {
	for _, q := range []struct {
		body string
		want []string // what the daemon does; nil for an error
	}{
		{`{"method":"torrent-start","arguments":{"ids":[1]}}`, []string{`change aa {"paused":false}`}},
		{`{"method":"torrent-start-now","arguments":{"ids":2}}`, []string{`change bb {"paused":false,"place":0}`}},
		{`{"method":"torrent-stop"}`, []string{`change aa {"paused":true}`, `change bb {"paused":true}`}},
		{`{"method":"torrent-verify","arguments":{"ids":["` + strings.Repeat("b", 40) + `"]}}`, []string{"recheck bb"}},
		{`{"method":"torrent-reannounce"}`, []string{"reannounce aa"}},
		{`{"method":"torrent-remove","arguments":{"ids":[2],"delete-local-data":true}}`, []string{"remove bb true"}},
		{`{"method":"torrent-remove","arguments":{}}`, nil},
		{`{"method":"torrent-set-location","arguments":{"ids":[1],"location":"/d/x","move":true}}`, []string{"move aa /d/x true"}},
		{`{"method":"torrent-set-location","arguments":{"ids":[1],"location":"/d/x"}}`, nil},
		{`{"method":"torrent-set","arguments":{"ids":1,"downloadLimit":5,"downloadLimited":true,"seedRatioLimit":2.5,"seedRatioMode":1,"labels":["l"]}}`, []string{`change aa {"label":"l","down":5000,"ratio":2.5}`}},
		{`{"method":"torrent-set","arguments":{"ids":1,"uploadLimited":false,"seedRatioMode":2,"queuePosition":1}}`, []string{`change aa {"up":0,"ratio":0,"place":1}`}},
		{`{"method":"torrent-set","arguments":{"ids":1,"files-unwanted":[0],"priority-high":[2],"files-wanted":[1]}}`,
			[]string{"change aa {}", `change aa {"select":[],"files":[{"pattern":"**","priority":"skip"},{"pattern":"/d/\\[y]\\*.mkv","priority":"normal"},{"pattern":"/z","priority":"high"}]}`}},
		{`{"method":"torrent-set","arguments":{"ids":1,"files-unwanted":[3]}}`, nil},
		{`{"method":"torrent-set","arguments":{"ids":1,"labels":["a","b"]}}`, nil},
		{`{"method":"torrent-set","arguments":{"ids":1,"peer-limit":5}}`, nil},
		{`{"method":"torrent-set","arguments":{"ids":1,"trackerAdd":["http://t/"]}}`, nil},
		{`{"method":"torrent-set","arguments":{"ids":1,"downloadLimited":true}}`, nil},
		{`{"method":"torrent-add","arguments":{"filename":"http://h/a.torrent","download-dir":"/d/y","paused":true,"cookies":"","labels":["x"]}}`, []string{`add http://h/a.torrent 0 bytes in "/d/y" label "x" paused true remote true`}},
		{`{"method":"torrent-add","arguments":{"metainfo":"ZGk="}}`, []string{`add  2 bytes in "" label "" paused false remote true`}},
		{`{"method":"torrent-add","arguments":{"metainfo":"?"}}`, nil},
		{`{"method":"torrent-add","arguments":{"paused":true}}`, nil},
		{`{"method":"torrent-add","arguments":{"filename":"x","peer-limit":5}}`, nil},
		{`{"method":"queue-move-bottom","arguments":{"ids":[1]}}`, []string{`change aa {"place":1}`}},
		{`{"method":"queue-move-up","arguments":{"ids":[2]}}`, []string{`change bb {"place":0}`}},
		{`{"method":"session-set","arguments":{"script-torrent-done-enabled":true,"script-torrent-done-filename":"/x"}}`, nil},
		{`{"method":"session-set","arguments":{"download-dir":"/x"}}`, nil},
		{`{"method":"session-close"}`, nil},
		{`{"method":"torrent-start","arguments":{"ids":{}}}`, nil},
		{`{"method":"torrent-start","arguments":{"ids":[[1]]}}`, nil},
	} {
		f := two()
		c := newClient(t, f)
		c.s.choose(nil) // gives the numbers
		_, got := c.do(q.body)
		if ok := strings.Contains(got, `"result":"success"`); ok != (q.want != nil) {
			t.Errorf("%s: %s", q.body, got)
		}
		if q.want != nil && !slices.Equal(f.done, q.want) {
			t.Errorf("%s\n does %q\n want %q", q.body, f.done, q.want)
		}
	}
}

// TestLimits checks the limits of the session.
func TestLimits(t *testing.T) {
	f := two()
	c := newClient(t, f)
	for _, q := range []struct {
		arguments string
		up, down  int64
	}{
		{`"speed-limit-down":100,"speed-limit-down-enabled":true`, 0, 100_000},
		{`"speed-limit-down":200`, 0, 200_000},
		{`"speed-limit-up":50`, 0, 200_000},
		{`"speed-limit-up":50,"speed-limit-up-enabled":true`, 50_000, 200_000},
		{`"speed-limit-down-enabled":false`, 50_000, 0},
	} {
		c.do(`{"method":"session-set","arguments":{` + q.arguments + `}}`)
		if f.up != q.up || f.down != q.down {
			t.Errorf("after %s: %d up, %d down", q.arguments, f.up, f.down)
		}
	}
}

// TestAddAgain checks that a known torrent is named as a duplicate, and that a removed one is told to
// those who ask for what changed.
func TestAddAgain(t *testing.T) {
	c := newClient(t, two())
	c.want(`{"method":"torrent-add","arguments":{"filename":"magnet:?xt=urn:btih:`+strings.Repeat("b", 40)+`"}}`, `{"arguments":{"torrent-duplicate":{"hashString":"`+strings.Repeat("b", 40)+`","id":2,"name":"B"}},"result":"success"}`)
	c.want(`{"method":"torrent-add","arguments":{"filename":"http://h/"}}`, `{"arguments":{"torrent-added":{"hashString":"`+strings.Repeat("c", 40)+`","id":3,"name":"new"}},"result":"success"}`)
	c.do(`{"method":"torrent-remove","arguments":{"ids":[2]}}`)
	c.want(`{"method":"torrent-get","arguments":{"fields":["id"],"ids":"recently-active"}}`, `{"arguments":{"removed":[2],"torrents":[{"id":1},{"id":3}]},"result":"success"}`)
}

// TestSessionID checks the protection from requests of web pages, and the order of the checks.
func TestSessionID(t *testing.T) {
	f := two()
	s := NewServer(f, f, Options{Now: time.Now, Admit: func(r *http.Request) (who daemon.Access, status int, why string) {
		switch _, p, _ := r.BasicAuth(); p {
		case "token":
			who.Scopes = apitoken.Admin
		case "reader":
			who.Scopes = apitoken.Read
		default:
			return who, http.StatusUnauthorized, "no"
		}
		return who, 0, ""
	}})
	send := func(method, password, id string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, Path, strings.NewReader(`{"method":"session-get"}`))
		r.SetBasicAuth("u", password)
		r.Header.Set(sessionHeader, id)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	if w := send("POST", "x", s.id); w.Code != http.StatusUnauthorized || w.Header().Get(sessionHeader) != "" || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w := send("POST", "token", "")
	if id := w.Header().Get(sessionHeader); w.Code != http.StatusConflict || send("POST", "token", id).Code != http.StatusOK || send("GET", "token", id).Code != http.StatusMethodNotAllowed {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// TestScopes checks that a method needs its scope.
func TestScopes(t *testing.T) {
	for name, want := range map[string]apitoken.Scopes{
		"torrent_get": apitoken.Read, "session_get": apitoken.Read, "port_test": apitoken.Read, "torrent_add": apitoken.Torrents, "queue_move_top": apitoken.Torrents,
		"session_set": apitoken.Admin, "torrent_rename_path": apitoken.Torrents,
	} {
		for _, has := range []apitoken.Scopes{apitoken.Read, apitoken.Torrents, apitoken.Publish, apitoken.Admin} {
			f := two()
			s := NewServer(f, f, Options{Now: time.Now})
			_, err := s.call(daemon.WithAccess(t.Context(), daemon.Access{Scopes: has}), name, params{}, false)
			refused := err != nil && strings.Contains(err.Error(), "does not have the scope")
			if refused == has.Has(want) {
				t.Errorf("%s with the scope %v: %v", name, has, err)
			}
		}
	}
}

// TestLiteral checks that the rule for a file matches this file alone, whatever its name is.
func TestLiteral(t *testing.T) {
	for _, name := range []string{"a", "a*", "[a]", `a\b`, "a?b/c", "**"} {
		match, err := maker.Matcher([]string{"/" + literal(name)})
		if err != nil || !match(name) || match("x") || match("ax") {
			t.Errorf("%q as %q: %v", name, literal(name), err)
		}
	}
}

// FuzzAnswer checks that no request makes the server fail.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"method":"torrent-get","arguments":{"fields":["id","files"],"ids":1},"tag":7}`)
	f.Add(`[{"jsonrpc":"2.0","method":"torrent_set","params":{"ids":[1],"files_wanted":[1]},"id":"x"}]`)
	f.Add(`{"method":"session-set","arguments":{"speed-limit-down":1e300,"speed-limit-down-enabled":true}}`)
	f.Fuzz(func(t *testing.T, body string) {
		d := two()
		s := NewServer(d, d, Options{Now: time.Now})
		if reply := s.answer(t.Context(), []byte(body)); reply != nil {
			if _, err := json.Marshal(reply); err != nil {
				t.Error(err)
			}
		}
	})
}
