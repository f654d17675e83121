package torrent

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/simnet"
	"spate/peerwire"
	"spate/peerwire/mse"
	"spate/storage"
	"spate/torrent/internal/peerlist"
)

var encryptionNames = map[Encryption]string{EncryptionAllow: "allow", EncryptionPrefer: "prefer", EncryptionRequire: "require", EncryptionOff: "off"}

// TestEncryptionModes downloads between two sessions with every pair of modes. The download must
// succeed unless one side requires encryption and the other one has it off, and the data is
// encrypted if and only if a side requires it.
func TestEncryptionModes(t *testing.T) {
	t.Parallel()
	for seeds, seedName := range encryptionNames {
		for gets, getName := range encryptionNames {
			t.Run(seedName+"/"+getName, func(t *testing.T) {
				t.Parallel()
				data, mi := noiseTorrent(t, 300_000, 64<<10)
				seed := testSession(t, Options{Encryption: seeds})
				uploads := added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
				var encrypted atomic.Bool
				get := testSession(t, Options{Encryption: gets, Uplink: func(nc net.Conn) SendLimit {
					_, rc4 := nc.(*mse.Conn)
					encrypted.Store(rc4)
					return nil
				}})
				store := storage.NewMemoryLike(data)
				tor, err := get.Add(mi, AddOptions{Storage: store, Peers: []netip.AddrPort{seed.Addr()}})
				if err != nil {
					t.Fatal(err)
				}
				if seeds == EncryptionRequire && gets == EncryptionOff || seeds == EncryptionOff && gets == EncryptionRequire {
					until(t, "the dial fails", func() bool {
						tor.mu.Lock()
						defer tor.mu.Unlock()
						return tor.peers.Counts().ByFailure[peerlist.Unanswered] > 0
					})
					if tor.Stats().Downloaded > 0 || len(uploads.PeerStats()) > 0 {
						t.Error("data was sent although the sides have no common mode")
					}
					return
				}
				until(t, "the download is complete", func() bool { return tor.Stats().State == StateSeeding })
				got := make([]byte, len(data))
				if _, err := store.ReadAt(got, 0); err != nil || string(got) != string(data) {
					t.Fatalf("the downloaded data differs, or ReadAt failed: %v", err)
				}
				if want := seeds == EncryptionRequire || gets == EncryptionRequire; encrypted.Load() != want {
					t.Errorf("the data was encrypted: %v, want %v", encrypted.Load(), want)
				}
			})
		}
	}
}

// dialEncrypted makes an encrypted handshake with a session. first is what the peer sends with it.
func dialEncrypted(t *testing.T, to netip.AddrPort, hash spate.InfoHash, offer mse.Method, first []byte) (net.Conn, *mse.Result, error) {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	r, err := (&mse.Initiator{InfoHash: hash, Offer: offer, Initial: first}).Handshake(c)
	if err == nil && r.Method == mse.RC4 {
		return mse.NewConn(c, r), r, nil
	}
	return c, r, err
}

// TestMessagesWithEncryptedHandshake checks that messages which a peer sends together with the
// encrypted handshake arrive, with both methods.
func TestMessagesWithEncryptedHandshake(t *testing.T) {
	t.Parallel()
	for name, offer := range map[string]mse.Method{"plaintext": mse.Plaintext, "RC4": mse.RC4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, mi := noiseTorrent(t, 100_000, 16<<10)
			s := testSession(t, Options{})
			added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, PlainSeed: true})
			hs := peerwire.Handshake{Reserved: extendedAndFast(), InfoHash: mi.Hash(), PeerID: spate.NewPeerID()}
			first := peerwire.AppendSimple(peerwire.AppendSimple(hs.Append(nil), peerwire.HaveNone), peerwire.Interested)
			c, _, err := dialEncrypted(t, s.Addr(), mi.Hash(), offer, first)
			if err != nil {
				t.Fatal(err)
			}
			p := &scriptedPeer{t: t, c: c}
			if p.hs, err = readHandshake(c); err != nil {
				t.Fatal(err)
			}
			p.await(peerwire.Unchoke) // the answer to Interested
		})
	}
}

// TestEncryptedHandshakeForUnknownTorrent checks that the session names no torrent that it does
// not have, and forgets those that are removed.
func TestEncryptedHandshakeForUnknownTorrent(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 100_000, 16<<10)
	s := testSession(t, Options{})
	add := func() { added(t, s, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true}) }
	try := func(hash spate.InfoHash) error {
		hs := peerwire.Handshake{InfoHash: hash, PeerID: spate.NewPeerID()}
		_, _, err := dialEncrypted(t, s.Addr(), hash, mse.RC4, hs.Append(nil))
		return err
	}
	unknown := func(err error) bool { return err != nil && !errors.Is(err, mse.ErrNoMethod) }
	if err := try(mi.Hash()); !unknown(err) {
		t.Errorf("before the torrent is added: %v", err)
	}
	add()
	if err := try(mi.Hash()); err != nil {
		t.Errorf("a torrent that was added after the first handshake: %v", err)
	}
	if err := try(spate.InfoHash{1, 2, 3}); !unknown(err) {
		t.Errorf("an unknown info-hash: %v", err)
	}
	if err := s.Remove(mi.Hash()); err != nil {
		t.Fatal(err)
	}
	if err := try(mi.Hash()); !unknown(err) {
		t.Errorf("after the torrent is removed: %v", err)
	}
}

// TestOtherProtocolsAreClosed checks that a session with encryption closes connections that send
// other protocols, after it has sent one public key with its padding at most.
func TestOtherProtocolsAreClosed(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{})
	for name, first := range map[string][]byte{
		"a key of zeros":   make([]byte, 2000),
		"the largest key":  bytes.Repeat([]byte{0xff}, 2000),
		"letters":          bytes.Repeat([]byte("x"), 2000),
		"nearly plaintext": append([]byte{19}, bytes.Repeat([]byte("B"), 1000)...),
		"another protocol": append([]byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"), make([]byte, 1000)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			go c.Write(first)
			if n, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) || n > 96+512 {
				t.Errorf("read %d bytes: %v", n, err)
			}
		})
	}
}

// TestClosingPeerIsDialledTwiceRarely checks that a peer which closes connections with and without
// encryption, because it does not know the torrent, is dialled once from then on for an hour, but
// twice for another torrent.
func TestClosingPeerIsDialledTwiceRarely(t *testing.T) {
	for mode, want := range map[Encryption][4]int{EncryptionAllow: {2, 1, 2, 2}, EncryptionPrefer: {2, 1, 2, 2}, EncryptionRequire: {1, 1, 1, 1}, EncryptionOff: {1, 1, 1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			w := newDormantWorld(t, Options{Encryption: mode})
			addr := netip.MustParseAddrPort("10.0.0.9:6881")
			l, err := w.net.Host(addr.Addr(), simnet.Link{}).Listen(t.Context(), "tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			var accepted atomic.Int64
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					accepted.Add(1)
					c.Read(make([]byte, 20))
					c.Close()
				}
			}()
			dials := func(hash spate.InfoHash) int {
				before := accepted.Load()
				_, _, err := w.seed.connect(t.Context(), w.seed.dialPeer, addr, hash, false, func(spate.InfoHash) bool { return false })
				if !errors.Is(err, errNoAnswer) {
					t.Errorf("%s: %v", encryptionNames[mode], err)
				}
				return int(accepted.Load() - before)
			}
			got := [4]int{dials(spate.InfoHash{1}), dials(spate.InfoHash{1}), dials(spate.InfoHash{2}), 0}
			time.Sleep(secondTryEvery)
			if got[3] = dials(spate.InfoHash{1}); got != want {
				t.Errorf("%s: the dials made %v connections, want %v", encryptionNames[mode], got, want)
			}
		})
	}
}
