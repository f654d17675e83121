package torrent_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"spate/maker"
	"spate/metainfo"
	"spate/torrent"
)

// The examples connect to a seed in this process. A program would read the metainfo from a
// .torrent file and find peers through trackers.
var (
	localhost = netip.MustParseAddr("127.0.0.1")
	verse     = strings.Repeat("A river in spate is a torrent.\n", 5000)
)

// Add a torrent to a session and wait until it is complete.
func Example() {
	mi, seed := startSeed()
	defer seed.Close()

	s, err := torrent.NewSession(torrent.Options{Bind: localhost})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	defer running.Wait() // Run saves the session's state before it returns
	defer stop()

	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	t, err := s.Add(mi, torrent.AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		log.Fatal(err)
	}
	if err := t.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	st := t.Stats()
	fmt.Printf("%s: %d of %d bytes, %v\n", st.Name, st.BytesDone, st.BytesTotal, st.State)
	// Output: verse.txt: 155000 of 155000 bytes, seeding
}

// Receive the events of a torrent.
func ExampleTorrent_Subscribe() {
	mi, seed := startSeed()
	defer seed.Close()
	s := startSession(torrent.Options{})
	defer s.Close()

	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	t, err := s.Add(mi, torrent.AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}, Stopped: true})
	if err != nil {
		log.Fatal(err)
	}
	events := t.Subscribe(100)
	defer events.Close()
	t.Start()
	pieces := 0
	for e := range events.Events() {
		switch e.Kind {
		case torrent.EventState:
			fmt.Println(e.State)
		case torrent.EventPiece:
			pieces++
		case torrent.EventDone:
			fmt.Println("done,", pieces, "pieces")
			return
		}
	}
	// Output:
	// checking
	// downloading
	// seeding
	// done, 10 pieces
}

// Read a file while it downloads.
func ExampleTorrent_NewReader() {
	mi, seed := startSeed()
	defer seed.Close()
	s := startSession(torrent.Options{})
	defer s.Close()

	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	t, err := s.Add(mi, torrent.AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		log.Fatal(err)
	}
	r, err := t.NewReader(context.Background(), 0)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	r.Seek(-31, io.SeekEnd) // the session downloads the last line first
	line, err := bufio.NewReader(r).ReadString('\n')
	fmt.Print(line, err)
	// Output:
	// A river in spate is a torrent.
	// <nil>
}

// notes is a [storage.Storage] that keeps the data in memory.
type notes struct {
	mu   sync.RWMutex
	data []byte
}

func (n *notes) ReadAt(p []byte, off int64) (int, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return copy(p, n.data[off:]), nil
}

func (n *notes) WriteAt(p []byte, off int64) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return copy(n.data[off:], p), nil
}

func (n *notes) Sync() error  { return nil }
func (n *notes) Close() error { return nil }

// Store the data elsewhere than in files.
func ExampleAddOptions_storage() {
	mi, seed := startSeed()
	defer seed.Close()
	s := startSession(torrent.Options{})
	defer s.Close()

	store := &notes{data: make([]byte, mi.Info.TotalLength())}
	t, err := s.Add(mi, torrent.AddOptions{Storage: store, Peers: []netip.AddrPort{seed.Addr()}})
	if err != nil {
		log.Fatal(err)
	}
	if err := t.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(store.data) == verse)
	// Output: true
}

// onlyLocal is a [torrent.Network] that connects to this machine only. A program could use a
// proxy, a tunnel or a simulation instead.
type onlyLocal struct {
	net.ListenConfig
	net.Dialer
	dials atomic.Int64
}

func (n *onlyLocal) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if ap, err := netip.ParseAddrPort(address); err != nil || !ap.Addr().IsLoopback() {
		return nil, fmt.Errorf("%s: not on this machine", address)
	}
	n.dials.Add(1)
	return n.Dialer.DialContext(ctx, network, address)
}

// Make connections in another way.
func ExampleOptions_network() {
	mi, seed := startSeed()
	defer seed.Close()

	n := &onlyLocal{}
	s := startSession(torrent.Options{Network: n})
	defer s.Close()
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	t, err := s.Add(mi, torrent.AddOptions{Dir: dir, Peers: []netip.AddrPort{seed.Addr(), netip.MustParseAddrPort("192.0.2.1:6881")}})
	if err != nil {
		log.Fatal(err)
	}
	if err := t.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("dialled", n.dials.Load())
	// Output: dialled 1
}

// startSession starts a session that runs until it is closed.
func startSession(opt torrent.Options) *torrent.Session {
	opt.Bind = localhost
	s, err := torrent.NewSession(opt)
	if err != nil {
		log.Fatal(err)
	}
	go s.Run(context.Background())
	return s
}

// startSeed returns a torrent and a session that seeds it.
func startSeed() (*metainfo.MetaInfo, *torrent.Session) {
	dir, err := os.MkdirTemp("", "example-seed")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "verse.txt")
	if err := os.WriteFile(path, []byte(verse), 0o666); err != nil {
		log.Fatal(err)
	}
	mi, err := maker.Make(context.Background(), path, maker.Options{PieceLength: 16 << 10})
	if err != nil {
		log.Fatal(err)
	}
	data := &notes{data: []byte(verse)}
	os.RemoveAll(dir)
	s := startSession(torrent.Options{})
	t, err := s.Add(mi, torrent.AddOptions{Storage: data, Verified: true})
	if err != nil {
		log.Fatal(err)
	}
	<-t.Done()
	return mi, s
}
