package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spate"
	"spate/maker"
	"spate/metainfo"
	"spate/torrent"
)

// TestCallback checks that a peer that announces is dialled unless it is connected.
func TestCallback(t *testing.T) {
	t.Parallel()
	local := netip.MustParseAddr("127.0.0.1")
	path := filepath.Join(t.TempDir(), "a.iso")
	if err := os.WriteFile(path, make([]byte, 40_000), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := maker.Make(t.Context(), path, maker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := torrent.NewSession(torrent.Options{Bind: local})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := newCallback(s, func() bool { return false })
	c.after = time.Millisecond
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- c.Run(ctx) }()
	defer func() { cancel(); <-ended; <-ended }()
	if err := (seeder{session: s}).Seed(ctx, m, path, true); err != nil {
		t.Fatal(err)
	}
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	dialled := func() net.Conn {
		t.Helper()
		peer.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		conn, err := peer.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	c.announced(spate.InfoHash{1}, addrPortOf(peer.Addr())) // this torrent is not seeded
	c.announced(m.Hash(), addrPortOf(peer.Addr()))
	conn := dialled()
	defer conn.Close()
	hello := make([]byte, 68)
	if _, err := io.ReadFull(conn, hello); err != nil || spate.InfoHash(hello[28:48]) != m.Hash() {
		t.Fatalf("%q %v", hello, err)
	}
	// The peer sends its handshake, and announces again with another port that it listens on.
	conn.Write(append(hello[:48:48], "-XX0000-0123456789ab"...))
	tor := s.Torrent(m.Hash())
	for late := time.Now().Add(patience); !connected(tor, local); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the peer was not connected in time")
		}
	}
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	c.announced(m.Hash(), addrPortOf(second.Addr()))
	c.announced(m.Hash(), addrPortOf(second.Addr()))
	for late := time.Now().Add(patience); len(c.waiting) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the waiting peers were not processed in time")
		}
	}
	second.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := second.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connected peer was dialled again: %v", err)
	}
}

// TestCallbackAtOnce checks that a process to which nobody can connect dials a peer as soon as it
// announces, and that it does so for a dormant torrent too.
func TestCallbackAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.iso")
	if err := os.WriteFile(path, make([]byte, 40_000), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := maker.Make(t.Context(), path, maker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := openSession(t, SessionConfig{})
	if _, dormant, err := s.AddDormant(loaderOf{m, torrent.AddOptions{Dir: filepath.Dir(path), Verified: true}}); err != nil || !dormant {
		t.Fatalf("the torrent is dormant: %v (%v)", dormant, err)
	}
	c := newCallback(s.Session, func() bool { return true })
	c.after = 100 * patience
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	c.announced(m.Hash(), addrPortOf(peer.Addr()))
	peer.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := peer.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// loaderOf loads a torrent from memory.
type loaderOf struct {
	mi  *metainfo.MetaInfo
	opt torrent.AddOptions
}

func (l loaderOf) Load() (*metainfo.MetaInfo, torrent.AddOptions, error) { return l.mi, l.opt, nil }
