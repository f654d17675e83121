//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/metainfo"
	"spate/peerwire"
)

// The measurement of a seed with many connections. Only a few of the peers request data.
const (
	crowdSize   = 500
	crowdActive = 20 // peers that request data
	crowdQueue  = 64 // outstanding requests of each active peer
	crowdTime   = 30 * time.Second
)

// crowds measures seeds with many connections. The peers are part of this program and
// discard the data.
func (b *bench) crowds() error {
	torrent, mi, err := b.sample()
	if err != nil {
		return err
	}
	return b.crowdTable(torrent, mi, installed(b.spate), crowd{size: crowdSize, active: crowdActive, dial: dialTCP}, "TCP")
}

// crowd describes the connections to a seed.
type crowd struct {
	size, active int
	dial         func(ctx context.Context, addr string) (net.Conn, error)
}

// dialTCP connects to a peer by TCP.
func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// crowdTable measures the programs that can seed to a crowd and prints a table.
func (b *bench) crowdTable(torrent string, mi *metainfo.MetaInfo, all []*program, c crowd, transport string) error {
	var rows []*row
	for range b.runs {
		i := 0
		for _, p := range all {
			if p.crowd == nil {
				continue
			}
			if b.interrupted() {
				return errors.New("interrupted")
			}
			if i == len(rows) {
				rows = append(rows, &row{name: p.name})
			}
			if err := b.crowd(p, torrent, mi, c, rows[i]); err != nil {
				rows[i].note = err.Error()
			}
			i++
		}
	}
	fmt.Printf("## %d MiB over %s from one seed to %d active of %d connected peers\n\n", b.size>>20, transport, c.active, c.size)
	table([]string{"seconds", "MB/s", "CPU s/GB", "MiB of memory"}, rows, rows[len(rows)-1].name)
	return nil
}

// crowd measures one run of a program.
func (b *bench) crowd(p *program, torrent string, mi *metainfo.MetaInfo, c crowd, r *row) error {
	state, err := b.folder("crowd")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	port := 20000 + rand.IntN(10000)
	seed, err := start(b.net.in(0, p.crowd(job{torrent, b.work, seedHost, port, filepath.Join(state, "seed")})))
	if err != nil {
		return err
	}
	defer seed.stop()
	addr := fmt.Sprintf("%s:%d", seedHost, port)
	ready := func() error { return offered(addr, mi.Hash(), mi.Info.NumPieces()) }
	if p.limits {
		ready = func() error { return answers(c, addr, mi.Hash()) }
	}
	if err := until(seed, ready); err != nil {
		return fmt.Errorf("the seed: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), crowdTime)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	idle := c.size - c.active
	for i := range idle {
		nc, err := join(ctx, c, addr, mi.Hash())
		if err != nil {
			return fmt.Errorf("idle peer %d: %w", i, err)
		}
		wg.Go(func() { io.Copy(io.Discard, nc) })
	}
	before, began := seed.cpu(), time.Now()
	var got atomic.Int64
	enough, done := context.WithCancel(ctx)
	defer done()
	for range c.active {
		nc, err := join(enough, c, addr, mi.Hash())
		if err != nil && enough.Err() != nil {
			break // the others have all data
		}
		if err != nil {
			return fmt.Errorf("active peer: %w", err)
		}
		wg.Go(func() {
			ask(nc, mi, func(n int) {
				if got.Add(int64(n)) >= b.size {
					done()
				}
			})
		})
	}
	<-enough.Done()
	wall, cpu := time.Since(began).Seconds(), seed.cpu()-before
	gb := float64(got.Load()) / 1e9
	if got.Load() < b.size {
		return fmt.Errorf("%w: %.2f GB", errLate, gb)
	}
	r.add(wall, gb*1000/wall, cpu/gb, seed.memory()/(1<<20))
	return nil
}

// answers returns nil if a seed answers the handshake of a peer of the crowd.
func answers(c crowd, addr string, ih spate.InfoHash) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := join(ctx, c, addr, ih)
	return err
}

// join connects to a seed as a peer without pieces. The connection ends when ctx is done.
func join(ctx context.Context, c crowd, addr string, ih spate.InfoHash) (net.Conn, error) {
	nc, err := c.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { nc.Close() })
	hs := peerwire.Handshake{InfoHash: ih, PeerID: spate.NewPeerID()}
	hs.Reserved.SetFast()
	if _, err = nc.Write(hs.Append(nil)); err == nil {
		_, err = io.ReadFull(nc, make([]byte, peerwire.HandshakeLen))
	}
	if err == nil {
		_, err = nc.Write(peerwire.AppendSimple(nil, peerwire.HaveNone))
	}
	return nc, err
}

// ask sends interested, and while it is unchoked requests consecutive blocks from a random
// piece on, until the connection ends. It calls took with the length of each received block.
func ask(nc net.Conn, mi *metainfo.MetaInfo, took func(n int)) {
	out := peerwire.AppendSimple(nil, peerwire.Interested)
	buf := make([]byte, 0, 256<<10)
	piece, begin := rand.IntN(mi.Info.NumPieces()), int64(0)
	choked, pending := true, 0
	for {
		for !choked && pending < crowdQueue {
			size := mi.Info.PieceSize(piece)
			n := min(peerwire.BlockLen, size-begin)
			out = peerwire.AppendBlock(out, peerwire.Request, uint32(piece), uint32(begin), uint32(n))
			pending++
			begin += n
			if begin == size {
				piece, begin = (piece+1)%mi.Info.NumPieces(), 0
			}
		}
		if len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		k, err := nc.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+k]
		at := 0
		for {
			var m peerwire.Message
			n, _, err := peerwire.Parse(buf[at:], &m)
			if err != nil {
				return
			}
			if n == 0 {
				break
			}
			at += n
			switch m.ID {
			case peerwire.Unchoke:
				choked = false
			case peerwire.Choke:
				choked = true
			case peerwire.Reject:
				pending--
			case peerwire.Piece:
				pending--
				took(len(m.Payload))
			}
		}
		buf = buf[:copy(buf, buf[at:])]
	}
}
