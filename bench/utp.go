//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"spate/metainfo"
)

// offloads are the ways in which the packets of the seed leave its network namespace.
var offloads = []struct {
	title string
	cut   bool
}{
	{"runs of packets pass as one all the way", false},
	{"the seed's kernel cuts runs into packets, as for a network card that does not", true},
}

// utpTransfers measures transfers over uTP beside those over TCP, plain and encrypted, and a seed
// with many connections over uTP.
func (b *bench) utpTransfers() error {
	torrent, mi, err := b.sample()
	if err != nil {
		return err
	}
	for _, o := range offloads {
		if err := b.net.cutRuns(0, o.cut); err != nil {
			return err
		}
		if err := b.utpTable(torrent, mi, o.title); err != nil {
			return err
		}
	}
	if err := b.net.cutRuns(0, false); err != nil {
		return err
	}
	return b.utpCrowd(torrent, mi)
}

// utpTable measures a transfer with each program and transport and prints a table.
func (b *bench) utpTable(torrent string, mi *metainfo.MetaInfo, title string) error {
	var pairs []*pair
	var rows []*row
	for _, p := range b.utpPrograms() {
		pairs = append(pairs, &pair{seed: p, get: p, seeds: 1, gets: 1, row: &row{name: p.name}})
		rows = append(rows, pairs[len(pairs)-1].row)
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
	fmt.Printf("## %d MiB from one seed to one getter of the same program, downloads in %s: %s\n\nLeast, **median** and greatest of %d runs; in brackets the ratio to the median of libtorrent over uTP.\n\n", b.size>>20, b.out, title, b.runs)
	table([]string{"seconds", "MB/s", "CPU s/GB, seed", "CPU s/GB, getter"}, rows, "libtorrent, uTP")
	return nil
}

// utpPrograms returns spate and libtorrent, limited to one transport, with and without encryption
// of all data.
func (b *bench) utpPrograms() (all []*program) {
	for _, transport := range []string{"uTP", "TCP"} {
		for _, encryption := range []string{"", ", RC4"} {
			flags := []string{"--transport", strings.ToLower(transport), "--encryption", map[string]string{"": "off", ", RC4": "require"}[encryption]}
			all = append(all, spateProgram(b.spate).limited("spate, "+transport+encryption, flags))
			words := strings.ToLower(transport + strings.TrimPrefix(encryption, ","))
			if p := libtorrentProgram(); p.version != "" {
				all = append(all, p.limited("libtorrent, "+transport+encryption, strings.Fields(words)))
			}
		}
	}
	return all
}

// limited returns p with another name and with more arguments, which may keep others from
// connecting by TCP without encryption.
func (p *program) limited(name string, more []string) *program {
	with := func(f func(job) []string) func(job) []string {
		return func(j job) []string { return append(f(j), more...) }
	}
	return &program{name: name, version: p.version, seed: with(p.seed), get: with(p.get), crowd: with(p.crowd), limits: true}
}

// utpCrowd measures seeds with many connections over uTP.
func (b *bench) utpCrowd(torrent string, mi *metainfo.MetaInfo) error {
	var mu sync.Mutex
	var peers []*utpPeers
	defer func() {
		for _, p := range peers {
			p.close()
		}
	}()
	// libtorrent takes two connections from one port for the same peer.
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		p, err := newUTPPeers(trackerHost, 0)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		peers = append(peers, p)
		mu.Unlock()
		return p.dial(ctx, addr)
	}
	all := []*program{spateProgram(b.spate).limited("spate, uTP", []string{"utp"})}
	if p := libtorrentProgram(); p.version != "" {
		all = append(all, p.limited("libtorrent, uTP", []string{"utp"}))
	}
	return b.crowdTable(torrent, mi, all, crowd{size: 200, active: crowdActive, dial: dial}, "uTP")
}
