//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// creations measures how each program creates a torrent of one file in the page cache.
func (b *bench) creations() error {
	data := filepath.Join(b.work, "create.bin")
	if err := noise(data, b.size); err != nil {
		return err
	}
	defer os.Remove(data)
	for _, hybrid := range []bool{false, true} {
		rows := map[string]*row{}
		var order []*row
		for range b.runs {
			for _, p := range installed(b.spate) {
				if b.interrupted() {
					return errors.New("interrupted")
				}
				if p.create == nil || p.create(data, "", "", hybrid) == nil {
					continue
				}
				r := rows[p.name]
				if r == nil {
					r = &row{name: p.name}
					rows[p.name], order = r, append(order, r)
				}
				if err := b.creation(p, data, hybrid, r); err != nil {
					r.note = err.Error()
				}
			}
		}
		format := map[bool]string{false: "v1", true: "hybrid"}[hybrid]
		fmt.Printf("## Torrents of %d MiB, %s, pieces of 1 MiB\n\n", b.size>>20, format)
		table([]string{"seconds", "CPU s/GB"}, order, "libtorrent")
	}
	return nil
}

// creation measures one run of a program.
func (b *bench) creation(p *program, data string, hybrid bool, r *row) error {
	out := filepath.Join(b.work, "created.torrent")
	defer os.Remove(out)
	proc, err := start(p.create(data, out, "http://"+trackerHost+":6969/announce", hybrid))
	if err != nil {
		return err
	}
	<-proc.ended
	if proc.err != nil {
		return proc.running()
	}
	if info, err := os.Stat(out); err != nil || info.Size() < 20*(b.size>>20) {
		return errors.New("the program created no complete torrent")
	}
	r.add(proc.wall.Seconds(), proc.cpu()/(float64(b.size)/1e9))
	return nil
}
