package cli

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"spate/internal/classic"
)

// TestMain makes the test binary run as spate and as the tools of 2005. These programs look for
// peers and routers beyond this machine only if a test sets the variables to false.
func TestMain(m *testing.M) {
	for _, v := range []string{"SPATE_NO_DHT", "SPATE_NO_LSD", "SPATE_NO_PORTMAP"} {
		if os.Getenv(v) == "" {
			os.Setenv(v, "true")
		}
	}
	// The scripts run hundreds of processes, and the race detector makes each sleep for a
	// second at its end.
	os.Setenv("GORACE", "atexit_sleep_ms=20 "+os.Getenv("GORACE"))
	run := func() {
		env := System()
		env.ServiceState = os.Getenv("SPATE_TEST_SERVICE") // and not the service of this machine
		os.Exit(Main(env))
	}
	programs := map[string]func(){"spate": run}
	for _, t := range classic.Tools() {
		programs[t.Name], programs[t.Name+".py"] = run, run
	}
	testscript.Main(m, programs)
}

// TestScripts runs the scripts in testdata/script with the real program. Each script has its
// own home directory, so that no other settings or state have an effect.
func TestScripts(t *testing.T) {
	world := testServer()
	t.Cleanup(world.Close)
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	writeCert(t, cert, key)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "start": start, "hold": hold, "letgo": letgo, "await": await, "halt": halt, "random": random, "sparse": sparse, "hole": hole, "largetorrent": largeTorrent, "randoms": randoms, "same": same, "samerelease": samerelease, "eventually": eventually, "fetch": fetch, "hangup": hangup, "givesup": givesup,
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir+"/home")
			e.Values[servicesKey{}] = services{}
			e.Values[heldFilesKey{}] = heldFiles{}
			e.Setenv("WORLD", world.URL)
			e.Setenv("CERT", cert) // for 127.0.0.1
			e.Setenv("KEY", key)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			e.Setenv("LONG", strings.Repeat("n", 256)) // too long for a file
			e.Setenv("TEXT", strings.Repeat("t", 65537))
			e.Setenv("ESC", "\x1b[31mred")
			return os.MkdirAll(e.WorkDir+"/home/.config/spate", 0o755)
		},
	})
}

// exits is the script command "exits CODE PROGRAM ARG...". It fails if the program exits with
// another code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// givesup is the script command "givesup PATTERN ARG...". It runs spate get ARG..., which must
// end without peers and with an error that matches. The error contains the answers of trackers
// and web seeds, so that givesup tries longer timeouts until they have answered.
func givesup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: givesup PATTERN ARG...")
	}
	pattern := regexp.MustCompile(args[0])
	for wait := 250 * time.Millisecond; ; wait *= 2 {
		exits(ts, false, append([]string{"5", "spate", "get", "--timeout", wait.String()}, args[1:]...))
		said := ts.ReadFile("stderr") + ts.ReadFile("stdout")
		if pattern.MatchString(said) {
			return
		}
		if wait > patience/2 {
			ts.Fatalf("the output has no match for %q:\n%s", args[0], said)
		}
	}
}

// fetch is the script command "fetch URL". It prints the body of the response, whatever the
// status.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fetch URL")
	}
	resp, err := http.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}

// largeTorrent is the script command "largetorrent FILE". It runs spate create FILE -o FILE.torrent
// with names of collections of 10 MB.
func largeTorrent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: largetorrent FILE")
	}
	file := ts.MkAbs(args[0])
	create := []string{"create", file, "-o", file + ".torrent"}
	for range 1300 {
		create = append(create, "--collection", strings.Repeat("c", 8000))
	}
	env := Env{Name: "spate", Args: create, Environ: []string{"HOME=" + ts.Getenv("HOME")}, Stdin: strings.NewReader(""), Stdout: ts.Stdout(), Stderr: ts.Stderr()}
	if code := Main(env); code != 0 {
		ts.Fatalf("exit code %d", code)
	}
}

// hole is the script command "hole FILE SIZE". It creates a file of zeros that takes no space.
func hole(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(errors.Join(f.Truncate(n), f.Close()))
}

// sparse is the script command "sparse FILE...". It creates files of 4 TiB that take no space.
// Hashing one of them takes hours.
func sparse(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		f, err := os.Create(ts.MkAbs(name))
		ts.Check(err)
		ts.Check(errors.Join(f.Truncate(4<<40), f.Close()))
	}
}
