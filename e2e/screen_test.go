package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// terminal is a tmux server that runs one program.
type terminal struct {
	t      *testing.T
	socket string
}

// terminal starts a command line on the host, in a terminal with width columns and height
// lines.
func (h *host) terminal(width, height int, env, command string) *terminal {
	h.t.Helper()
	need(h.t, "tmux")
	term := &terminal{h.t, filepath.Join(h.t.TempDir(), "tmux")}
	script := fmt.Sprintf("env HOME=%s %s %s; echo ended with $?; read wait", h.t.TempDir(), env, command)
	cmd := exec.Command("ip", "netns", "exec", h.ns, "tmux", "-u", "-S", term.socket, "-f", "/dev/null",
		"new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), script)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("tmux: %v\n%s", err, out)
	}
	h.t.Cleanup(func() { term.tmux("kill-server") })
	return term
}

// tmux runs a tmux command and returns its output.
func (e *terminal) tmux(args ...string) string {
	out, _ := exec.Command("tmux", append([]string{"-u", "-S", e.socket}, args...)...).CombinedOutput()
	return string(out)
}

// keys presses keys, which have tmux's names.
func (e *terminal) keys(keys ...string) { e.tmux(append([]string{"send-keys"}, keys...)...) }

// screen returns the contents of the terminal.
func (e *terminal) screen(args ...string) string {
	return e.tmux(append([]string{"capture-pane", "-p"}, args...)...)
}

// sees waits until the screen matches all patterns, and returns the screen.
func (e *terminal) sees(patterns ...string) string {
	e.t.Helper()
	var screen string
	end := time.Now().Add(patience)
	for {
		screen = e.screen()
		missing := ""
		for _, p := range patterns {
			if !regexp.MustCompile("(?m)" + p).MatchString(screen) {
				missing = p
			}
		}
		if missing == "" {
			return screen
		}
		if time.Now().After(end) {
			e.t.Fatalf("%q is not on the screen:\n%s", missing, screen)
		}
		time.Sleep(50 * time.Millisecond) // tmux does not report changes
	}
}

// TestScreens controls the terminal screens by keys. It changes the size of the terminal, and
// runs the programs with and without colours and without a terminal.
func TestScreens(t *testing.T) {
	t.Parallel()
	need(t, "tmux", "curl")
	l := newLAN(t, 2)
	origin, h := l.Hosts[0], l.Hosts[1]
	dir := t.TempDir()
	noise(t, filepath.Join(dir, "big.iso"), 8<<20)
	if err := os.Mkdir(filepath.Join(dir, "tree"), 0o755); err != nil {
		t.Fatal(err)
	}
	const hostile, tame = "evil\x1b[31m\u202ename", "evil_[31m_name"
	noise(t, filepath.Join(dir, "tree", hostile), 100_000)
	_, r := origin.serve("tracker")
	announce := fmt.Sprintf("http://%s:6969/announce", origin.IP)
	if len(r.AnnounceURLs) == 0 {
		t.Fatal("the tracker printed no announce URL")
	}
	launch := filepath.Join(dir, "launch")
	for _, name := range []string{"big.iso", "tree"} {
		origin.tool("btmakemetafile", filepath.Join(dir, name), announce, "--target", filepath.Join(dir, name+".torrent")).ok()
		if name == "tree" { // spate replaces the characters that control a terminal in this name
			if err := os.Rename(filepath.Join(dir, "tree", hostile), filepath.Join(dir, "tree", tame)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// big.iso must still be downloading when the last screen is looked at, also on a slow machine.
	origin.spate("seed", filepath.Join(dir, "big.iso.torrent"), "--up", "12k")
	eventually(t, "the tracker knows the seed before the downloads ask for it", func() bool {
		return strings.Contains(origin.start("curl", "-sS", "http://"+origin.IP+":6969/stats.json").ok().out.String(), `"seeders": 1`)
	})
	if err := os.Mkdir(launch, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"big.iso", "tree"} {
		if err := os.Link(filepath.Join(dir, name+".torrent"), filepath.Join(launch, name+".torrent")); err != nil {
			t.Fatal(err)
		}
	}
	at := func(path string) string { return filepath.Join(dir, path) }

	t.Run("btdownloadcurses", func(t *testing.T) {
		e := h.in(t).terminal(80, 24, "", spateBin+" bt btdownloadcurses "+at("big.iso.torrent")+" --saveas "+at("one/big.iso"))
		rule := "^─{80}$"
		e.sees(`^ spate btdownloadcurses +↓ +\S+ .B/s  ↑ +· +1 peer $|^ spate btdownloadcurses +↓ +\S+ .B/s  ↑ +·  1 peer$`, rule,
			`^ name +big.iso`, `^ state +downloading, \S+ left`, `^ done +\S+ +\d+\.\d % +\S+ .B of 8\.4 MB`, `^ down .*▁|^ down .*█`, `^ .*q quit`)
		e.keys("3")
		e.sees(`^ \d+ of 32 pieces.*a mark is a piece`, `^ [█◦·]{32}$`)
		e.keys("4")
		e.sees(`^ peer +has +down +up +flags +client`, `^ 10\.93\.0\.1:\d+ +100 % .*spate`)
		e.keys("Tab")
		e.sees(`^ http://10\.93\.0\.1:6969/announce`, `the tracker counts 1 seed, 1 leecher`)
		e.tmux("resize-window", "-x", "200", "-y", "50")
		s := e.sees("^─{200}$", `^ http://10\.93\.0\.1:6969/announce`)
		if n := strings.Count(s, "\n"); n != 50 {
			t.Errorf("the screen has %d lines:\n%s", n, s)
		}
		e.keys("1", "?")
		e.sees(`shift\+tab back`, `^ path +/.*/one/big.iso$`)
		e.tmux("resize-window", "-x", "60", "-y", "12")
		e.sees("^─{60}$", `^ name +big.iso`)
		e.keys("q")
		e.sees(`^ended with 7$`) // interrupted and resumable
	})
	t.Run("btlaunchmanycurses", func(t *testing.T) {
		e := h.in(t).terminal(200, 50, "", spateBin+" bt btlaunchmanycurses "+launch)
		e.sees(`^ torrent +size +done +down +up +peers$`, `^>big.iso +downloading `, `^ tree `)
		e.keys("Down", "2")
		// The screen shows the whole name without control characters.
		s := e.sees(`^>tree `, `^ evil_\[31m_name +100 kB`)
		if strings.Contains(s, "\u202e") {
			t.Error("the screen contains U+202E, which reverses the text")
		}
		e.keys("6")
		e.sees(`### added ".*/launch/big.iso.torrent"`)
		e.tmux("resize-window", "-x", "80", "-y", "24")
		e.sees("^─{80}$", `^ big.iso +downloading `)
		e.keys("q")
		e.sees(`^ended with 0$`)
	})
	t.Run("get and top", func(t *testing.T) {
		state := filepath.Join(t.TempDir(), "state")
		e := h.in(t).terminal(80, 24, "NO_COLOR=1", fmt.Sprintf("%s get --tui %s -o %s --state %s", spateBin, at("tree.torrent"), at("got"), state))
		if err := os.Mkdir(at("got"), 0o755); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
		e.sees(`^ name +tree`)
		if s := e.screen("-e"); regexp.MustCompile(`\x1b\[[0-9;]*3[0-7]m`).MatchString(s) {
			t.Errorf("the screen has colours with NO_COLOR: %q", s)
		}
		// The seed starts now, so that the screen stays until the test has looked at it.
		origin.spate("seed", at("tree.torrent"))
		e.sees(`/got/tree$`, `^ended with 0$`) // printed after the screen is closed

		e = h.in(t).terminal(80, 24, "", fmt.Sprintf("%s get --tui %s -o %s --state %s", spateBin, at("big.iso.torrent"), at("got"), state))
		e.sees(`^ state +downloading`)
		top := h.in(t).terminal(200, 50, "", spateBin+" top --state "+state)
		top.sees(`^ spate top `, `^ name +big.iso`, `^ state +downloading`, `^ process +\d+`)
		e.keys("C-c")
		e.sees(`^ended with 7$`)
		top.sees(`no torrents`)
		top.keys("q")
		top.sees(`^ended with 0$`)
	})
	t.Run("no screen", func(t *testing.T) {
		e := h.in(t).terminal(80, 24, "TERM=dumb", spateBin+" bt btdownloadcurses "+at("tree.torrent")+" --saveas "+at("dumb")+" --display_interval 0.2")
		e.sees(`^saving: +tree \(0\.1 MB\)$`, `^time left: `)
		e.keys("C-c")
		e.sees(`^ended with [07]$`)
		p := h.in(t).tool("btdownloadcurses", at("tree.torrent"), "--saveas", at("piped"), "--display_interval", "0.2")
		p.line("a status block", func(s string) bool { return strings.HasPrefix(s, "time left:      Download Succeeded!") })
		if !strings.Contains(p.log.String(), "standard output is not a terminal") {
			t.Errorf("the program does not report why it shows no screen: %s", p.log)
		}
	})
}
