//go:build linux

package cli

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spate"
)

// These tests are of a tracker as a process: how it ends, and how another one
// follows.

// trackerProc is a `spate tracker` of its own.
type trackerProc struct {
	announce []string // URLs
	t        *testing.T
	cmd      *exec.Cmd
	addr     string // of both HTTP and UDP
	done     chan struct{}
}

// startTracker starts a tracker and waits until it listens. The sockets are for
// it to inherit.
func startTracker(t *testing.T, sockets []*os.File, args ...string) *trackerProc {
	t.Helper()
	return startVerb(t, sockets, append([]string{"tracker"}, args...)...)
}

// startVerb is startTracker for another verb that has a tracker in it.
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
	if len(sockets) > 0 { // the process that runs exe has the shell's id
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

// commandLink is a directory in which the test's program is called spate.
func commandLink(t *testing.T, exe string) string {
	dir := t.TempDir()
	if err := os.Symlink(exe, filepath.Join(dir, "spate")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// end sends a signal, waits and returns the exit code, -1 for a signal's.
func (p *trackerProc) end(sig syscall.Signal) int {
	p.cmd.Process.Signal(sig)
	return p.wait()
}

func (p *trackerProc) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Error("the tracker does not stop")
		p.cmd.Process.Kill()
		<-p.done
	}
	return p.cmd.ProcessState.ExitCode()
}

// udpClient is a UDP client that never asks for a second connection id.
type udpClient struct {
	conn net.Conn
	id   uint64
	tid  uint32
}

func dialUDP(t *testing.T, addr string) *udpClient {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &udpClient{conn: conn, id: 0x41727101980}
	b, err := c.ask(0, nil, often)
	if err != nil || len(b) != 8 {
		t.Fatalf("connect: %v, %d bytes", err, len(b))
	}
	c.id = binary.BigEndian.Uint64(b)
	return c
}

// often is how many times a request is sent that must be answered.
const often = int(patience / time.Second)

// ask sends a request, again every second, up to so many times, and returns what
// follows the header of the reply.
func (c *udpClient) ask(action uint32, body []byte, times int) ([]byte, error) {
	c.tid++
	b := binary.BigEndian.AppendUint64(nil, c.id)
	b = binary.BigEndian.AppendUint32(b, action)
	b = append(binary.BigEndian.AppendUint32(b, c.tid), body...)
	in := make([]byte, 2048)
	var last error
	for range times {
		if _, last = c.conn.Write(b); last != nil { // nobody listened when the last one was sent
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c.conn.SetReadDeadline(time.Now().Add(time.Second))
		for {
			var n int
			if n, last = c.conn.Read(in); last != nil {
				break
			}
			if n < 8 || binary.BigEndian.Uint32(in[4:]) != c.tid {
				continue // of an earlier request
			}
			if got := binary.BigEndian.Uint32(in); got != action {
				return nil, fmt.Errorf("error packet: action %d, %q", got, in[8:n])
			}
			return append([]byte(nil), in[8:n]...), nil
		}
	}
	return nil, last
}

// announce announces; seeders and leechers are those of the reply.
func (c *udpClient) announce(ih spate.InfoHash, id spate.PeerID, port uint16, left uint64, event uint32, times int) (leechers, seeders uint32, err error) {
	b := append(append([]byte(nil), ih[:]...), id[:]...)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, left)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint32(b, event)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, binary.BigEndian.Uint32(id[16:]))
	b = binary.BigEndian.AppendUint32(b, 0) // no peers
	b = binary.BigEndian.AppendUint16(b, port)
	r, err := c.ask(1, b, times)
	if err == nil && len(r) < 12 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, 0, err
	}
	return binary.BigEndian.Uint32(r[4:]), binary.BigEndian.Uint32(r[8:]), nil
}

// scrape returns the three counts.
func (c *udpClient) scrape(t *testing.T, ih spate.InfoHash) (seeders, completed, leechers uint32) {
	t.Helper()
	b, err := c.ask(2, ih[:], often)
	if err != nil || len(b) < 12 {
		t.Fatalf("scrape: %v", err)
	}
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
}

func somePeer(i uint32) (id spate.PeerID) {
	copy(id[:], "-TT0001-")
	binary.BigEndian.PutUint32(id[12:], i)
	binary.BigEndian.PutUint32(id[16:], i*2654435761)
	return id
}

// httpLoad announces over HTTP, with a connection for each, until stop.
func httpLoad(addr string, ih spate.InfoHash, stop <-chan struct{}, ok, failed *atomic.Int64, note func(error)) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		id := somePeer(uint32(i))
		u := "http://" + addr + "/announce?compact=1&numwant=0&left=1&port=" + strconv.Itoa(2000+i%40) +
			"&info_hash=" + url.QueryEscape(string(ih[:])) + "&peer_id=" + url.QueryEscape(string(id[:]))
		resp, err := client.Get(u)
		if err == nil {
			var b []byte
			b, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && !strings.Contains(string(b), "8:interval") {
				err = fmt.Errorf("answer %q", b)
			}
		}
		if err != nil {
			failed.Add(1)
			note(err)
			continue
		}
		ok.Add(1)
	}
}

// udpLoad announces over UDP with one connection id until stop.
func udpLoad(c *udpClient, ih spate.InfoHash, stop <-chan struct{}, ok, failed *atomic.Int64, note func(error)) {
	for i := uint32(0); ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		if _, _, err := c.announce(ih, somePeer(i), uint16(2000+i%40), 1, 0, often); err != nil {
			failed.Add(1)
			note(err)
			continue
		}
		ok.Add(1)
	}
}

// underLoad runs f while clients announce over both protocols, and fails the test
// for each announce that was refused or never answered.
func underLoad(t *testing.T, addr string, ih spate.InfoHash, f func()) {
	t.Helper()
	stop := make(chan struct{})
	var ok, failed atomic.Int64
	var wg sync.WaitGroup
	note := func(err error) { t.Errorf("announce: %v", err) }
	for range 2 {
		c := dialUDP(t, addr)
		wg.Go(func() { httpLoad(addr, ih, stop, &ok, &failed, note) })
		wg.Go(func() { udpLoad(c, ih, stop, &ok, &failed, note) })
	}
	f()
	before := ok.Load()
	for late := time.Now().Add(patience); ok.Load() < before+200 && time.Now().Before(late); {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	t.Logf("%d announces, %d failed", ok.Load(), failed.Load())
	if ok.Load() < before+200 {
		t.Error("announces are not answered any more")
	}
}

// A second tracker takes over from the first: nobody is refused, and it knows
// the peers.
func TestTrackerTakesOver(t *testing.T) {
	state := t.TempDir()
	first := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", state, "--reuse-port")
	known, other := spate.InfoHash{1}, spate.InfoHash{2}
	c := dialUDP(t, first.addr)
	if _, _, err := c.announce(known, somePeer(1), 7000, 0, 2, often); err != nil {
		t.Fatal(err)
	}
	underLoad(t, first.addr, other, func() {
		startTracker(t, nil, "--listen", first.addr, "--state", state, "--reuse-port")
		if code := first.wait(); code != 0 {
			t.Errorf("the first one ended with %d", code)
		}
	})
	if seeds, _, _ := c.scrape(t, known); seeds != 1 {
		t.Errorf("%d seeds after the change, want 1", seeds)
	}
}

// managedSockets opens a TCP and a UDP socket as the service manager does.
func managedSockets(t *testing.T) (sockets []*os.File, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Skip(err) // the port is somebody else's
	}
	defer u.Close()
	tcp, err1 := l.(*net.TCPListener).File()
	udp, err2 := u.(*net.UDPConn).File()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	return []*os.File{tcp, udp}, l.Addr().String()
}

// The daemon too: a visitor who comes while none runs is answered by the next.
func TestServeInheritsSockets(t *testing.T) {
	sockets, addr := managedSockets(t)
	state, in := t.TempDir(), t.TempDir()
	args := []string{"serve", "--state", state, "--watch", in, "--bind", "127.0.0.1", "--no-lsd", "--peer-port", "0"}
	first := startVerb(t, sockets, args...)
	if first.addr != addr {
		t.Fatalf("it listens on %s, want %s", first.addr, addr)
	}
	visit := func() (int, error) {
		resp, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr + "/index.json")
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	if code, err := visit(); code != http.StatusOK {
		t.Errorf("the first: %d %v", code, err)
	}
	if code := first.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	waiting := make(chan error, 1)
	go func() {
		code, err := visit()
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("answered %d", code)
		}
		waiting <- err
	}()
	startVerb(t, sockets, args...)
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}

// The service manager's sockets outlive the process: it is killed, and nobody is
// refused until the next one answers.
func TestTrackerInheritsSockets(t *testing.T) {
	sockets, addr := managedSockets(t)
	state := t.TempDir()
	first := startTracker(t, sockets, "--state", state)
	if first.addr != addr {
		t.Fatalf("it listens on %s, want %s", first.addr, addr)
	}
	underLoad(t, first.addr, spate.InfoHash{3}, func() {
		if code := first.end(syscall.SIGTERM); code != 0 && code != CodeInterrupted {
			t.Errorf("exit code %d", code)
		}
		startTracker(t, sockets, "--state", state)
	})
}

// Killed under load: what was saved is there, each completion that was answered
// is counted, and clients go on with the connection ids that they have.
func TestTrackerKilled(t *testing.T) {
	state := t.TempDir()
	p := startTracker(t, nil, "--listen", "127.0.0.1:0", "--state", state)
	saved, hot := spate.InfoHash{1}, spate.InfoHash{2}
	c := dialUDP(t, p.addr)
	const peers = 50
	for i := range uint32(peers) {
		if _, _, err := c.announce(saved, somePeer(i), uint16(3000+i), 1, 2, often); err != nil {
			t.Fatal(err)
		}
	}
	p.end(syscall.SIGTERM) // saves
	p = startTracker(t, nil, "--listen", p.addr, "--state", state)
	var sent, answered atomic.Uint32
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := uint32(1); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			sent.Add(1)
			c.announce(hot, somePeer(i), uint16(1000+i%60000), 1, 2, 1)
			if _, _, err := c.announce(hot, somePeer(i), uint16(1000+i%60000), 0, 1, 1); err == nil {
				answered.Add(1)
			} else if strings.Contains(err.Error(), "error packet") {
				t.Error(err)
			}
		}
	})
	for answered.Load() < 2000 {
		time.Sleep(time.Millisecond)
	}
	p.end(syscall.SIGKILL)
	close(stop)
	wg.Wait()
	done := answered.Load()
	startTracker(t, nil, "--listen", p.addr, "--state", state)
	_, completed, _ := c.scrape(t, hot) // with the connection id of the first process
	if completed > sent.Load() || completed < done {
		t.Errorf("%d completions after the kill; %d were answered of %d", completed, done, sent.Load())
	}
	t.Logf("%d completions known, %d answered", completed, done)
	if _, _, leechers := c.scrape(t, saved); leechers != peers {
		t.Errorf("%d peers of the snapshot, want %d", leechers, peers)
	}
}
