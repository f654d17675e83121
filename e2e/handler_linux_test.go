package e2e

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// desktop is a user of a desktop that follows freedesktop.org, whose browser is a script that writes down
// what it opens.
type desktop struct {
	t           *testing.T
	home, state string
	environ     []string
}

func newDesktop(t *testing.T) *desktop {
	t.Helper()
	home := t.TempDir()
	d := &desktop{t: t, home: home, state: filepath.Join(home, ".local/state/spate")}
	d.write("bin/browser", "#!/bin/sh\nprintf '%s\\n' \"$1\" >>"+home+"/opened\n", 0o755)
	d.write(".local/share/applications/browser.desktop", "[Desktop Entry]\nType=Application\nName=browser\nExec="+home+"/bin/browser %u\nMimeType=x-scheme-handler/http;\n", 0o644)
	d.write(".config/mimeapps.list", "[Default Applications]\nx-scheme-handler/http=browser.desktop\nx-scheme-handler/magnet=browser.desktop\n", 0o644)
	for _, v := range os.Environ() {
		switch name, _, _ := strings.Cut(v, "="); {
		case name == "HOME", name == "PATH", name == "DISPLAY", name == "BROWSER", strings.HasPrefix(name, "XDG_"), strings.Contains(name, "DESKTOP"):
		default:
			d.environ = append(d.environ, v)
		}
	}
	// xdg-open looks for applications if there is a display, and uses none itself.
	d.environ = append(d.environ, "HOME="+home, "PATH="+filepath.Dir(spateBin)+":/usr/bin:/bin", "DISPLAY=:99", "SPATE_LISTEN=127.0.0.1:0", "SPATE_BIND=127.0.0.1", "SPATE_PEER_PORT=0")
	t.Cleanup(d.stop)
	return d
}

func (d *desktop) write(name, text string, mode os.FileMode) {
	d.t.Helper()
	path := filepath.Join(d.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desktop) run(program string, args ...string) string {
	d.t.Helper()
	c := exec.Command(program, args...)
	c.Env, c.Dir = d.environ, d.home
	out, err := c.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// opened returns what the browser was asked to open, and forgets it.
func (d *desktop) opened() string {
	path := filepath.Join(d.home, "opened")
	b, _ := os.ReadFile(path)
	os.Remove(path)
	return strings.TrimSpace(string(b))
}

// stop stops the daemon that spate open has started.
func (d *desktop) stop() {
	c := exec.Command(spateBin, "status", "--json")
	c.Env = d.environ
	out, err := c.Output()
	var s struct{ PID int }
	if err != nil || json.Unmarshal(out, &s) != nil {
		return
	}
	syscall.Kill(s.PID, syscall.SIGTERM)
	lock, err := os.OpenFile(filepath.Join(d.state, "lock"), os.O_RDWR, 0)
	if err != nil {
		d.t.Error(err)
		return
	}
	defer lock.Close()
	for late := time.Now().Add(patience); syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			d.t.Fatalf("process %d does not stop", s.PID)
		}
	}
}

// TestDesktopOpensMagnetLinks checks that a desktop opens magnet links and .torrent files with the
// graphical client after spate install-handler, and with the program of before after --remove.
func TestDesktopOpensMagnetLinks(t *testing.T) {
	t.Parallel()
	need(t, "xdg-open", "xdg-mime")
	d := newDesktop(t)
	const magnet = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789&dn=two+words&tr=http%3A%2F%2F127.0.0.1%3A1%2Fannounce"
	d.run("xdg-open", magnet)
	if got := d.opened(); got != magnet {
		t.Fatalf("before, the browser opened %q", got)
	}
	said := d.run(spateBin, "install-handler")
	if strings.Count(said, "\n") != 3 || !strings.Contains(said, "changed "+filepath.Join(d.home, ".config/mimeapps.list")) {
		t.Errorf("install-handler printed %q", said)
	}
	added := func() string {
		t.Helper()
		link := d.opened()
		page, fragment, _ := strings.Cut(link, "#")
		f, err := url.ParseQuery(fragment)
		if err != nil || !strings.HasPrefix(page, "http://127.") || f.Get("once") == "" {
			t.Fatalf("the browser opened %q", link)
		}
		return f.Get("add")
	}
	d.run("xdg-open", magnet)
	if got := added(); got != magnet {
		t.Errorf("the client was asked to add %q", got)
	}
	noise(t, filepath.Join(d.home, "a b.bin"), 1000)
	d.run(spateBin, "create", "-q", "-o", "a b.torrent", "a b.bin")
	if got := strings.TrimSpace(d.run("xdg-mime", "query", "filetype", "a b.torrent")); got == "application/x-bittorrent" {
		d.run("xdg-open", "a b.torrent")
		if got := added(); !strings.HasPrefix(got, "offer:") {
			t.Errorf("the client was asked to add %q", got)
		}
	} else {
		t.Logf("the type of .torrent files is not known here (%s): only magnet links were opened", got)
	}
	d.run(spateBin, "install-handler", "--remove")
	d.run("xdg-open", magnet)
	if got := d.opened(); got != magnet {
		t.Errorf("after the removal, the browser opened %q", got)
	}
}

// TestOtherPagesCannotDriveTheClient signs a browser in to the client of a daemon that spate open has
// started, and attacks it from pages of another site and of another port: with forms, requests, frames,
// windows, events, WebSockets and a rebound name.
func TestOtherPagesCannotDriveTheClient(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	d := newDesktop(t)
	link := strings.TrimSpace(d.run(spateBin, "open", "--no-browser", "-q"))
	c := exec.Command("node", "clientattacks.mjs", link)
	c.Dir = tools
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
