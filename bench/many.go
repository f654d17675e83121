//go:build linux

package main

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"spate"
	"spate/bencode"
)

// The measurement of many torrents.
const (
	manySize  = 64 << 10        // bytes of each torrent
	manyPiece = 16 << 10        // piece length
	idleTime  = 5 * time.Second // time over which the idle CPU is measured
)

// manyTorrents measures processes that seed many small torrents with a dead tracker.
func (b *bench) manyTorrents() error {
	hashes, err := b.makeMany()
	if err != nil {
		return err
	}
	sample := []spate.InfoHash{hashes[len(hashes)-1], hashes[0]}
	for range min(100, len(hashes)) {
		sample = append(sample, hashes[rand.IntN(len(hashes))])
	}
	var rows []*row
	for range b.runs {
		i := 0
		for _, p := range installed(b.spate) {
			if p.many == nil {
				continue
			}
			if b.interrupted() {
				return errors.New("interrupted")
			}
			if i == len(rows) {
				rows = append(rows, &row{name: p.name})
			}
			if err := b.many(p, sample, rows[i]); err != nil {
				rows[i].note = err.Error()
			}
			i++
		}
	}
	fmt.Printf("## %d torrents of %d KiB, seeded by one process\n\n", b.count, manySize>>10)
	table([]string{"s until all are ready", "CPU s until then", "KiB per torrent", "idle CPU %"}, rows, "libtorrent")
	return nil
}

// many measures one run of a program.
func (b *bench) many(p *program, sample []spate.InfoHash, r *row) error {
	state, err := b.folder("many")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	port := 20000 + rand.IntN(10000)
	proc, err := start(p.many(job{filepath.Join(b.work, "torrents"), filepath.Join(b.work, "files"), trackerHost, port, state}))
	if err != nil {
		return err
	}
	defer proc.stop()
	addr := fmt.Sprintf("%s:%d", trackerHost, port)
	for _, ih := range sample {
		if err := until(proc, func() error { return offered(addr, ih, manySize/manyPiece) }); err != nil {
			return err
		}
	}
	wall, cpu := time.Since(proc.began).Seconds(), proc.cpu()
	time.Sleep(idleTime)
	idle := (proc.cpu() - cpu) / idleTime.Seconds()
	r.add(wall, cpu, proc.memory()/1024/float64(b.count), 100*idle)
	return nil
}

// makeMany writes the files and their torrents, and returns the info-hashes.
func (b *bench) makeMany() ([]spate.InfoHash, error) {
	for _, dir := range []string{"torrents", "files"} {
		if err := os.MkdirAll(filepath.Join(b.work, dir), 0o755); err != nil {
			return nil, err
		}
	}
	hashes := make([]spate.InfoHash, b.count)
	data := make([]byte, manySize)
	random := rand.NewChaCha8([32]byte{2})
	for i := range hashes {
		random.Read(data)
		name := fmt.Sprintf("file%06d.bin", i)
		info := manyInfo(name, data)
		hashes[i] = sha1.Sum(info)
		t := bencode.AppendString(bencode.AppendDict(nil), "announce")
		t = bencode.AppendString(t, "http://"+trackerHost+":1/announce")
		t = append(bencode.AppendString(t, "info"), info...)
		err := os.WriteFile(filepath.Join(b.work, "torrents", name+".torrent"), bencode.AppendEnd(t), 0o644)
		if err == nil {
			err = os.WriteFile(filepath.Join(b.work, "files", name), data, 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

// manyInfo returns the info dictionary for a file with that name and data.
func manyInfo(name string, data []byte) []byte {
	var pieces []byte
	for i := 0; i < len(data); i += manyPiece {
		h := sha1.Sum(data[i : i+manyPiece])
		pieces = append(pieces, h[:]...)
	}
	b := bencode.AppendString(bencode.AppendDict(nil), "length")
	b = bencode.AppendInt(b, int64(len(data)))
	b = bencode.AppendString(bencode.AppendString(b, "name"), name)
	b = bencode.AppendInt(bencode.AppendString(b, "piece length"), manyPiece)
	b = bencode.AppendString(bencode.AppendString(b, "pieces"), string(pieces))
	return bencode.AppendEnd(b)
}
