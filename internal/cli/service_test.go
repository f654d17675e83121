package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is the time after which a test considers an operation as hung. It is long, because
// the machine may be busy.
const patience = 5 * time.Minute

// service is a process of spate that a script has started.
type service struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	out  []string // lines of standard output
	more chan struct{}
	done chan struct{}
}

// services maps the names of the services of one script to the services.
type services map[string]*service

type servicesKey struct{}

// start is the script command "start NAME VERB ARG...". It runs spate VERB --json ARG... in the
// background until the script ends or runs "halt NAME". It waits for the ready event, or for
// the metadata event of get, and sets the variable NAME_FIELD for each field of the event.
// VERB may be a tool of 2005, which has no events: start does not wait for it, but for
// bttrack it sets NAME_url to the URL of the tracker.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME VERB ARG...")
	}
	all := ts.Value(servicesKey{}).(services)
	exe, err := os.Executable()
	ts.Check(err)
	old := strings.HasPrefix(args[1], "bt")
	s := &service{cmd: exec.Command(exe, append([]string{args[1], "--json"}, args[2:]...)...), more: make(chan struct{}, 1), done: make(chan struct{})}
	s.cmd.Args[0] = "spate"
	if old {
		s.cmd.Args = args[1:]
	}
	s.cmd.Dir = ts.MkAbs(".")
	for _, k := range []string{"HOME", "PATH", "TMPDIR", "GOCOVERDIR", "SPATE_STATE", "SPATE_FOLLOW_LINKS", "SPATE_NO_DHT", "GORACE"} {
		s.cmd.Env = append(s.cmd.Env, k+"="+ts.Getenv(k))
	}
	log, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	s.cmd.Stderr = log
	pipe, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	all[args[0]] = s
	ts.Defer(func() {
		s.cmd.Process.Kill()
		<-s.done
		log.Close()
	})
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			s.mu.Lock()
			s.out = append(s.out, lines.Text())
			s.mu.Unlock()
			select {
			case s.more <- struct{}{}:
			default:
			}
		}
		s.cmd.Wait()
	}()
	if args[1] == "bttrack" {
		ts.Setenv(args[0]+"_url", s.statistics(ts, ts.MkAbs(args[0]+".err")))
	}
	if old {
		return
	}
	line := s.await(ts, `"event":"(ready|metadata)"`)
	var ready map[string]any
	ts.Check(json.Unmarshal([]byte(line), &ready))
	for k, v := range ready {
		ts.Setenv(args[0]+"_"+k, fmt.Sprint(v))
	}
}

// statistics returns the URL of a bttrack, which prints the URL of its statistics on standard
// error.
func (s *service) statistics(ts *testscript.TestScript, log string) string {
	said := regexp.MustCompile(`statistics at (\S+)/stats`)
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(log)
		ts.Check(err)
		if m := said.FindSubmatch(b); m != nil {
			return string(m[1])
		}
		select {
		case <-s.done:
			ts.Fatalf("bttrack ended: %s", b)
		default:
		}
	}
	ts.Fatalf("bttrack did not print its URL in time")
	return ""
}

// await waits for a line that matches all patterns, and returns it.
func (s *service) await(ts *testscript.TestScript, patterns ...string) string {
	late := time.After(patience)
	for seen := 0; ; {
		s.mu.Lock()
		lines := s.out[seen:]
		seen = len(s.out)
		s.mu.Unlock()
		for _, l := range lines {
			ok := true
			for _, p := range patterns {
				ok = ok && regexp.MustCompile(p).MatchString(l)
			}
			if ok {
				return l
			}
		}
		select {
		case <-s.more:
		case <-s.done:
			s.mu.Lock()
			ended := seen == len(s.out)
			s.mu.Unlock()
			if ended {
				ts.Fatalf("the service ended (%v) without a line that matches %q", s.cmd.ProcessState, patterns)
			}
		case <-late:
			ts.Fatalf("the service printed no line that matches %q in time", patterns)
		}
	}
}

// await is the script command "await NAME PATTERN...". It waits for a line in the output of
// the service that matches all patterns, and prints it. "! await NAME PATTERN" fails if a line so
// far matches the pattern.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg && len(args) > 2 {
		ts.Fatalf("usage: await NAME PATTERN...")
	}
	s := ts.Value(servicesKey{}).(services)[args[0]]
	if neg {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, l := range s.out {
			if regexp.MustCompile(args[1]).MatchString(l) {
				ts.Fatalf("the service printed %s", l)
			}
		}
		return
	}
	line := s.await(ts, args[1:]...)
	fmt.Fprintln(ts.Stdout(), line)
}

// halt is the script command "halt NAME CODE [SIGNAL]". It stops the service, and fails if the
// exit code is another one.
func halt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: halt NAME CODE [INT|TERM|KILL]")
	}
	s := ts.Value(servicesKey{}).(services)[args[0]]
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	sig := syscall.SIGINT
	if len(args) > 2 {
		sig = map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[2]]
	}
	ts.Check(s.cmd.Process.Signal(sig))
	select {
	case <-s.done:
	case <-time.After(patience):
		ts.Fatalf("%s did not stop", args[0])
	}
	if got := s.cmd.ProcessState.ExitCode(); got != want {
		b, _ := os.ReadFile(ts.MkAbs(args[0] + ".err"))
		ts.Fatalf("exit code %d, want %d; standard error:\n%s", got, want, b)
	}
}

// hangup is the script command "hangup NAME". It sends SIGHUP to the service.
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hangup NAME")
	}
	ts.Check(ts.Value(servicesKey{}).(services)[args[0]].cmd.Process.Signal(syscall.SIGHUP))
}

// eventually is the script command "eventually CODE PROGRAM ARG...". It runs the program
// repeatedly until it exits with the code.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually CODE PROGRAM ARG...")
	}
	late := time.Now().Add(patience)
	for {
		err := ts.Exec(args[1], args[2:]...)
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else {
			ts.Check(err) // the program could not run
		}
		if strconv.Itoa(code) == args[0] {
			return
		}
		if time.Now().After(late) {
			ts.Fatalf("the last exit code was %d, want %s", code, args[0])
		}
	}
}

// randoms is the script command "randoms DIR COUNT BYTES". It writes the files 0 to COUNT-1
// with different contents to DIR.
func randoms(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: randoms DIR COUNT BYTES")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range n {
		random(ts, false, []string{args[0] + "/" + strconv.Itoa(i), args[2], strconv.Itoa(i)})
	}
}

// random is the script command "random FILE BYTES [SEED]". It writes pseudorandom bytes, the
// same for the same seed. Without one, the script is the seed: processes of other scripts with the
// same torrent would be peers.
func random(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: random FILE BYTES [SEED]")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var seed [32]byte
	copy(seed[:], strings.Join(args[1:], " "))
	if len(args) == 2 {
		copy(seed[:], args[1]+" "+ts.Name())
	}
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// same is the script command "same A B". It fails if the files differ, and prints no content.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same A B")
	}
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if bytes.Equal(a, b) == neg {
		ts.Fatalf("%s (%d bytes) and %s (%d bytes): equal is %v", args[0], len(a), args[1], len(b), neg)
	}
}
