//go:build linux

package main

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spate/bitfield"
	"spate/peerwire"
)

// swarmFlags parses the flags of a single case.
func swarmFlags(t *testing.T, line string) *swarmOptions {
	t.Helper()
	_, cases, err := parseSwarm(strings.Fields(line), io.Discard)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if len(cases) != 1 {
		t.Fatalf("%s: %d cases, want 1", line, len(cases))
	}
	return cases[0]
}

// TestBoundIsTheTightestLimit checks each of the three limits of the time of a swarm. A link
// carries 1448 bytes of payload in a packet of 1514.
func TestBoundIsTheTightestLimit(t *testing.T) {
	mib := 8 * (1 << 20) / 1e6 * 1514 / 1448 // Mbit
	for _, c := range []struct {
		line string
		want float64
		by   string
	}{
		{"-getters spate=8", 32 * mib / 20, "origin"},
		{"-getters spate=8 -size 10 -origin-link 5/100", 10 * mib / 5, "origin"},
		{"-getters spate=2 -links 40/100,40/10", 32 * mib / 10, "getter"},
		{"-getters spate=8 -links 5/100", 8 * 32 * mib / 60, "sum"},
		{"-getters spate=4 -links 10/100 -riders 4", 4 * 32 * mib / 20, "sum"},
		{"-getters curl=2", 2 * 32 * mib / 20, "sum"},
		{"-getters spate=1,curl=20", 32 * mib / 20, "origin"},
	} {
		o := swarmFlags(t, c.line)
		got, by := o.bound(o.order(0))
		if math.Abs(got-c.want) > 1e-6 || by != c.by {
			t.Errorf("%s: the bound is %.3f by %s, want %.3f by %s", c.line, got, by, c.want, c.by)
		}
	}
	if p4, p6 := payload(1500, "4"), payload(1500, "6"); p6 >= p4 {
		t.Errorf("payload of IPv6 is %.4f, want less than the %.4f of IPv4", p6, p4)
	}
}

// TestPatienceCoversCurl checks that a run waits for the copies of curl with half of the link.
func TestPatienceCoversCurl(t *testing.T) {
	o := swarmFlags(t, "-getters spate=8,curl=20 -every 1s")
	once := o.seconds(20)
	if got, want := o.patience(o.order(0)), 60+8*once+40*once+28; math.Abs(got-want) > 1e-6 {
		t.Errorf("the run waits %.1f s, want %.1f", got, want)
	}
}

// TestTimesNeedAllGetters checks that a swarm with an incomplete getter has no time.
func TestTimesNeedAllGetters(t *testing.T) {
	if got := (&spell{n: 2, last: 30}).until(20); got == nil || *got != 1.5 {
		t.Errorf("the time of two complete getters is %v, want 1.5", got)
	}
	for _, p := range []spell{{}, {n: 2, missing: 1, last: 30}} {
		if got := p.until(20); got != nil {
			t.Errorf("%+v has the time %v, want none", p, *got)
		}
	}
}

// TestOrderDependsOnSeedAndRun checks that a run can be repeated, that another run has another
// order, and that mixed stands for a quarter of each kind.
func TestOrderDependsOnSeedAndRun(t *testing.T) {
	o := swarmFlags(t, "-getters mixed=8,curl=1")
	a, b, c := o.order(0), o.order(0), o.order(1)
	if !slices.Equal(a, b) {
		t.Errorf("the same run has the orders %v and %v", a, b)
	}
	if slices.Equal(a, c) {
		t.Errorf("two runs have the same order %v", a)
	}
	slices.Sort(a)
	want := []string{"aria2", "aria2", "curl", "libtorrent", "libtorrent", "spate", "spate", "transmission", "transmission"}
	if !slices.Equal(a, want) {
		t.Errorf("the getters are %v, want %v", a, want)
	}
}

func TestSwarmDescribesWhatDiffersFromTheDefaults(t *testing.T) {
	for line, want := range map[string]string{
		"-getters spate=8": "8 spate",
		"-getters spate=8 -origin libtorrent -runs 5":       "8 spate",
		"-getters spate=2,curl=1 -links 5/50,50/500 -leave": "spate=2,curl=1, links 5/50,50/500, leaving",
		"-getters spate=4 -latency 60ms -mtu 1280":          "4 spate, latency 60ms, MTU 1280",
		"-getters spate=4 -useless deaf=2,liar=500":         "4 spate, useless deaf=2,liar=500",
	} {
		if got := swarmFlags(t, line).describe(); got != want {
			t.Errorf("%s is described as %q, want %q", line, got, want)
		}
	}
}

// TestAllRowsAreValid parses each named set, with and without flags that replace theirs.
func TestAllRowsAreValid(t *testing.T) {
	for _, name := range append(rowNames(), "all") {
		_, cases, err := parseSwarm([]string{"-rows", name, "-size", "7"}, io.Discard)
		if err != nil {
			t.Errorf("rows %s: %v", name, err)
		}
		seen := map[string]bool{}
		for _, c := range cases {
			if c.size != 7 {
				t.Errorf("rows %s: the size of %s is %d MiB, want the 7 of the command line", name, c.describe(), c.size)
			}
			seen[c.describe()+c.origins.String()] = true
		}
		if name != "all" && len(seen) != len(cases) {
			t.Errorf("rows %s: only %d of %d cases differ", name, len(seen), len(cases))
		}
	}
	if _, cases, err := parseSwarm(nil, io.Discard); err != nil || len(cases) != 4 {
		t.Errorf("without options: %d cases and error %v, want the 4 of the default set", len(cases), err)
	}
}

func TestSwarmRefusesBadOptions(t *testing.T) {
	for line, want := range map[string]string{
		"-getters spate":                                   "KIND=N",
		"-getters emule=3":                                 "KIND=N",
		"-getters spate=0":                                 "KIND=N",
		"-getters spate=201":                               "more than the 200",
		"-getters spate=2 -origin emule":                   "unknown origin",
		"-getters spate=2 -links 40":                       "UP/DOWN",
		"-getters spate=2 -links 0/10":                     "UP/DOWN",
		"-getters spate=2 -origin-link 20/x":               "UP/DOWN",
		"-getters spate=2 -riders 3":                       "at most 2",
		"-getters spate=2 -mtu 576":                        "-mtu",
		"-getters spate=2 -family 5":                       "-family",
		"-getters spate=2 -size 0":                         "-size",
		"-getters spate=2 -web-seed maybe":                 "-web-seed",
		"-getters spate=2 -web-seed on -origin libtorrent": "only the origin spate",
		"-getters spate=2 -rows own":                       "exclude each other",
		"-getters spate=2 -useless rude=3":                 "HABIT",
		"-getters spate=2 -useless idle=3 -family 6":       "IPv4",
		"-rows none":                                       "unknown rows",
		"spate=2":                                          "only flags",
	} {
		if _, _, err := parseSwarm(strings.Fields(line), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one with %q", line, err, want)
		}
	}
}

// TestCellLeavesOutMissingValues checks the text of cells.
func TestCellLeavesOutMissingValues(t *testing.T) {
	r := &row{cells: [][]float64{{3, 1, math.NaN(), 2}, {math.NaN()}, {5}}}
	for i, want := range []string{"1 / **2** / 3", "-", "**5**"} {
		if got := cell(r, nil, i); got != want {
			t.Errorf("cell %d is %q, want %q", i, got, want)
		}
	}
	if got := cell(r, &row{cells: [][]float64{{4}, {1}, {math.NaN()}}}, 0); got != "1 / **2** / 3 (x 0.50)" {
		t.Errorf("a cell with a reference is %q", got)
	}
}

// TestWatcherCompletesWithTheLastPiece checks that bitfields and HAVEs of all getters together
// complete the watcher, and that pieces outside the torrent do not.
func TestWatcherCompletesWithTheLastPiece(t *testing.T) {
	w := &watcher{all: bitfield.New(10), complete: make(chan struct{})}
	w.hear(&peerwire.Message{ID: peerwire.Bitfield, Payload: []byte{0xff, 0x3f}}) // 8 pieces and spare bits
	w.hear(&peerwire.Message{ID: peerwire.Have, Index: 8})
	w.hear(&peerwire.Message{ID: peerwire.Have, Index: 10})
	select {
	case <-w.complete:
		t.Fatal("the watcher is complete without the last piece")
	default:
	}
	w.hear(&peerwire.Message{ID: peerwire.Have, Index: 9})
	w.hear(&peerwire.Message{ID: peerwire.Have, Index: 9})
	select {
	case <-w.complete:
	default:
		t.Fatal("the watcher is not complete with all pieces")
	}
}

// TestProcessTellsWholeLines checks that startHeard passes on lines as they end.
func TestProcessTellsWholeLines(t *testing.T) {
	var lines []string
	p, err := startHeard([]string{"printf", `one\ntwo\n\nthree`}, nil, func(line string) { lines = append(lines, line) })
	if err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if want := []string{"one", "two", ""}; p.err != nil || !slices.Equal(lines, want) {
		t.Errorf("the lines are %q and the error is %v, want %q", lines, p.err, want)
	}
}

// TestGetterReadsEvents checks how the output of programs ends a download.
func TestGetterReadsEvents(t *testing.T) {
	for _, c := range []struct {
		kind, line string
		done       bool
		given      int64
	}{
		{"spate", `{"event":"stats","uploaded":7}`, false, 7},
		{"spate", `{"event":"done","uploaded":9}`, true, 9},
		{"spate", `{"event":"done"`, false, 0},
		{"libtorrent", "UP 5", false, 5},
		{"libtorrent-tcp", "DONE", true, 0},
		{"webtorrent", "DONE", true, 0},
		{"aria2", "DONE", false, 0},
	} {
		g := &swarmGetter{kind: c.kind}
		g.heard(c.line)
		if g.done().IsZero() == c.done || g.given.Load() != c.given {
			t.Errorf("%s after %q: done at %v, %d bytes given, want done %v and %d bytes", c.kind, c.line, g.done(), g.given.Load(), c.done, c.given)
		}
	}
}

// TestHookMarksTheEnd runs the hook that other programs call when a download is complete.
func TestHookMarksTheEnd(t *testing.T) {
	state := t.TempDir()
	path, err := hook(state)
	if err != nil {
		t.Fatal(err)
	}
	p, err := start([]string{path, "argument"})
	if err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if _, err := os.Stat(filepath.Join(state, "done")); err != nil || p.err != nil {
		t.Errorf("the hook ended with %v and left %v", p.err, err)
	}
}
