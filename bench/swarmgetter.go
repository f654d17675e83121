//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// restartTime is the time after which a killed getter starts again.
const restartTime = 3 * time.Second

// swarmGetter is a getter of a run. The goroutine that reads its output sets the atomic fields;
// everything else belongs to the goroutine of the run.
type swarmGetter struct {
	run     *swarmRun
	kind    string
	host    int
	link    link
	job     peerJob
	arrival time.Duration // after the common start
	proc    *process      // nil before the start
	stdin   *os.File      // of a staged program
	started time.Time     // the first start; zero before
	killed  time.Duration // after the common start; 0 unless the getter is dead
	kills   int
	told    bool // a staged program has received its line
	left    bool // the program has been told to leave

	finished atomic.Int64 // nanoseconds since 1970; 0 until the download is complete
	given    atomic.Int64 // payload sent
	halts    atomic.Int32 // errors reported
	ready    atomic.Bool  // a staged program has said READY
	// Of a browser: seconds after the click as bits of a float64; 0 until it tells.
	connected, block atomic.Uint64

	grown  int64         // size of curl's file
	fresh  time.Time     // when the file grew last
	waited time.Duration // longest time in which it did not grow
}

// newGetter creates getter i with its directories.
func (s *swarmRun) newGetter(i int, kind string) (*swarmGetter, error) {
	o := s.o
	g := &swarmGetter{run: s, kind: kind, host: 1 + i, link: o.links.of(i), arrival: time.Duration(i) * o.every}
	torrent := s.torrentFor(kind)
	g.job = peerJob{
		source: torrent, torrent: torrent, dir: s.file(fmt.Sprint("out", g.host)), state: s.file(fmt.Sprint("state", g.host)),
		listen: s.net.listen(g.host), page: s.net.url(originHost) + "/r/" + swarmFile, tcp: kind == "libtorrent-tcp", rider: i < o.riders, leave: o.leave,
		flags: strings.Fields(o.getFlags), url: s.net.url(originHost) + "/d/" + swarmFile, name: swarmFile,
	}
	if s.origin == "spate" && o.webSeed == "published" { // as users do
		g.job.source = s.net.url(originHost) + "/r/" + swarmFile
	}
	for _, dir := range []string{g.job.dir, g.job.state} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// name returns the name of the getter in logs and errors.
func (g *swarmGetter) name() string { return fmt.Sprintf("%d-%s", g.host, g.kind) }

// launch starts the program.
func (g *swarmGetter) launch() error {
	args, err := g.run.in.peer(g.kind, g.job)
	if err != nil {
		return err
	}
	var in *os.File
	if staged(g.kind) {
		g.ready.Store(false)
		g.told = false
		if in, g.stdin, err = os.Pipe(); err != nil {
			return err
		}
		defer in.Close()
	}
	g.proc, err = g.run.start(g.host, g.name(), args, in, g.heard)
	return err
}

// prepare launches a staged program and waits until it is ready.
func (g *swarmGetter) prepare() error {
	if err := g.launch(); err != nil {
		return err
	}
	return until(g.proc, func() error {
		if !g.ready.Load() {
			return fmt.Errorf("the program is not ready")
		}
		return nil
	})
}

// start lets the download begin.
func (g *swarmGetter) start() error {
	if g.started.IsZero() {
		g.started = time.Now()
		g.fresh = g.started
	}
	if g.proc != nil {
		return nil
	}
	return g.launch()
}

// tell sends a staged program its line when it is ready.
func (g *swarmGetter) tell() error {
	if g.stdin == nil || g.told || !g.ready.Load() {
		return nil
	}
	g.told = true
	_, err := g.stdin.WriteString("go\n")
	return err
}

// step does what is due: it starts, kills and restarts the program, and finds out whether the
// download is complete. now and kill are times after the common start.
func (g *swarmGetter) step(now, kill time.Duration) error {
	switch {
	case g.started.IsZero():
		if now < g.arrival {
			return nil
		}
		if err := g.start(); err != nil {
			return err
		}
	case g.killed > 0:
		if now < g.killed+restartTime {
			return nil
		}
		g.killed = 0
		if err := g.start(); err != nil {
			return err
		}
	case kill > 0 && g.kills == 0 && now >= kill && g.done().IsZero():
		g.close()
		syscall.Kill(-g.proc.cmd.Process.Pid, syscall.SIGKILL)
		<-g.proc.ended
		g.proc, g.killed, g.kills = nil, now, 1
		return nil
	}
	if err := g.tell(); err != nil {
		return err
	}
	return g.look()
}

// look finds out whether the download is complete, and then lets the getter leave if it should.
func (g *swarmGetter) look() error {
	if g.done().IsZero() {
		if err := g.lookForEnd(); err != nil {
			return err
		}
	}
	if !g.done().IsZero() && g.job.leave && !g.left {
		g.left = true
		syscall.Kill(-g.proc.cmd.Process.Pid, syscall.SIGTERM)
	}
	return nil
}

// lookForEnd finds out whether the download is complete if the output of the program does not
// tell.
func (g *swarmGetter) lookForEnd() error {
	if g.kind == "curl" {
		g.watchFile()
	}
	if info, err := os.Stat(filepath.Join(g.job.state, "done")); err == nil {
		g.finished.Store(info.ModTime().UnixNano())
		return nil
	}
	ended := g.proc.running()
	if ended == nil || !g.done().IsZero() { // a program that leaves may tell that it is complete just before its end
		return nil
	}
	if g.proc.err != nil || g.kind != "curl" && !g.job.leave {
		return ended
	}
	g.finished.Store(g.proc.began.Add(g.proc.wall).UnixNano())
	return nil
}

// watchFile notes how long the file of curl does not grow.
func (g *swarmGetter) watchFile() {
	info, err := os.Stat(filepath.Join(g.job.dir, swarmFile))
	if err == nil && info.Size() > g.grown {
		g.grown, g.fresh = info.Size(), time.Now()
	}
	g.waited = max(g.waited, time.Since(g.fresh))
}

// heard reads a line of output.
func (g *swarmGetter) heard(line string) {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case g.kind == "spate" && strings.HasPrefix(line, "{"):
		var e struct {
			Event    string
			Uploaded int64
		}
		if json.Unmarshal([]byte(line), &e) != nil {
			return
		}
		g.given.Store(max(g.given.Load(), e.Uploaded))
		if e.Event == "done" {
			g.finished.CompareAndSwap(0, time.Now().UnixNano())
		}
	case !staged(g.kind):
	case word == "READY":
		g.ready.Store(true)
	case word == "DONE":
		g.finished.CompareAndSwap(0, time.Now().UnixNano())
	case word == "UP":
		if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
			g.given.Store(n)
		}
	case word == "CONNECTED", word == "FIRST":
		if v, err := strconv.ParseFloat(rest, 64); err == nil {
			map[string]*atomic.Uint64{"CONNECTED": &g.connected, "FIRST": &g.block}[word].Store(math.Float64bits(v))
		}
	case word == "ERROR":
		g.halts.Add(1)
	}
}

// done returns when the download was complete, or zero.
func (g *swarmGetter) done() time.Time {
	if n := g.finished.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// close closes the standard input of the program.
func (g *swarmGetter) close() {
	if g.stdin != nil {
		g.stdin.Close()
		g.stdin = nil
	}
}

// stop stops the program.
func (g *swarmGetter) stop() {
	g.close()
	if g.proc != nil {
		g.proc.stop()
	}
}

// same reports whether two files have the same content.
func same(a, b string) bool { return exec.Command("cmp", "-s", a, b).Run() == nil }
