//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"spate/bencode"
	"spate/dht"
)

// dhtLoad describes the load of a DHT node.
type dhtLoad struct {
	torrents, peers int // stored torrents, and peers of each
	queries         int
	addr            *net.UDPAddr
	proc            *process
	conns           []*net.UDPConn // one for each peer, each at another address
}

// dhtNodes measures how DHT nodes answer get_peers, on loopback: the processor time of an
// answer, its size, and the memory that the process takes for the stored peers with the garbage of storing
// them.
func dhtNodes(args []string) error {
	flags := flag.NewFlagSet("dht", flag.ExitOnError)
	runs := flags.Int("runs", 3, "number of runs of each node")
	load := dhtLoad{}
	flags.IntVar(&load.torrents, "torrents", 1000, "number of torrents with stored peers")
	flags.IntVar(&load.peers, "peers", 30, "number of stored peers of each torrent, at most 250")
	flags.IntVar(&load.queries, "queries", 200_000, "number of queries to answer")
	flags.Parse(args)
	if load.torrents < 1 || load.peers < 1 || load.peers > 250 || load.queries < 1 {
		return errors.New("dht: the numbers of torrents, peers and queries must be positive, and at most 250 peers")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ours, theirs := &row{name: "spate"}, &row{name: "libtorrent"}
	python, _ := findLibtorrent()
	for range *runs {
		for _, r := range []*row{ours, theirs} {
			args := []string{self, "dhtnode"}
			if r == theirs {
				args = []string{python, "-c", libtorrentScript, "dht"}
			}
			if args[0] == "" {
				r.note = "not installed"
				continue
			}
			if err := load.measure(args, r); err != nil {
				r.note = err.Error()
			}
		}
	}
	fmt.Printf("## DHT: get_peers, %d torrents with %d peers each\n\n", load.torrents, load.peers)
	table([]string{"CPU µs an answer", "answers/s", "bytes", "peers", "MiB more memory"}, []*row{ours, theirs}, theirs.name)
	return nil
}

// dhtNode runs a DHT node at the address of its first argument. Further arguments are nodes to
// start from.
func dhtNode(args []string) error {
	if len(args) < 1 {
		return errors.New("dhtnode needs an address")
	}
	conn, err := net.ListenPacket("udp4", args[0])
	if err != nil {
		return err
	}
	n, err := dht.New(dht.Options{Conns: []net.PacketConn{conn}, Bootstrap: args[1:]})
	if err != nil {
		return err
	}
	return n.Run(context.Background())
}

// measure runs one node and adds its values to r.
func (l *dhtLoad) measure(args []string, r *row) error {
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	l.addr = free.LocalAddr().(*net.UDPAddr)
	free.Close()
	if l.proc, err = start(append(args, l.addr.String())); err != nil {
		return err
	}
	defer l.proc.stop()
	if err := l.connect(); err != nil {
		return err
	}
	defer l.disconnect()
	first := l.query(0)
	if err := until(l.proc, func() error { _, err := askNode(l.conns[0], first, 100*time.Millisecond); return err }); err != nil {
		return err
	}
	before := l.proc.memory()
	if err := l.announce(); err != nil {
		return err
	}
	memory := l.proc.memory() - before
	answer, err := askNode(l.conns[0], first, time.Second)
	if err != nil {
		return err
	}
	peers := bytes.Count(answer, []byte("6:\x7f")) - 1 // the first is our own address
	cpu, began := l.proc.cpu(), time.Now()
	size, err := l.flood()
	if err != nil {
		return err
	}
	n := float64(l.queries)
	r.add((l.proc.cpu()-cpu)/n*1e6, n/time.Since(began).Seconds(), float64(size)/n, float64(peers), memory/(1<<20))
	return nil
}

// connect opens the sockets of the peers, each in another network.
func (l *dhtLoad) connect() error {
	l.conns = nil
	for n := range l.peers {
		c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, byte(n+1), 0, 1)}, l.addr)
		if err != nil {
			return err
		}
		l.conns = append(l.conns, c)
	}
	return nil
}

func (l *dhtLoad) disconnect() {
	for _, c := range l.conns {
		c.Close()
	}
}

// infoHash returns the info-hash of a torrent.
func infoHash(torrent int) []byte {
	h := sha1.Sum([]byte(strconv.Itoa(torrent)))
	return h[:]
}

// query returns a query for the peers of a torrent.
func (l *dhtLoad) query(torrent int) []byte {
	b := append([]byte("d1:ad2:id20:abcdefghij01234567899:info_hash20:"), infoHash(torrent)...)
	return append(b, "e1:q9:get_peers1:t4:aaaa1:y1:qe"...)
}

// askNode sends a query until an answer comes, and skips queries of the node.
func askNode(c *net.UDPConn, query []byte, wait time.Duration) ([]byte, error) {
	b := make([]byte, 2048)
	for range 5 {
		c.Write(query)
		c.SetReadDeadline(time.Now().Add(wait))
		for {
			n, err := c.Read(b)
			if err != nil {
				break
			}
			if !bytes.Contains(b[:n], []byte("1:y1:q")) {
				return b[:n], nil
			}
		}
	}
	return nil, errors.New("the node does not answer")
}

// announce stores the peers. It asks for a token for each, because libtorrent's tokens depend on
// the info-hash.
func (l *dhtLoad) announce() error {
	for _, c := range l.conns {
		for torrent := range l.torrents {
			answer, err := askNode(c, l.query(torrent), time.Second)
			if err != nil {
				return err
			}
			values, _, err := bencode.Find(answer, "r")
			if err != nil {
				return err
			}
			token, _, err := bencode.Find(values, "token")
			if err != nil || token == nil {
				return errors.New("an answer has no token")
			}
			b := append([]byte("d1:ad2:id20:abcdefghij01234567899:info_hash20:"), infoHash(torrent)...)
			b = append(append(b, "4:porti6881e5:token"...), token...)
			b = append(b, "e1:q13:announce_peer1:t4:bbbb1:y1:qe"...)
			if answer, err = askNode(c, b, time.Second); err != nil {
				return err
			}
			if !bytes.Contains(answer, []byte("1:y1:r")) {
				return fmt.Errorf("the node rejects an announce: %.80q", answer)
			}
		}
	}
	return nil
}

// flood sends the queries from up to eight addresses, with up to 16 on the way from each, and
// returns the size of all answers in bytes.
func (l *dhtLoad) flood() (size int, err error) {
	queries := make([][]byte, l.torrents)
	for n := range queries {
		queries[n] = l.query(n)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	workers := min(8, len(l.conns))
	for w := range workers {
		wg.Go(func() {
			n, bad := floodFrom(l.conns[w], queries, (l.queries+w)/workers)
			mu.Lock()
			defer mu.Unlock()
			size += n
			err = errors.Join(err, bad)
		})
	}
	wg.Wait()
	return size, err
}

// floodFrom sends queries from one socket until there are n answers.
func floodFrom(c *net.UDPConn, queries [][]byte, n int) (size int, err error) {
	b := make([]byte, 2048)
	for waiting, answers := 0, 0; answers < n; {
		for ; waiting < 16; waiting++ {
			c.Write(queries[rand.IntN(len(queries))])
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		got, err := c.Read(b)
		switch {
		case err != nil:
			return size, fmt.Errorf("the node answers %d of %d queries", answers, n)
		case bytes.Contains(b[:got], []byte("1:y1:q")):
		default:
			size += got
			answers++
			waiting--
		}
	}
	return size, nil
}
