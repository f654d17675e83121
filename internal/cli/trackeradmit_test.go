//go:build linux

package cli

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"spate"
	"spate/internal/daemon"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// residentKiB returns the resident memory of the process in KiB.
func (p *trackerProc) residentKiB() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// TestTrackerFlood checks that announces of random info-hashes to a tracker with an allow list
// change neither its memory nor the allowed swarm. The variable SPATE_FLOOD sets their number.
func TestTrackerFlood(t *testing.T) {
	n := 20_000
	if s := os.Getenv("SPATE_FLOOD"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	published := spate.InfoHash{0xaa}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte(published.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", t.TempDir(), "--allow-list", list)
	c := dialUDP(t, p.addr)
	if _, _, err := c.announce(published, somePeer(1), 7000, 0, 2, often); err != nil {
		t.Fatal(err)
	}
	random := func() (ih spate.InfoHash, id spate.PeerID) {
		rand.Read(ih[:])
		rand.Read(id[:])
		return ih, id
	}
	flood := func(n int) {
		var wg sync.WaitGroup
		wg.Go(func() {
			for range n / 2 {
				ih, id := random()
				if _, _, err := c.announce(ih, id, 7001, 1, 2, often); err == nil || !strings.Contains(err.Error(), "not served") {
					t.Errorf("a random torrent: %v", err)
					return
				}
			}
		})
		wg.Go(func() {
			for range n / 2 {
				ih, id := random()
				resp, err := http.Get("http://" + p.addr + "/announce?left=1&port=7001&info_hash=" + url.QueryEscape(string(ih[:])) + "&peer_id=" + url.QueryEscape(string(id[:])))
				if err != nil {
					t.Error(err)
					return
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if !strings.Contains(string(b), "not served") {
					t.Errorf("a random torrent: %q", b)
					return
				}
			}
		})
		wg.Wait()
	}
	flood(2000) // the first requests allocate memory that stays in use
	before := p.residentKiB()
	flood(n)
	after := p.residentKiB()
	t.Logf("%d announces: %d KiB before, %d KiB after", n, before, after)
	if after > before+8<<10 {
		t.Errorf("%d KiB of memory before, %d KiB after", before, after)
	}
	if s, d, l := c.scrape(t, published); s != 1 || d != 0 || l != 0 {
		t.Errorf("the allowed swarm has the counts %d, %d, %d", s, d, l)
	}
}

// TestTrackerTokens checks that users get their own announce URLs, which are added and revoked
// while the tracker runs.
func TestTrackerTokens(t *testing.T) {
	state := t.TempDir()
	p := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", state, "--require-token")
	run := func(args ...string) string {
		t.Helper()
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe, append([]string{"tracker", "token"}, append(args, "--state", state)...)...)
		cmd.Args[0] = "spate"
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	token := run("add", "alice")
	run("add", "bob")
	if got := run("list"); got != "alice\nbob" {
		t.Errorf("users %q", got)
	}
	if b, err := os.ReadFile(filepath.Join(state, daemon.TokensFile)); err != nil || strings.Contains(string(b), token) {
		t.Errorf("the file of users contains a token (error %v)", err)
	}
	client, err := trackerclient.New(trackerclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	announce := func(u string) error {
		_, err := client.Announce(context.Background(), u, &tracker.AnnounceRequest{InfoHash: spate.InfoHash{1}, PeerID: somePeer(1), Port: 7000, Left: 1, NumWant: -1})
		return err
	}
	waitFor := func(what, u string, ok bool) {
		t.Helper()
		late := time.Now().Add(patience)
		for (announce(u) == nil) != ok {
			if time.Now().After(late) {
				t.Fatalf("%s: %v", what, announce(u))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	own := "http://" + p.addr + "/announce/" + token
	waitFor("a new user", own, true)
	if err := announce("udp://" + p.addr + "/announce/" + token); err != nil {
		t.Errorf("over UDP: %v", err)
	}
	if err := announce("http://" + p.addr + "/announce"); err == nil {
		t.Error("an announce without a token was accepted")
	}
	run("revoke", "alice")
	waitFor("a revoked user", own, false)
}

// TestTrackerReloads checks that SIGHUP makes a tracker read its files again and reopen its
// logs, and that it answers meanwhile.
func TestTrackerReloads(t *testing.T) {
	state := t.TempDir()
	nets, access := filepath.Join(state, "nets"), filepath.Join(state, "access.log")
	if err := os.WriteFile(nets, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", state, "--nets", nets, "--access-log", access)
	c := dialUDP(t, p.addr)
	announce := func(i uint32) error {
		_, _, err := c.announce(spate.InfoHash{1}, somePeer(i), 7000, 1, 2, often)
		return err
	}
	logs := []string{filepath.Join(state, "activity.log"), access}
	for _, path := range logs {
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(announce(1), p.cmd.Process.Signal(syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
	for _, path := range logs {
		for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(path); err == nil {
				break
			} else if time.Now().After(late) {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(nets, []byte("deny 127.0.0.0/8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if err := announce(2); err != nil && strings.Contains(err.Error(), "not allowed") {
			break
		} else if time.Now().After(late) {
			t.Fatalf("an announce from a network that was denied after the start: %v", err)
		}
	}
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestTrackerBehindPath checks that the pages of a tracker work below the path of its public
// URL.
func TestTrackerBehindPath(t *testing.T) {
	p := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", t.TempDir(), "--public-url", "http://tracker.example/bt/")
	query := "?left=1&port=7001&info_hash=" + strings.Repeat("a", 20) + "&peer_id=" + strings.Repeat("b", 20)
	for _, c := range [][2]string{
		{"/bt/announce" + query, "8:interval"}, {"/announce" + query, "8:interval"}, {"/bt/scrape" + query, "10:incompletei1e"},
		{"/bt/other/announce" + query, "not valid or was revoked"}, {"/bt/", "<h1>Tracker</h1>"}, {"/bt/stats/stats.css", "--ground"}, {"/bt/metrics", "# TYPE"},
	} {
		path, want := c[0], c[1]
		resp, err := http.Get("http://" + p.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(b), want) || path == "/bt/" && resp.Request.URL.Path != "/bt/stats" {
			t.Errorf("%s at %v: %v, %.200q", path, resp.Request.URL, err, b)
		}
	}
}

// TestTrackerHTTPS checks announces over HTTPS, and that denied networks are refused.
func TestTrackerHTTPS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := writeCert(t, cert, key)
	ask := func(addr string) string {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
		resp, err := client.Get("https://" + addr + "/announce?left=1&port=7001&info_hash=" + strings.Repeat("a", 20) + "&peer_id=" + strings.Repeat("b", 20))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	p := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", filepath.Join(dir, "a"), "--tls-cert", cert, "--tls-key", key)
	if len(p.announce) == 0 || p.announce[0] != "https://"+p.addr+"/announce" {
		t.Errorf("the announce URLs are %v", p.announce)
	}
	if got := ask(p.addr); !strings.Contains(got, "8:interval") || strings.Contains(got, "failure") {
		t.Errorf("over HTTPS: %q", got)
	}
	p = startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", filepath.Join(dir, "b"), "--tls-cert", cert, "--tls-key", key, "--deny-net", "127.0.0.0/8")
	if got := ask(p.addr); !strings.Contains(got, "not allowed") {
		t.Errorf("from a network that is denied: %q", got)
	}
}
