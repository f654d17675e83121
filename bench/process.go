//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running or ended program.
type process struct {
	cmd   *exec.Cmd
	heard func(line string) // called with each line of output; nil to ignore it
	log   bytes.Buffer      // standard output and standard error
	line  int               // position in log of the line that has not ended yet
	began time.Time
	ended chan struct{} // closed when the process has ended; wall and err are set then
	wall  time.Duration // time from the start to the end
	err   error
}

// start starts args in a new session.
func start(args []string) (*process, error) { return startHeard(args, nil, nil) }

// startHeard starts args in a new session with in as its standard input, and calls heard with
// each line of output, without its end, one at a time. in and heard may be nil.
func startHeard(args []string, in *os.File, heard func(line string)) (*process, error) {
	p := &process{cmd: exec.Command(args[0], args[1:]...), heard: heard, ended: make(chan struct{})}
	// The measurements give spate its peers, and no packet leaves this machine.
	p.cmd.Env = append(os.Environ(), "SPATE_NO_DHT=true", "SPATE_NO_LSD=true", "SPATE_NO_PORTMAP=true")
	if in != nil {
		p.cmd.Stdin = in
	}
	p.cmd.Stdout, p.cmd.Stderr = p, p // one goroutine writes, because both are the same
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		p.wall = time.Since(p.began)
		close(p.ended)
	}()
	return p, nil
}

// Write appends output of the process to its log.
func (p *process) Write(b []byte) (int, error) {
	p.log.Write(b)
	for p.heard != nil {
		rest := p.log.Bytes()[p.line:]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		p.line += i + 1
		p.heard(string(rest[:i]))
	}
	return len(b), nil
}

// stop ends the process and waits until it has ended.
func (p *process) stop() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
}

// running returns nil while the process runs, and otherwise an error with its last output.
func (p *process) running() error {
	select {
	case <-p.ended:
		said := strings.TrimSpace(p.log.String())
		return fmt.Errorf("ended (%v): %s", p.err, said[max(0, len(said)-200):])
	default:
		return nil
	}
}

// cpu returns the processor time in seconds that the process has used so far.
func (p *process) cpu() float64 {
	select {
	case <-p.ended:
		return (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds()
	default:
		return cpuOf(p.cmd.Process.Pid)
	}
}

// ticks is the number of clock ticks per second in /proc.
const ticks = 100

// cpuOf returns the processor time in seconds of a process and its ended children.
func cpuOf(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	sum := 0
	for _, v := range f[11:15] {
		n, _ := strconv.Atoi(v)
		sum += n
	}
	return float64(sum) / ticks
}

// machineTime returns the ticks that the processors have spent since the machine started, and
// those in which they were idle.
func machineTime() (all, idle float64) {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	for i, v := range strings.Fields(line) {
		n, _ := strconv.ParseFloat(v, 64)
		all += n
		if i == 4 || i == 5 { // idle, and waiting for a disk
			idle += n
		}
	}
	return all, idle
}

// raisePriority gives this process and those that it starts later a nice value of -10, so that
// other work of the machine disturbs them less. Linux has a nice value for each thread, and a
// new thread has that of the thread that starts it.
func raisePriority() error {
	threads, err := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		if id, bad := strconv.Atoi(t.Name()); bad == nil {
			err = errors.Join(err, syscall.Setpriority(syscall.PRIO_PROCESS, id, -10))
		}
	}
	return err
}

// memory returns the anonymous memory of the process in bytes.
func (p *process) memory() float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, _ := strconv.Atoi(strings.Fields(v)[0])
			return float64(n) * 1024
		}
	}
	return 0
}

var errLate = errors.New("timed out")

// until calls f every few milliseconds until f returns nil. It returns an error if p ends or
// after readyTime.
func until(p *process, f func() error) error {
	for end := time.Now().Add(readyTime); ; time.Sleep(5 * time.Millisecond) {
		err := f()
		if err == nil {
			return nil
		}
		if gone := p.running(); gone != nil {
			return gone
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w: %w", errLate, err)
		}
	}
}

// folder creates a new directory in the temporary directory.
func (b *bench) folder(name string) (string, error) {
	dir, err := os.MkdirTemp(b.work, name+"-")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	return filepath.Clean(dir), err
}
