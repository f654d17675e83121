//go:build !windows

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spate/internal/api"
)

// desk is a user with a home directory and a browser that writes down what it opens.
type desk struct {
	*testing.T
	home, state, opened string
	environ             []string
}

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, home: t.TempDir()}
	d.state, d.opened = filepath.Join(d.home, "s"), filepath.Join(d.home, "opened")
	bin := filepath.Join(d.home, "bin")
	d.write("bin/xdg-open", "#!/bin/sh\necho \"$1\" >>\""+d.opened+"\"\n", 0o755)
	d.write("Downloads/x", "", 0o644)
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if name != "HOME" && name != "PATH" && name != "DISPLAY" && name != "WAYLAND_DISPLAY" && name != "BROWSER" && !strings.HasPrefix(name, "XDG_") {
			d.environ = append(d.environ, v)
		}
	}
	// The daemon listens on loopback only.
	d.environ = append(d.environ, "HOME="+d.home, "PATH="+bin+":/usr/bin:/bin", "SPATE_LISTEN=127.0.0.1:0", "SPATE_BIND=127.0.0.1", "SPATE_PEER_PORT=0")
	t.Cleanup(d.stop)
	return d
}

func (d *desk) write(name, text string, mode os.FileMode) {
	d.Helper()
	path := filepath.Join(d.home, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
		d.Fatal(err)
	}
}

// run runs a program, which this test binary becomes, and returns its outputs.
func (d *desk) run(env []string, program string, args ...string) (out, said string, err error) {
	exe, err := os.Executable()
	if err != nil {
		d.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args, cmd.Env, cmd.Dir = append([]string{program}, args...), append(d.environ, env...), d.home
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// open runs spate open --json.
func (d *desk) open(env []string, args ...string) (e openEvent) {
	d.Helper()
	out, said, err := d.run(env, "spate", append([]string{"open", "--json", "--state", d.state}, args...)...)
	if err != nil || json.Unmarshal([]byte(out), &e) != nil {
		d.Fatalf("open %q: %v\n%s%s", args, err, out, said)
	}
	return e
}

// stop stops the daemon, if there is one, and waits until it has given its lock back.
func (d *desk) stop() {
	s, err := api.New(d.state).Status(context.Background())
	if err != nil {
		return
	}
	if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil {
		d.Error(err)
	}
	lock, err := os.OpenFile(filepath.Join(d.state, "lock"), os.O_RDWR, 0)
	if err != nil {
		d.Error(err)
		return
	}
	defer lock.Close()
	for late := time.Now().Add(patience); syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			d.Fatalf("process %d does not stop", s.PID)
		}
	}
}

// TestOpen starts a daemon, signs in by its link, and hands over a magnet link and a .torrent file.
func TestOpen(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const magnet = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789&dn=a+b"
	e := d.open(nil, "--no-browser", magnet)
	if !e.Started || e.Opened {
		t.Errorf("the first open: %+v", e)
	}
	page, fragment, _ := strings.Cut(e.URL, "#")
	f, err := url.ParseQuery(fragment)
	if err != nil || page != e.Page || f.Get("add") != magnet {
		t.Fatalf("the link is %q", e.URL)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	post := func() int {
		resp, err := browser.Post(page+"session", "application/json", strings.NewReader(`{"once":"`+f.Get("once")+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	get := func(path string) (int, string) {
		resp, err := browser.Get(page + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, _ := get("v1/torrents"); code == 200 {
		t.Error("the API answered before signing in")
	}
	if code := post(); code != 200 {
		t.Fatalf("signing in: %d", code)
	}
	if code := post(); code != 403 {
		t.Errorf("the link a second time: %d", code)
	}
	if code, body := get("v1/torrents"); code != 200 {
		t.Errorf("the API with the session: %d %s", code, body)
	}

	if out, said, err := d.run(nil, "spate", "create", "--announce", "http://127.0.0.1:1/announce", "-o", "x.torrent", "bin"); err != nil {
		t.Fatal(err, out, said)
	}
	want, err := os.ReadFile(filepath.Join(d.home, "x.torrent"))
	if err != nil {
		t.Fatal(err)
	}
	e = d.open([]string{"DISPLAY=:99"}, "file://"+d.home+"/x.torrent")
	if e.Started || !e.Opened || e.Page != page {
		t.Errorf("the second open: %+v", e)
	}
	if b, _ := os.ReadFile(d.opened); strings.TrimSpace(string(b)) != e.URL {
		t.Errorf("the browser opened %q, want %q", b, e.URL)
	}
	if f, err = url.ParseQuery(strings.TrimPrefix(e.URL, page+"#")); err != nil {
		t.Fatal(err)
	}
	if code, body := get("offers/" + strings.TrimPrefix(f.Get("add"), "offer:")); code != 200 || body != string(want) {
		t.Errorf("the torrent that was handed over: %d with %d bytes, want %d", code, len(body), len(want))
	}

	// btdownloadgui is its name of 2005.
	out, said, err := d.run([]string{"DISPLAY=:99", "SPATE_STATE=" + d.state}, "btdownloadgui.py", "--max_uploads", "3", "--responsefile", "x.torrent")
	if err != nil || out != "" || !strings.Contains(said, "--max_uploads has no effect") || !strings.Contains(said, "opened "+page) {
		t.Errorf("btdownloadgui: %v\n%s%s", err, out, said)
	}
	if b, _ := os.ReadFile(d.opened); strings.Count(string(b), "add=offer%3A") != 2 {
		t.Errorf("the browser opened %q", b)
	}
}

// TestOpenWithoutBrowser checks that the link is printed if there is no display, no program that opens a
// browser, or one that fails.
func TestOpenWithoutBrowser(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write("bin/xdg-open", "#!/bin/sh\nexit 3\n", 0o755)
	for _, c := range []struct{ env, why string }{
		{"X=", "there is no display"}, {"DISPLAY=:99", "xdg-open: exit status 3"}, {"BROWSER=x\nPATH=/nowhere", "there is no program xdg-open"},
	} {
		out, said, err := d.run(strings.Split(c.env, "\n"), "spate", "open", "--state", d.state)
		if err != nil || !strings.HasPrefix(out, "http://127.") || !strings.Contains(out, "#once=") || !strings.Contains(said, c.why) {
			t.Errorf("%s: %v\n%s%s", c.why, err, out, said)
		}
	}
}

// TestOpenSaysWhyNoDaemonStarts checks that the error contains the reason of spate serve.
func TestOpenSaysWhyNoDaemonStarts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, said, err := d.run([]string{"SPATE_PEER_PORT=99999"}, "spate", "open", "--no-browser", "--state", d.state)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != CodeUsage || !strings.Contains(said, "a port is a number from 0 to 65535") || !strings.Contains(said, daemonLog) {
		t.Errorf("%v\n%s", err, said)
	}
	for _, arg := range []string{"nothing.torrent", ""} {
		if _, said, err = d.run(nil, "spate", "open", "--no-browser", "--state", d.state, arg); err == nil {
			t.Errorf("%q: %s", arg, said)
		}
	}
	if _, err := os.Stat(filepath.Join(d.state, api.SocketName)); err == nil {
		t.Error("a daemon runs")
	}
}
