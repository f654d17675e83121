//go:build linux

package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// trackerProc is a process of spate with a tracker.
type trackerProc struct {
	announce []string // the announce URLs
	t        *testing.T
	cmd      *exec.Cmd
	addr     string        // the address for HTTP and UDP
	done     chan struct{} // closed when the process has ended
}

// startTracker starts spate tracker and waits until it listens. The process inherits the
// sockets.
func startTracker(t *testing.T, sockets []*os.File, args ...string) *trackerProc {
	t.Helper()
	return startVerb(t, sockets, append([]string{"tracker"}, args...)...)
}

// startVerb starts spate with args, which begin with a verb that runs a tracker, as
// startTracker does.
func startVerb(t *testing.T, sockets []*os.File, args ...string) *trackerProc {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &trackerProc{t: t, done: make(chan struct{})}
	args = append(args, "--json", "-q")
	p.cmd = exec.Command(exe, args...)
	p.cmd.Args[0] = "spate"
	if len(sockets) > 0 { // the process id of the shell stays the same, so that LISTEN_PID is right
		p.cmd = exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, filepath.Join(commandLink(t, exe), "spate")}, args...)...)
		p.cmd.ExtraFiles = sockets
	}
	p.cmd.Env = append(os.Environ(), "LISTEN_FDS="+strconv.Itoa(len(sockets)), "HOME="+t.TempDir())
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	go func() {
		defer close(p.done)
		io.Copy(io.Discard, lines)
		p.cmd.Wait()
	}()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	if err != nil {
		t.Fatalf("no ready event: %v", err)
	}
	var ready readyEvent
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		t.Fatal(err)
	}
	p.addr, p.announce = ready.HTTPAddr, ready.AnnounceURLs
	return p
}

// commandLink creates a directory with a link to exe named spate, and returns the directory.
func commandLink(t *testing.T, exe string) string {
	dir := t.TempDir()
	if err := os.Symlink(exe, filepath.Join(dir, "spate")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// end sends a signal, waits, and returns the exit code, or -1 if the signal ended the process.
func (p *trackerProc) end(sig syscall.Signal) int {
	p.cmd.Process.Signal(sig)
	return p.wait()
}

// wait waits until the process ends, and returns its exit code.
func (p *trackerProc) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Error("the process did not stop in time")
		p.cmd.Process.Kill()
		<-p.done
	}
	return p.cmd.ProcessState.ExitCode()
}
