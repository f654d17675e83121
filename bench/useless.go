//go:build linux

package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"spate"
	"spate/bitfield"
	"spate/peerwire"
)

// habits are the numbers of peers that help nobody. All connect again when a connection ends.
//
//	idle    has no pieces and sends nothing
//	silent  has no pieces, is interested and requests nothing
//	deaf    requests pieces and reads nothing more
//	slow    requests pieces and reads 1 kB/s
//	liar    says that it has half of the pieces and answers no requests
//	noisy   says that it has half of the pieces and sends noise
type habits kinds

// habitNames returns the habits.
func habitNames() []string { return []string{"idle", "silent", "deaf", "slow", "liar", "noisy"} }

// Set parses HABIT=N,HABIT=N,...
func (h *habits) Set(s string) error { return (*kinds)(h).parse(s, "HABIT", habitNames()) }

func (h *habits) String() string { return (*kinds)(h).String() }

// useless runs useless peers. Its arguments are the info-hash, the number of pieces, the piece
// length, the addresses of the targets separated by commas, and HABIT=N,... . Each peer has an
// address of its own and connects to the first target and to one of the others. It prints READY
// when the peers have had time to connect to the first target.
func useless(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("useless needs the info-hash, the number of pieces, the piece length, targets, and habits")
	}
	b, err := hex.DecodeString(args[0])
	if err != nil || len(b) != len(spate.InfoHash{}) {
		return fmt.Errorf("%q is no info-hash", args[0])
	}
	job := uselessJob{hash: spate.InfoHash(b)}
	if job.pieces, err = strconv.Atoi(args[1]); err != nil {
		return err
	}
	if job.length, err = strconv.Atoi(args[2]); err != nil {
		return err
	}
	targets := strings.Split(args[3], ",")
	var peers habits
	if err := peers.Set(args[4]); err != nil {
		return err
	}
	n := 0
	for _, h := range peers {
		for range h.n {
			job := job
			job.habit, job.from = h.kind, uselessAddr(n)
			go job.connect(targets[0])
			if others := targets[1:]; len(others) > 0 {
				go job.connect(others[n%len(others)])
			}
			n++
		}
	}
	time.Sleep(3 * time.Second)
	fmt.Println("READY")
	select {} // until bench stops this process
}

// uselessAddr returns the address of a useless peer, in an IPv4 network of its own.
func uselessAddr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 19, byte(i % 256), byte(1 + i/256)})
}

// uselessJob is what a useless peer does.
type uselessJob struct {
	hash   spate.InfoHash
	pieces int
	length int // of a piece in bytes
	habit  string
	from   netip.Addr
}

// connect connects to a target again and again.
func (j uselessJob) connect(target string) {
	for ; ; time.Sleep(time.Second) {
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: j.from.AsSlice()}}
		if nc, err := d.Dial("tcp", target); err == nil {
			j.trouble(nc)
			nc.Close()
		}
	}
}

// trouble does what the habit says until the connection ends.
func (j uselessJob) trouble(nc net.Conn) {
	hs := peerwire.Handshake{InfoHash: j.hash, PeerID: spate.NewPeerID()}
	say := hs.Append(nil)
	if j.habit == "liar" || j.habit == "noisy" {
		say = peerwire.AppendBytes(say, peerwire.Bitfield, j.claims().Bytes())
	}
	if j.habit != "idle" {
		say = peerwire.AppendSimple(say, peerwire.Interested)
		say = peerwire.AppendSimple(say, peerwire.Unchoke)
	}
	if _, err := nc.Write(say); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, nc, peerwire.HandshakeLen); err != nil {
		return
	}
	asks := j.habit == "deaf" || j.habit == "slow"
	var shown []uint32
	unchoked := false
	buf := make([]byte, 0, 64<<10)
	for {
		k, err := nc.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+k]
		at := 0
		for {
			var m peerwire.Message
			size, _, err := peerwire.Parse(buf[at:], &m)
			if err != nil {
				return
			}
			if size == 0 {
				break
			}
			at += size
			switch {
			case m.ID == peerwire.Have:
				shown = append(shown, m.Index)
			case m.ID == peerwire.Bitfield:
				if f, err := bitfield.FromBytes(m.Payload, j.pieces); err == nil {
					for i := range f.Ones() {
						shown = append(shown, uint32(i))
					}
				}
			case m.ID == peerwire.Unchoke:
				unchoked = true
			case m.ID == peerwire.Request && j.habit == "noisy":
				noise := make([]byte, min(m.Length, 16<<10))
				rand.Read(noise)
				head := peerwire.AppendPieceHeader(nil, m.Index, m.Begin, uint32(len(noise)))
				if _, err := nc.Write(append(head, noise...)); err != nil {
					return
				}
			}
		}
		buf = buf[:copy(buf, buf[at:])]
		if asks && unchoked && len(shown) > 0 {
			j.take(nc, shown)
			return
		}
	}
}

// claims returns a random half of the pieces.
func (j uselessJob) claims() bitfield.Bitfield {
	have, coins := bitfield.New(j.pieces), make([]byte, j.pieces)
	rand.Read(coins)
	for i, c := range coins {
		if c < 128 {
			have.Set(i)
		}
	}
	return have
}

// take requests pieces and reads slowly or not at all.
func (j uselessJob) take(nc net.Conn, pieces []uint32) {
	var ask []byte
	for _, p := range pieces {
		for begin := 0; begin < j.length; begin += 16 << 10 {
			ask = peerwire.AppendBlock(ask, peerwire.Request, p, uint32(begin), uint32(min(16<<10, j.length-begin)))
		}
	}
	if _, err := nc.Write(ask); err != nil {
		return
	}
	b := make([]byte, 1000)
	for ; ; time.Sleep(time.Second) {
		var err error
		if j.habit == "slow" {
			_, err = nc.Read(b)
		} else {
			_, err = nc.Write(peerwire.AppendKeepAlive(nil)) // fails when the other side has closed
		}
		if err != nil {
			return
		}
	}
}
