package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spate/internal/killpoint"
)

// spateBin is the path of the program under test: SPATE_BIN, or a binary that TestMain
// builds.
var spateBin = os.Getenv("SPATE_BIN")

// quiet contains the variables with which spate looks for peers and routers only if a test asks
// for it. TestMain sets them, so that all programs inherit them.
var quiet = []string{"SPATE_NO_DHT=true", "SPATE_NO_LSD=true", "SPATE_NO_PORTMAP=true"}

func TestMain(m *testing.M) {
	if code, asked := killpoint.Main(); asked {
		os.Exit(code)
	}
	if addr := os.Getenv(inventedEnv); addr != "" {
		serveInvented(addr)
	}
	for _, v := range quiet {
		name, value, _ := strings.Cut(v, "=")
		os.Setenv(name, value)
	}
	if spateBin != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "spate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Chmod(dir, 0o755) // a test runs the program as another user
	spateBin = filepath.Join(dir, "spate")
	build := exec.Command("go", "build", "-o", spateBin, "../cmd/spate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building spate: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// patience bounds the time of each step of a test. It only detects hangs, so it is long
// enough for a busy machine.
const patience = 5 * time.Minute

// missing skips the test because a program or permission is missing. With SPATE_E2E=require it
// fails the test.
func missing(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("SPATE_E2E") == "require" {
		t.Fatalf("%s is missing, and SPATE_E2E=require", name)
	}
	t.Skipf("SKIPPED: %s is missing", name)
}

// need skips the test if one of the programs is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if p == "libtorrent" {
			if err := exec.Command("/usr/bin/python3", "-c", "import libtorrent").Run(); err != nil {
				missing(t, "libtorrent for Python (package python3-libtorrent)")
			}
			continue
		}
		if _, err := exec.LookPath(p); err != nil {
			missing(t, p)
		}
	}
}

var netCount atomic.Int32

// lan is a local network of hosts, which are network namespaces of this machine.
type lan struct {
	t     *testing.T
	tag   string // prefix of the names of the namespaces
	Hosts []*host
}

// host is a machine of a lan.
type host struct {
	t      *testing.T
	ns     string // network namespace
	IP     string
	IP6    string
	LSD    bool // programs use local peer discovery (BEP 14), which is off in other tests
	UTP    bool // other clients use uTP, and libtorrent nothing else; they use TCP in other tests
	Router bool // programs ask the router to map ports, which is off in other tests
}

// newLAN creates a network of n hosts that is connected to no other network.
func newLAN(t *testing.T, n int) *lan {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "root, which creating network namespaces needs,")
	}
	need(t, "ip")
	l := &lan{t: t, tag: fmt.Sprintf("se%d-%d", os.Getpid(), netCount.Add(1))}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	hub := l.tag + "-hub"
	if out, err := exec.Command("ip", "netns", "add", hub).CombinedOutput(); err != nil { // root in a container
		missing(t, fmt.Sprintf("the permission to create network namespaces (%s)", bytes.TrimSpace(out)))
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", hub).Run() })
	run("-n", hub, "link", "add", "br0", "type", "bridge")
	run("-n", hub, "link", "set", "br0", "up")
	for i := range n {
		h := &host{t: t, ns: fmt.Sprintf("%s-%d", l.tag, i), IP: fmt.Sprintf("10.93.0.%d", i+1), IP6: fmt.Sprintf("2001:db8:93::%x", i+1)}
		run("netns", "add", h.ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", h.ns).Run() })
		run("-n", h.ns, "link", "set", "lo", "up")
		run("-n", h.ns, "link", "add", "eth0", "type", "veth", "peer", "name", fmt.Sprintf("v%d", i), "netns", hub)
		run("-n", hub, "link", "set", fmt.Sprintf("v%d", i), "master", "br0", "up")
		run("-n", h.ns, "addr", "add", h.IP+"/24", "dev", "eth0")
		run("-n", h.ns, "addr", "add", h.IP6+"/64", "dev", "eth0", "nodad")
		run("-n", h.ns, "link", "set", "eth0", "up")
		// Some clients need a default route. No host has the address of this gateway.
		run("-n", h.ns, "route", "add", "default", "via", "10.93.0.254")
		run("-n", h.ns, "-6", "route", "add", "default", "via", "2001:db8:93::fe")
		l.Hosts = append(l.Hosts, h)
	}
	return l
}

// in returns the host for use in the subtest t.
func (h *host) in(t *testing.T) *host {
	c := *h
	c.t = t
	return &c
}

// proc is a process on a host.
type proc struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	out  *lines        // standard output
	log  *lines        // standard error
	done chan struct{} // closed when the process has ended
	err  error         // error of Wait; set before done is closed
}

// lines collects the lines that a program prints. It is safe for concurrent use.
type lines struct {
	mu  sync.Mutex
	all []string      // guarded by mu
	new chan struct{} // receives a value after a new line
}

func (l *lines) add(s string) {
	l.mu.Lock()
	l.all = append(l.all, s)
	l.mu.Unlock()
	select {
	case l.new <- struct{}{}:
	default:
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// find returns the first line for which match returns true.
func (l *lines) find(match func(string) bool) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.all {
		if match(s) {
			return s, true
		}
	}
	return "", false
}

// start starts a program on the host. The program is stopped at the end of the test.
func (h *host) start(name string, args ...string) *proc {
	h.t.Helper()
	p := &proc{t: h.t, name: filepath.Base(name), done: make(chan struct{}),
		out: &lines{new: make(chan struct{}, 1)}, log: &lines{new: make(chan struct{}, 1)}}
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
	p.cmd.Env = append(os.Environ(), "HOME="+h.t.TempDir(), "NO_COLOR=1", "TERM=dumb")
	if h.LSD {
		p.cmd.Env = append(p.cmd.Env, "LSD=1", "SPATE_NO_LSD=false")
	}
	if h.UTP {
		p.cmd.Env = append(p.cmd.Env, "UTP=1")
	}
	if h.Router {
		p.cmd.Env = append(p.cmd.Env, "SPATE_NO_PORTMAP=false")
	}
	p.cmd.Dir = h.t.TempDir()
	stdout, err1 := p.cmd.StdoutPipe()
	stderr, err2 := p.cmd.StderrPipe()
	if err := errors.Join(err1, err2, p.cmd.Start()); err != nil {
		h.t.Fatal(err)
	}
	var reading sync.WaitGroup
	read := func(r io.Reader, to *lines) {
		sc := bufio.NewScanner(r)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			to.add(sc.Text())
		}
		io.Copy(io.Discard, r)
	}
	reading.Go(func() { read(stdout, p.out) })
	reading.Go(func() { read(stderr, p.log) })
	go func() {
		reading.Wait()
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	h.t.Cleanup(func() {
		fine := p.ended() && p.err == nil
		p.stop(syscall.SIGTERM)
		if h.t.Failed() && !fine {
			h.t.Logf("%s %q printed:\n%s\n%s", p.name, args, tail(p.out.String()), tail(p.log.String()))
		}
	})
	return p
}

// tail returns the end of s.
func tail(s string) string {
	const most = 2000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}

// ended reports whether the program has ended.
func (p *proc) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop sends sig, and sends SIGKILL if the program does not end.
func (p *proc) stop(sig syscall.Signal) {
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// wait waits until the program has ended and returns its exit code.
func (p *proc) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s did not exit within %v:\n%s\n%s", p.name, patience, tail(p.out.String()), tail(p.log.String()))
		return -1
	}
}

// ok waits until the program has ended and fails the test if its exit code is not 0.
func (p *proc) ok() *proc {
	p.t.Helper()
	if code := p.wait(); code != 0 {
		p.t.Fatalf("%s exited with %d:\n%s\n%s", p.name, code, tail(p.out.String()), tail(p.log.String()))
	}
	return p
}

// line waits for a line of standard output for which match returns true, and returns it. name
// describes the line.
func (p *proc) line(name string, match func(string) bool) string {
	p.t.Helper()
	end := time.After(patience)
	for {
		if s, ok := p.out.find(match); ok {
			return s
		}
		select {
		case <-p.out.new:
		case <-p.done:
			if s, ok := p.out.find(match); ok {
				return s
			}
			p.t.Fatalf("%s exited (%v) without printing %s:\n%s\n%s", p.name, p.err, name, tail(p.out.String()), tail(p.log.String()))
		case <-end:
			p.t.Fatalf("%s did not print %s within %v:\n%s\n%s", p.name, name, patience, tail(p.out.String()), tail(p.log.String()))
		}
	}
}

// ready is the JSON line that publish, serve, seed and tracker print when they are ready.
type ready struct {
	Event        string   `json:"event"`
	PageURL      string   `json:"page_url"`
	TorrentURL   string   `json:"torrent_url"`
	Magnet       string   `json:"magnet"`
	InfoHashV1   string   `json:"info_hash_v1"`
	InfoHashV2   string   `json:"info_hash_v2"`
	AnnounceURLs []string `json:"announce_urls"`
	HTTPAddr     string   `json:"http_addr"`
	UDPAddr      string   `json:"udp_addr"`
	PeerAddr     string   `json:"peer_addr"`
}

// spate starts spate. Commands with a state directory get a new one, unless args contain
// one.
func (h *host) spate(args ...string) *proc {
	h.t.Helper()
	switch args[0] {
	case "publish", "serve", "get", "seed", "tracker":
		if slices.Contains(args, "--state") {
			break
		}
		args = append(args, "--state", h.t.TempDir())
	}
	return h.start(spateBin, args...)
}

// serve starts a command that runs until it is stopped, and waits until it is ready.
func (h *host) serve(args ...string) (*proc, ready) {
	h.t.Helper()
	p := h.spate(append(args, "--json")...)
	s := p.line("a ready line", func(s string) bool { return strings.Contains(s, `"ready"`) })
	var r ready
	if err := json.Unmarshal([]byte(s), &r); err != nil {
		h.t.Fatalf("ready line %q: %v", s, err)
	}
	return p, r
}

// run runs spate, fails the test if its exit code is not 0, and returns its standard output.
func (h *host) run(args ...string) string {
	h.t.Helper()
	return h.spate(args...).ok().out.String()
}

// eventually waits until test returns true. condition describes the test.
func eventually(t *testing.T, condition string, test func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !test() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, condition)
		}
		time.Sleep(50 * time.Millisecond) // other programs do not report progress
	}
}

// same reports whether two files have the same contents.
func same(a, b string) bool {
	return exec.Command("cmp", "-s", a, b).Run() == nil
}

// noise writes a file of n random bytes and returns its path.
func noise(t *testing.T, path string, n int64) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rnd, err := os.Open("/dev/urandom")
	if err != nil {
		t.Fatal(err)
	}
	defer rnd.Close()
	if _, err := io.CopyN(f, rnd, n); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs a program outside the namespaces and returns its standard output.
func command(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(name, args...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}
