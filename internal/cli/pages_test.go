package cli

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// exampleSite is the address that the documents use for the publisher. The tests replace it by
// the address that the first background command of the page prints.
const exampleSite = "203.0.113.7:6969"

// TestPages runs the commands of the tutorial and of other documents with the real program on
// loopback, each document in a home directory of its own. The rules:
//
//   - The blocks of the kind "console" are run, in the order of the page, by sh. All other
//     blocks are not.
//   - A line that begins with "$ " is a command. It must succeed.
//   - The other lines are output, of which a command prints at least these. Words with digits,
//     other than whole numbers, match any such words, and "…" matches any text. The commands
//     "spate status" and "spate list" are repeated until they print the output.
//   - The command after the line "# leave this running" runs in the background until the end of
//     the page. The command after "# ten people run this" is run ten times, each time with
//     another home directory.
//   - The address 203.0.113.7:6969 is replaced by the address of the first page or of the first
//     tracker that a background command prints.
func TestPages(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the commands of the documents need a shell")
	}
	for _, name := range []string{
		"tutorial.md", "howto/publish-a-folder.md", "howto/many-versions.md", "howto/mirror-to-object-storage.md",
		"howto/move-a-tracker.md", "howto/seed-for-others.md", "howto/download-on-a-server.md", "howto/upgrade-and-back-up.md", "api.md",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("../../docs", filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "$ curl ") {
				if _, err := exec.LookPath("curl"); err != nil {
					t.Skip("the commands of this document need curl")
				}
			}
			blocks := consoleBlocks(string(text))
			if len(blocks) == 0 {
				t.Fatal("the document has no console block")
			}
			home, err := os.MkdirTemp("", "pages") // short, because sockets lie below it
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(home) })
			r := &pageRun{T: t, home: home}
			t.Cleanup(r.stop)
			for _, b := range blocks {
				r.block(b)
			}
		})
	}
}

// consoleBlocks returns the blocks of the kind "console" in a document.
func consoleBlocks(text string) (blocks [][]string) {
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "\n```console\n")
		if !ok {
			return blocks
		}
		block, more, _ := strings.Cut(after, "\n```")
		blocks, rest = append(blocks, strings.Split(block, "\n")), more
	}
}

// pageRun runs the commands of one document.
type pageRun struct {
	*testing.T
	home       string
	site       string // in place of exampleSite; empty: not known yet
	background []*background
}

// background is a command that runs until the end of the page.
type background struct {
	cmd   *exec.Cmd
	out   *sharedBuffer
	spate bool // it is spate
}

// block runs the commands of a block and compares their output.
func (r *pageRun) block(lines []string) {
	r.Helper()
	mode := ""
	for len(lines) > 0 {
		if strings.HasPrefix(lines[0], "# ") {
			mode, lines = lines[0], lines[1:]
			continue
		}
		line, ok := strings.CutPrefix(lines[0], "$ ")
		if !ok {
			r.Fatalf("%q is no command", lines[0])
		}
		n := 1
		for n < len(lines) && !strings.HasPrefix(lines[n], "$ ") && !strings.HasPrefix(lines[n], "# ") {
			n++
		}
		want := lines[1:n]
		lines = lines[n:]
		if r.site != "" {
			line = strings.ReplaceAll(line, exampleSite, r.site)
		}
		switch mode {
		case "":
			r.run(line, r.home, want)
		case "# leave this running":
			r.leave(line, want)
		case "# ten people run this":
			for i := range 10 {
				home := filepath.Join(r.home, "person"+strconv.Itoa(i))
				if err := os.Mkdir(home, 0o755); err != nil {
					r.Fatal(err)
				}
				r.run(line, home, want)
			}
		default:
			r.Fatalf("unknown comment %q", mode)
		}
		mode = ""
	}
}

// command returns a command of the page with its surroundings, which keep it on loopback.
func (r *pageRun) command(line, home string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = home
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SPATE_") && !strings.HasPrefix(v, "XDG_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+home, "SPATE_BIND=127.0.0.1", "SPATE_LISTEN=127.0.0.1:0", "SPATE_PEER_PORT=0",
		"SPATE_NO_DHT=true", "SPATE_NO_LSD=true", "SPATE_NO_PORTMAP=true")
	return cmd
}

// run runs a command until it ends. A command that shows the state of a daemon is repeated until
// the daemon has counted what happened before.
func (r *pageRun) run(line, home string, want []string) {
	r.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		cmd := r.command(line, home)
		var said, notes bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &notes
		err := cmd.Run()
		out := said.String() + "\n" + notes.String()
		var exit *exec.ExitError
		// spate doctor exits with 1 when it has advice, as on a busy machine with a slow disk.
		if advice := strings.HasPrefix(line, "spate doctor") && errors.As(err, &exit) && exit.ExitCode() == 1; err != nil && !advice {
			r.Fatalf("%s: %v\n%s", line, err, out)
		}
		missing := missingLine(out, want)
		if missing == "" {
			return
		}
		if !strings.HasPrefix(line, "spate status") && !strings.HasPrefix(line, "spate list") || time.Now().After(late) {
			r.Fatalf("%s does not print %q. It prints:\n%s", line, missing, out)
		}
	}
}

// leave starts a command in the background and waits until it has printed its output.
func (r *pageRun) leave(line string, want []string) {
	r.Helper()
	b := &background{cmd: r.command("exec "+line, r.home), out: &sharedBuffer{}, spate: strings.HasPrefix(line, "spate ")}
	b.cmd.Stdout, b.cmd.Stderr = b.out, b.out
	if err := b.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	r.background = append(r.background, b)
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		said := b.out.String()
		missing := missingLine(said, want)
		if missing == "" {
			break
		}
		if time.Now().After(late) {
			r.Fatalf("%s does not print %q. It prints:\n%s", line, missing, said)
		}
	}
	if m := regexp.MustCompile(`https?://(127\.0\.0\.1:[0-9]+)/`).FindStringSubmatch(b.out.String()); m != nil && r.site == "" {
		r.site = m[1]
	}
}

// stop interrupts the commands that run in the background, and checks that they end well. Programs
// other than spate may end by the signal.
func (r *pageRun) stop() {
	for _, b := range r.background {
		if err := b.cmd.Process.Signal(syscall.SIGINT); err != nil {
			r.Errorf("%s: %v", b.cmd, err)
		}
		err := b.cmd.Wait()
		var ended *exec.ExitError
		if errors.As(err, &ended) && !b.spate {
			if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGINT {
				continue
			}
		}
		if err != nil {
			r.Errorf("%s: %v\n%s", b.cmd, err, b.out.String())
		}
	}
}

// missingLine returns the first line of want that out does not contain, or an empty string. The
// lines may have any order, because out contains standard output and standard error.
func missingLine(out string, want []string) string {
	var have []string
	for l := range strings.SplitSeq(out, "\n") {
		have = append(have, blurred(l))
	}
	for _, w := range want {
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(blurred(w)), "…", ".*") + "$")
		if !slices.ContainsFunc(have, pattern.MatchString) {
			return w
		}
	}
	return ""
}

// word matches the words of a line, such as 245, 0.1s, [::]:6881 or http://203.0.113.7:6969/r/x.
var word = regexp.MustCompile(`[\w\[][\w.:/~%@\[\]+-]*`)

// blurred returns a line without blanks at its end, and with # in the place of each word that
// contains a digit and is no whole number.
func blurred(line string) string {
	return word.ReplaceAllStringFunc(strings.TrimRight(line, " \r"), func(w string) string {
		if _, err := strconv.Atoi(w); err == nil || !strings.ContainsAny(w, "0123456789") {
			return w
		}
		return "#"
	})
}

// sharedBuffer is a buffer that a process writes while a test reads it.
type sharedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sharedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sharedBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
