//go:build linux

// Command bench compares spate with the other installed BitTorrent programs: transfers
// between two programs, a seed with hundreds of connections, the creation of torrents, and
// many torrents seeded by one process, swarms over slow links, also of browsers, the answers of DHT nodes, who
// reaches a publisher behind a home router, and how uTP shares a link with TCP. It runs the
// programs in turn, so that changes in the speed of the machine affect all of them. Its tables
// show the minimum, the median and the maximum, and the ratio of the medians. It needs root to
// create network namespaces.
//
//	go run ./bench [-runs 3] [-size 1024] [-count 5000] [-out DIR] [transfer] [crowd] [create] [many] [utp]
//	go run ./bench swarm [-help] [-origin LIST] [-getters KIND=N,...] [-rows LIST] ...
//	go run ./bench browsers [the flags of swarm]
//	go run ./bench dht [-runs 3] [-torrents 1000] [-peers 30] [-queries 200000]
//	go run ./bench reach [-publishers LIST] [-getters LIST] [-programs LIST] [-dht -mixed] ...
//	go run ./bench yield [-runs 3] [-queues 50ms,200ms,400ms] [-seeds spate,libtorrent] ...
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// options are the values of the flags.
type options struct {
	runs  int
	size  int64 // bytes of a transfer
	count int   // torrents that one process seeds
	data  string
	out   string
	spate string
}

// commands are the first arguments with arguments of their own: the measurements of swarms, of
// DHT nodes, of homes and of uTP beside TCP, and the helpers that bench starts as processes in namespaces.
var commands = map[string]func(args []string) error{
	"swarm":      swarms,
	"browsers":   browsers,
	"dht":        dhtNodes,
	"reach":      reach,
	"yield":      yield,
	"bulk":       bulk,
	"dhtnode":    dhtNode,
	"serve":      serve,
	"fetch":      fetch,
	"useless":    useless,
	"watch":      watch,
	"delay":      delay,
	"firstbytes": firstBytes,
}

func main() {
	var o options
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		if err := commands[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	flag.IntVar(&o.runs, "runs", 3, "number of runs of each measurement")
	flag.Int64Var(&o.size, "size", 1024, "size of the data in MiB")
	flag.IntVar(&o.count, "count", 5000, "number of torrents that one process seeds")
	flag.StringVar(&o.data, "data", "/dev/shm", "directory for the data of seeds")
	flag.StringVar(&o.out, "out", "/dev/shm", "directory for downloads")
	flag.StringVar(&o.spate, "spate", "", "path of the spate program (default: build it)")
	flag.Parse()
	o.size <<= 20
	if err := run(&o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o *options, what []string) error {
	if len(what) == 0 {
		what = []string{"transfer", "crowd", "create", "many"}
	}
	work, err := os.MkdirTemp(o.data, "spate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	os.Chmod(work, 0o755)
	if o.spate == "" {
		if o.spate, err = build(work); err != nil {
			return err
		}
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	n, err := newNetwork()
	if err != nil {
		return err
	}
	defer n.remove()
	b := &bench{options: o, work: work, net: n, stop: stop}
	b.describe()
	for _, w := range what {
		f := map[string]func() error{"transfer": b.transfers, "crowd": b.crowds, "create": b.creations, "many": b.manyTorrents, "utp": b.utpTransfers}[w]
		if f == nil {
			return fmt.Errorf("unknown measurement %q: want transfer, crowd, create, many or utp, or swarm, browsers, dht, reach or yield as the first argument", w)
		}
		if err := f(); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	return nil
}

// build builds the spate program in dir and returns its path.
func build(dir string) (string, error) {
	path := filepath.Join(dir, "spate")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/spate")
	cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build spate (run this from the module's directory): %w", err)
	}
	return path, nil
}

// bench is the state of one run of the command.
type bench struct {
	*options
	work string // temporary directory
	net  *network
	stop chan os.Signal
}

// interrupted reports whether the command has received a signal to end.
func (b *bench) interrupted() bool {
	select {
	case <-b.stop:
		return true
	default:
		return false
	}
}

// describe prints the machine and the versions of the programs.
func (b *bench) describe() {
	fmt.Printf("%s, %d processors, Linux %s\n\n", cpuModel(), runtime.NumCPU(), kernel())
	for _, p := range installed(b.spate) {
		fmt.Printf("- %s: %s\n", p.name, p.version)
	}
	fmt.Println()
}

// cpuModel returns the name of the processor.
func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

// kernel returns the version of the kernel.
func kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b))
}

// row contains the results of one program or pair of programs.
type row struct {
	name  string
	cells [][]float64 // for each column, the values of the runs; NaN where a run has no value
	note  string      // why a run failed
}

// add records the values of one run and prints them as progress.
func (r *row) add(values ...float64) {
	fmt.Fprintf(os.Stderr, "  %s: %.3g\n", r.name, values)
	if r.cells == nil {
		r.cells = make([][]float64, len(values))
	}
	for i, v := range values {
		r.cells[i] = append(r.cells[i], v)
	}
}

// table prints the rows below the titles of their columns. Each cell contains the ratio of
// its median to the median of the row with the name base.
func table(heads []string, rows []*row, base string) {
	var ref *row
	for _, r := range rows {
		if r.name == base && r.cells != nil {
			ref = r
		}
	}
	fmt.Printf("| |%s note |\n|---|%s---|\n", strings.Join(heads, "|")+"|", strings.Repeat("---:|", len(heads)))
	for _, r := range rows {
		fmt.Printf("| %s |", r.name)
		for i := range heads {
			fmt.Print(" ", cell(r, ref, i), " |")
		}
		fmt.Printf(" %s |\n", strings.ReplaceAll(r.note, "\n", " "))
	}
	fmt.Println()
}

// cell returns the text of column i of row r. ref is the row to compare with, or nil.
func cell(r, ref *row, i int) string {
	if r.cells == nil {
		return "-"
	}
	v := known(r.cells[i])
	if len(v) == 0 {
		return "-"
	}
	s := fmt.Sprintf("**%.3g**", v[0])
	if len(v) > 1 {
		s = fmt.Sprintf("%.3g / **%.3g** / %.3g", v[0], v[len(v)/2], v[len(v)-1])
	}
	if ref != nil && r != ref {
		w := known(ref.cells[i])
		if len(w) > 0 && w[len(w)/2] > 0 {
			s += fmt.Sprintf(" (x %.2f)", v[len(v)/2]/w[len(w)/2])
		}
	}
	return s
}

// known returns the values except NaN in ascending order.
func known(values []float64) []float64 {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(v)
	return v
}
