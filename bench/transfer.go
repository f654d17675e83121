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

// transferTime bounds one transfer, readyTime what comes before.
const (
	transferTime = 3 * time.Minute
	readyTime    = time.Minute
)

// pair is a seed and who gets from it.
type pair struct {
	seed, get *program
	n         int // getters
	row       *row
}

// transfers moves a file between every two programs of which one is spate, between
// two of each, and from one seed to four getters.
func (b *bench) transfers() error {
	data := filepath.Join(b.work, "data.bin")
	if err := noise(data, b.size); err != nil {
		return err
	}
	defer os.Remove(data)
	torrent := filepath.Join(b.work, "data.torrent")
	announce := fmt.Sprintf("http://%s:6969/announce", trackerHost)
	if out, err := exec.Command(b.spate, "create", data, "--format", "v1", "--piece-length", "1MiB", "-o", torrent, "-a", announce, "-q").CombinedOutput(); err != nil {
		return fmt.Errorf("create: %w: %s", err, out)
	}
	mi, err := metainfo.ReadFile(torrent)
	if err != nil {
		return err
	}
	for _, n := range []int{1, getters} {
		if err := b.transferTable(torrent, mi, n); err != nil {
			return err
		}
	}
	return nil
}

// transferTable runs all pairs with n getters each.
func (b *bench) transferTable(torrent string, mi *metainfo.MetaInfo, n int) error {
	var pairs []*pair
	var rows []*row
	for _, s := range installed(b.spate) {
		for _, g := range installed(b.spate) {
			if s.seed == nil || g.get == nil || s.name != g.name && (n > 1 || s.name != "spate" && g.name != "spate") {
				continue
			}
			p := &pair{s, g, n, &row{name: s.name + " → " + g.name}}
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
	fmt.Printf("## %d MiB from one seed to %d, written below %s\n\nLeast, **median** and greatest of %d runs; in brackets the median against libtorrent's own.\n\n", b.size>>20, n, b.out, b.runs)
	table([]string{"seconds", "MB/s", "CPU s/GB, seed", "CPU s/GB, getter"}, rows, "libtorrent → libtorrent")
	return nil
}

// transfer is one run of a pair.
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
	seed, err := start(b.net.in(0, p.seed.seed(job{torrent, b.work, seedHost, port, filepath.Join(work, "seed")})))
	if err != nil {
		return err
	}
	defer seed.stop()
	if err := until(readyTime, seed, func() error { return offered(fmt.Sprintf("%s:%d", seedHost, port), mi.Hash(), mi.Info.NumPieces()) }); err != nil {
		return fmt.Errorf("the seed: %w", err)
	}
	if err := until(readyTime, track, func() error { return announced(mi.Hash()) }); err != nil {
		return fmt.Errorf("the seed's announce: %w", err)
	}
	before := seed.cpu()
	var gets []*process
	for i := range p.n {
		dir := filepath.Join(out, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			return err
		}
		g, err := start(b.net.in(1+i, p.get.get(job{torrent, dir, getterHost(i), port + 1, filepath.Join(work, fmt.Sprint("get", i))})))
		if err != nil {
			return err
		}
		defer g.stop()
		gets = append(gets, g)
	}
	late := time.After(transferTime)
	cpu, end := 0.0, time.Time{}
	for i, g := range gets {
		select {
		case <-g.ended:
		case <-late:
			return errLate
		}
		if g.err != nil {
			return g.running()
		}
		cpu += g.cpu()
		if t := g.began.Add(g.wall); t.After(end) {
			end = t
		}
		if err := exec.Command("cmp", "-s", filepath.Join(b.work, mi.Info.Name), filepath.Join(out, fmt.Sprint(i), mi.Info.Name)).Run(); err != nil {
			return errors.New("other data arrived")
		}
	}
	gb := float64(b.size) * float64(p.n) / 1e9
	wall := end.Sub(gets[len(gets)-1].began).Seconds()
	p.row.add(wall, gb*1000/wall, (seed.cpu()-before)/gb, cpu/gb)
	return nil
}

// announced returns nil once the tracker knows a seed of the torrent.
func announced(ih spate.InfoHash) error {
	resp, err := http.Get("http://" + trackerHost + ":6969/scrape?info_hash=" + url.QueryEscape(string(ih[:])))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err == nil && !strings.Contains(string(body), "8:completei1e") {
		err = errors.New("the tracker knows no seed")
	}
	return err
}

// noise writes n bytes that nothing can compress.
func noise(path string, n int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), n)
	return err
}
