//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"spate"
	"spate/metainfo"
)

const (
	transferTime = 3 * time.Minute // bounds one transfer
	readyTime    = time.Minute     // bounds the wait for a program to be ready
)

// pair is a transfer from one program to another or the same one.
type pair struct {
	seed, get   *program
	seeds, gets int // number of processes
	row         *row
}

// manySeeds is the number of seeds in transfers from several seeds.
const manySeeds = 8

// transfers measures transfers from one seed to one getter, from one seed to four getters,
// and from eight seeds to one getter. Seeds and getters are the same program; with one getter
// there are also transfers between spate and each other program.
func (b *bench) transfers() error {
	torrent, mi, err := b.sample()
	if err != nil {
		return err
	}
	for _, n := range [][2]int{{1, 1}, {1, getters}, {manySeeds, 1}} {
		if err := b.transferTable(torrent, mi, n[0], n[1]); err != nil {
			return err
		}
	}
	return nil
}

// sample creates the file to transfer and its torrent, if they do not exist.
func (b *bench) sample() (string, *metainfo.MetaInfo, error) {
	data, torrent := filepath.Join(b.work, "data.bin"), filepath.Join(b.work, "data.torrent")
	if _, err := os.Stat(torrent); err != nil {
		if err := noise(data, b.size); err != nil {
			return "", nil, err
		}
		announce := fmt.Sprintf("http://%s:6969/announce", trackerHost)
		if out, err := exec.Command(b.spate, "create", data, "--format", "v1", "--piece-length", "1MiB", "-o", torrent, "-a", announce, "-q").CombinedOutput(); err != nil {
			return "", nil, fmt.Errorf("create: %w: %s", err, out)
		}
	}
	mi, err := metainfo.ReadFile(torrent)
	return torrent, mi, err
}

// transferTable measures all pairs with that many seeds and getters and prints a table.
func (b *bench) transferTable(torrent string, mi *metainfo.MetaInfo, seeds, gets int) error {
	var pairs []*pair
	var rows []*row
	for _, s := range installed(b.spate) {
		for _, g := range installed(b.spate) {
			if s.seed == nil || g.get == nil || s.name != g.name && (gets > 1 || s.name != "spate" && g.name != "spate") {
				continue
			}
			p := &pair{s, g, seeds, gets, &row{name: s.name + " → " + g.name}}
			pairs, rows = append(pairs, p), append(rows, p.row)
		}
	}
	for range b.runs {
		for _, p := range pairs {
			if b.interrupted() {
				return errors.New("interrupted")
			}
			if p.row.note == "" {
				if err := b.transfer(p, torrent, mi); err != nil {
					p.row.note = err.Error()
				}
			}
		}
	}
	fmt.Printf("## %d MiB, seeds: %d, getters: %d, downloads in %s\n\nLeast, **median** and greatest of %d runs; in brackets the ratio to the median of libtorrent → libtorrent.\n\n", b.size>>20, seeds, gets, b.out, b.runs)
	table([]string{"seconds", "MB/s", "CPU s/GB, seeds", "CPU s/GB, getters"}, rows, "libtorrent → libtorrent")
	return nil
}

// transfer measures one run of a pair.
func (b *bench) transfer(p *pair, torrent string, mi *metainfo.MetaInfo) error {
	work, err := b.folder("run")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	out, err := os.MkdirTemp(b.out, "spate-bench-out-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	track, err := start([]string{b.spate, "tracker", "--listen", trackerHost + ":6969", "--udp", "off", "--state", filepath.Join(work, "tracker"), "-q"})
	if err != nil {
		return err
	}
	defer track.stop()
	port := 20000 + rand.IntN(10000)
	var seeds, gets []*process
	for i := range p.seeds {
		seed, err := start(b.net.in(0, p.seed.seed(job{torrent, b.work, seedHost, port + i, filepath.Join(work, fmt.Sprint("seed", i))})))
		if err != nil {
			return err
		}
		defer seed.stop()
		seeds = append(seeds, seed)
	}
	for i, seed := range seeds {
		if p.seed.limits {
			break // its announce says that it is ready
		}
		if err := until(seed, func() error { return offered(fmt.Sprintf("%s:%d", seedHost, port+i), mi.Hash(), mi.Info.NumPieces()) }); err != nil {
			return fmt.Errorf("the seed: %w", err)
		}
	}
	if err := until(track, func() error { return announced(mi.Hash(), p.seeds) }); err != nil {
		return fmt.Errorf("the seed's announce: %w", err)
	}
	before := cpuOfAll(seeds)
	for i := range p.gets {
		dir := filepath.Join(out, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			return err
		}
		g, err := start(b.net.in(1+i, p.get.get(job{torrent, dir, getterHost(i), port + manySeeds, filepath.Join(work, fmt.Sprint("get", i))})))
		if err != nil {
			return err
		}
		defer g.stop()
		gets = append(gets, g)
	}
	end, err := lastEnd(gets)
	if err != nil {
		return err
	}
	spent := cpuOfAll(seeds) - before
	for i := range gets { // compare after all getters have ended, so that it does not slow them down
		if !same(filepath.Join(b.work, mi.Info.Name), filepath.Join(out, fmt.Sprint(i), mi.Info.Name)) {
			return errors.New("the downloaded file differs")
		}
	}
	gb := float64(b.size) * float64(p.gets) / 1e9
	wall := end.Sub(gets[len(gets)-1].began).Seconds()
	p.row.add(wall, gb*1000/wall, spent/gb, cpuOfAll(gets)/gb)
	return nil
}

// lastEnd waits until all processes have ended and returns the time when the last one did.
func lastEnd(all []*process) (end time.Time, err error) {
	late := time.After(transferTime)
	for _, p := range all {
		select {
		case <-p.ended:
		case <-late:
			return end, errLate
		}
		if p.err != nil {
			return end, p.running()
		}
		if t := p.began.Add(p.wall); t.After(end) {
			end = t
		}
	}
	return end, nil
}

// cpuOfAll returns the sum of the processor times in seconds.
func cpuOfAll(all []*process) (sum float64) {
	for _, p := range all {
		sum += p.cpu()
	}
	return sum
}

// announced returns nil if the tracker counts that many seeds of the torrent.
func announced(ih spate.InfoHash, seeds int) error {
	resp, err := http.Get("http://" + trackerHost + ":6969/scrape?info_hash=" + url.QueryEscape(string(ih[:])))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err == nil && !strings.Contains(string(body), fmt.Sprintf("8:completei%de", seeds)) {
		err = errors.New("not all seeds have announced")
	}
	return err
}

// noise writes a file of n random bytes.
func noise(path string, n int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), n)
	return err
}
