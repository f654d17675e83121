//go:build linux

package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"spate"
	"spate/bitfield"
	"spate/peerwire"
)

// watch connects to the getters of a swarm as a peer that has nothing and wants nothing, hears
// which pieces they have, and prints ALL when they together have every piece: then the first
// full copy has left the origin. Its arguments are the number of pieces and HASH=ADDRESS for
// each getter, or HASH=ADDRESS/again for a getter that sends its HAVEs late or not at all: watch
// connects to it again and again, because its bitfield is up to date.
func watch(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("watch needs the number of pieces and getters")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	w := &watcher{all: bitfield.New(n), complete: make(chan struct{})}
	for _, arg := range args[1:] {
		hash, addr, _ := strings.Cut(arg, "=")
		addr, again := strings.CutSuffix(addr, "/again")
		b, err := hex.DecodeString(hash)
		if err != nil || len(b) != len(spate.InfoHash{}) {
			return fmt.Errorf("%q: want HASH=ADDRESS", arg)
		}
		go func() {
			for ; ; time.Sleep(250 * time.Millisecond) {
				w.listen(addr, spate.InfoHash(b), again)
			}
		}()
	}
	<-w.complete
	fmt.Println("ALL")
	select {} // until bench stops this process, so that the getters keep their connections
}

// watcher collects the pieces of all getters.
type watcher struct {
	mu       sync.Mutex
	all      bitfield.Bitfield
	complete chan struct{} // closed when all pieces are there
}

// add adds a piece.
func (w *watcher) add(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i >= w.all.Len() || w.all.Get(i) {
		return
	}
	w.all.Set(i)
	if w.all.All() {
		close(w.complete)
	}
}

// listen hears what a getter has until the connection ends, or for two seconds if it should
// connect again.
func (w *watcher) listen(addr string, ih spate.InfoHash, again bool) {
	nc, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return
	}
	defer nc.Close()
	if again {
		nc.SetDeadline(time.Now().Add(2 * time.Second))
	}
	hs := peerwire.Handshake{InfoHash: ih, PeerID: spate.NewPeerID()}
	buf := make([]byte, peerwire.HandshakeLen, 256<<10)
	if _, err := nc.Write(hs.Append(nil)); err != nil {
		return
	}
	if _, err := io.ReadFull(nc, buf); err != nil {
		return
	}
	for buf = buf[:0]; ; {
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
			w.hear(&m)
		}
		buf = buf[:copy(buf, buf[at:])]
	}
}

// hear adds the pieces that a message announces.
func (w *watcher) hear(m *peerwire.Message) {
	switch m.ID {
	case peerwire.Have:
		w.add(int(m.Index))
	case peerwire.Bitfield:
		for i, v := range m.Payload {
			for k := range 8 {
				if v&(128>>k) != 0 {
					w.add(8*i + k)
				}
			}
		}
	}
}
