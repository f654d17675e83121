//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// reachCell is a pair of homes with a program in each.
type reachCell struct {
	Publisher string `json:"publisher"` // kind of the publisher's home
	Getter    string `json:"getter"`    // kind of the getter's home
	Seed      string `json:"seed"`      // program of the publisher
	Get       string `json:"get"`       // program of the getter
}

func (c reachCell) String() string {
	return fmt.Sprintf("%s at %s → %s at %s", c.Seed, c.Publisher, c.Get, c.Getter)
}

// reachResult is the result of a cell. Its times are seconds after the start of the getter; nil
// if it did not come that far.
type reachResult struct {
	reachCell
	Announced *float64 `json:"announced"` // when both had announced to the tracker
	First     *float64 `json:"first"`     // when the first 64 KiB had arrived
	Last      *float64 `json:"last"`      // when the file was complete
	// Each has the end of each of several getters; the times above are then those of the last one.
	Each  []*float64 `json:"each,omitempty"`
	Error string     `json:"error,omitempty"`
}

// times returns the times of the first bytes and of the end, or "never".
func (r *reachResult) times() string {
	switch {
	case r.Error != "":
		return "failed"
	case r.Last != nil && r.First != nil:
		return fmt.Sprintf("%.1f / %.1f", *r.First, *r.Last)
	case r.First != nil:
		return fmt.Sprintf("%.1f / never", *r.First)
	}
	return "never"
}

// The hosts of a cell in natlab.sh, and the networks of the homes.
const (
	publisherHost, publisherNet = "o1", "44.1.1."
	getterHostName              = "a1" // of the first getter
	relayHost                   = "r1"
)

// crowdHome returns the name of the home of getter i, and its network.
func crowdHome(i int) (home, network string) {
	return string(rune('a' + i)), fmt.Sprintf("44.1.%d.", 2+i)
}

// relayNet returns the network of the third peer.
func (o *reachOptions) relayNet() string { return fmt.Sprintf("44.1.%d.", 2+o.crowd) }

// bootstrapNames are the well-known nodes of the DHT that the programs ask. In a cell they are
// names of the public host srv.
const bootstrapNames = "router.bittorrent.com router.utorrent.com dht.transmissionbt.com dht.libtorrent.org dht.aelitis.com"

// reachLab is the public net of a cell.
type reachLab struct {
	name  string
	work  string
	procs []*process
	logs  map[string]*process
}

// natlab runs natlab.sh. The routers that it starts keep its output open, so that this is a file.
func (l *reachLab) natlab(args ...string) error {
	log, err := os.Create(filepath.Join(l.work, "natlab"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("bash", append([]string{"e2e/testdata/natlab.sh"}, args...)...)
	cmd.Env = append(os.Environ(), "NATLAB="+l.name, "UP=20", "DOWN=100")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("natlab.sh %s (run this from the module's directory): %w: %s", strings.Join(args, " "), err, said)
	}
	return nil
}

// hostsDir returns the directory whose files replace those of /etc in a namespace.
func (l *reachLab) hostsDir(host string) string { return "/etc/netns/" + l.name + "-" + host }

// nameBootstrap lets a host resolve the names of the well-known DHT nodes.
func (l *reachLab) nameBootstrap(host string) error {
	if err := os.MkdirAll(l.hostsDir(host), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.hostsDir(host), "hosts"), []byte("127.0.0.1 localhost\n44.1.0.10 "+bootstrapNames+"\n"), 0o644)
}

// start starts a program on a host. Its output is kept in the logs as name.
func (l *reachLab) start(host, name string, args []string, in *os.File, heard func(string)) (*process, error) {
	p, err := startHeard(append([]string{"ip", "netns", "exec", l.name + "-" + host}, args...), in, heard)
	if err == nil {
		l.procs = append(l.procs, p)
		l.logs[name] = p
	}
	return p, err
}

// close stops all programs and removes the namespaces.
func (l *reachLab) close(logs string) error {
	for _, p := range l.procs {
		p.stop()
	}
	errs := []error{l.natlab("down")}
	for _, host := range []string{publisherHost, getterHostName} {
		errs = append(errs, os.RemoveAll(l.hostsDir(host)))
	}
	if logs != "" {
		errs = append(errs, os.MkdirAll(logs, 0o755))
		for name, p := range l.logs {
			errs = append(errs, os.WriteFile(filepath.Join(logs, name+".log"), p.log.Bytes(), 0o644))
		}
		announces, _ := os.ReadFile(filepath.Join(l.work, "announces"))
		errs = append(errs, os.WriteFile(filepath.Join(logs, "announces"), announces, 0o644))
	}
	return errors.Join(errs...)
}

// runCell measures one cell and sets the times of res.
func (r *reachRun) runCell(ctx context.Context, number int, res *reachResult) (err error) {
	l := &reachLab{name: fmt.Sprintf("br%d-%d", os.Getpid(), number), work: filepath.Join(r.work, strconv.Itoa(number)), logs: map[string]*process{}}
	for _, dir := range []string{"", "seed", "tracker"} {
		if err := os.Mkdir(filepath.Join(l.work, dir), 0o755); err != nil {
			return err
		}
	}
	defer os.RemoveAll(l.work)
	homes := []string{"up", "o:" + res.Publisher}
	for i := range r.o.crowd {
		home, _ := crowdHome(i)
		homes = append(homes, home+":"+res.Getter)
	}
	if r.o.dht {
		homes = append(homes, fmt.Sprint("n:open:", dhtHosts))
	}
	if r.o.relay || r.o.late {
		homes = append(homes, "r:open")
	}
	defer func() {
		logs := ""
		if r.o.logs != "" {
			logs = filepath.Join(r.o.logs, strings.ReplaceAll(res.reachCell.String(), " ", "-"))
		}
		err = errors.Join(err, l.close(logs))
	}()
	if err := l.natlab(homes...); err != nil {
		return err
	}
	found := r.startTracker
	if r.o.dht {
		found = r.startNodes
	}
	if err := found(ctx, l); err != nil {
		return err
	}
	if r.o.relay {
		if err := r.startRelay(ctx, l); err != nil {
			return fmt.Errorf("the relay: %w", err)
		}
	}
	if err := r.startPublisher(ctx, l, res.Seed); err != nil {
		return fmt.Errorf("the publisher: %w", err)
	}
	return r.get(ctx, l, res)
}

// startRelay starts a getter on a public host whose line is too slow to pass on the file, and waits
// until it has announced, so that the publisher and the getter hear of it at once.
func (r *reachRun) startRelay(ctx context.Context, l *reachLab) error {
	for _, dir := range []string{"relay", "relayed"} {
		if err := os.Mkdir(filepath.Join(l.work, dir), 0o755); err != nil {
			return err
		}
	}
	p, err := l.start(relayHost, "relay", []string{r.in.spate, "get", r.torrent, "-o", filepath.Join(l.work, "relayed"), "--state", filepath.Join(l.work, "relay"),
		"--up", "20k", "--down", "20k", "--no-dht", "--no-lsd", "--no-portmap", "--json"}, nil, nil)
	if err != nil {
		return err
	}
	return until(p, func() error {
		if l.announced(r.o.relayNet()).IsZero() {
			return errors.New("it has not announced")
		}
		return ctx.Err()
	})
}

// startTracker starts the tracker on the public host srv.
func (r *reachRun) startTracker(_ context.Context, l *reachLab) error {
	var ready atomic.Bool
	p, err := l.start("srv", "tracker", []string{r.in.spate, "tracker", "--json", "--state", filepath.Join(l.work, "tracker"),
		"--public-url", "http://44.1.0.10:6969", "--access-log", filepath.Join(l.work, "announces")}, nil, func(line string) {
		if strings.Contains(line, `"ready"`) {
			ready.Store(true)
		}
	})
	if err != nil {
		return err
	}
	return until(p, func() error {
		if !ready.Load() {
			return errors.New("the tracker is not ready")
		}
		return nil
	})
}

// dhtHosts is the number of hosts with a DHT node beside srv and srv2. Transmission 3 does not use
// a DHT of fewer than nine nodes.
const dhtHosts = 10

// formingTime is the time in which the nodes of a DHT that start together find each other.
const formingTime = 15 * time.Second

// startNodes starts a DHT: libtorrent on srv, which the names of the well-known nodes lead to, and
// libtorrent and spate elsewhere.
func (r *reachRun) startNodes(ctx context.Context, l *reachLab) error {
	for _, host := range []string{publisherHost, getterHostName} {
		if err := l.nameBootstrap(host); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	const entry = "44.1.0.10:6881"
	libtorrent := func(addrs, bootstrap string) []string {
		return []string{r.in.python, "-c", libtorrentScript, "dht", addrs, bootstrap}
	}
	nodes := map[string][]string{"srv": libtorrent(entry+",44.1.0.10:25401", ""), "srv2": libtorrent("44.1.0.11:6881", entry)}
	for i := range dhtHosts {
		addr := fmt.Sprintf("44.1.3.%d:6881", i+2)
		args := []string{self, "dhtnode", addr, entry}
		if i%3 == 0 {
			args = libtorrent(addr, entry)
		}
		nodes[fmt.Sprint("n", i+1)] = args
	}
	for host, args := range nodes {
		if _, err := l.start(host, "node-"+host, args, nil, nil); err != nil {
			return err
		}
	}
	return pause(ctx, formingTime)
}

// pause waits for a time, or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return errors.New("interrupted")
	case <-time.After(d):
		return nil
	}
}

// startPublisher starts the publisher, and waits until it has announced to the tracker and for the
// time of -lead, in which it asks its router or announces to the DHT.
func (r *reachRun) startPublisher(ctx context.Context, l *reachLab, program string) error {
	j := r.job(l, "seed")
	j.seed, j.dir = true, r.data
	args, err := r.in.peer(program, j)
	if err != nil {
		return err
	}
	p, err := l.start(publisherHost, "publisher", args, nil, nil)
	if err != nil {
		return err
	}
	if !r.o.dht {
		err = until(p, func() error {
			if l.announced(publisherNet).IsZero() {
				return errors.New("it has not announced")
			}
			return ctx.Err()
		})
	}
	if err != nil {
		return err
	}
	if err := pause(ctx, r.o.lead); err != nil {
		return err
	}
	return p.running()
}

// job returns the job of a peer whose state is in a directory of the lab.
func (r *reachRun) job(l *reachLab, state string) peerJob {
	j := peerJob{
		source: r.torrent, torrent: r.torrent, dir: filepath.Join(l.work, "out-"+state), state: filepath.Join(l.work, state),
		listen: fmt.Sprintf("0.0.0.0:%d", peerPort), router: true, dht: r.o.dht,
	}
	if r.o.dht && state != "seed" {
		j.source, j.torrent = r.magnet, r.magnet
	}
	return j
}

// announced returns when a peer of a network announced first, by the tracker's log, or the zero
// time.
func (l *reachLab) announced(network string) time.Time {
	b, _ := os.ReadFile(filepath.Join(l.work, "announces"))
	for line := range bytes.Lines(b) {
		var a struct {
			Time time.Time
			Addr string
		}
		if json.Unmarshal(line, &a) == nil && strings.HasPrefix(a.Addr, network) {
			return a.Time
		}
	}
	return time.Time{}
}

// firstBytes prints FIRST when a network interface has received 64 KiB since the start.
func firstBytes(args []string) error {
	if len(args) != 1 {
		return errors.New("firstbytes needs the name of an interface")
	}
	base, err := received(args[0])
	for ; err == nil; time.Sleep(50 * time.Millisecond) {
		var n uint64
		if n, err = received(args[0]); err == nil && n >= base+64<<10 {
			fmt.Println("FIRST")
			return nil
		}
	}
	return err
}

// received returns the bytes that an interface has received.
func received(device string) (uint64, error) {
	b, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if name, rest, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == device {
			return strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("no interface %s", device)
}
