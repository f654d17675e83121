package torrent

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"spate"
	"spate/peerwire"
	"spate/storage"
)

// pipes is a network on which a dial to port 1000 sends the other end to the test.
type pipes chan net.Conn

func (p pipes) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	if !strings.HasSuffix(address, ":1000") {
		return nil, syscall.ECONNREFUSED // an address that the peer named
	}
	ours, theirs := net.Pipe()
	select {
	case p <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipes) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, net.ErrClosed
}

// TestMessagesDuringMetadataFetch checks a search for metadata with a peer that sends random
// messages in any order, and gives right, wrong or no metadata. The search finds only right
// metadata, the torrent then handles the messages that arrived during the search, and at
// the end no connection or search is left.
func TestMessagesDuringMetadataFetch(t *testing.T) {
	t.Parallel()
	var all []testTorrent
	for _, st := range testTorrents(t) {
		if !st.seed {
			all = append(all, st)
		}
	}
	found, kept, data := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		st := &all[rapid.IntRange(0, len(all)-1).Draw(rt, "torrent")]
		r := extendedAndFast()
		if rapid.IntRange(0, 3).Draw(rt, "fast") == 0 {
			r = peerwire.Reserved{}
			r.SetExtended()
		}
		says := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) []byte { return randomMessage(rt, st) }), 0, 30).Draw(rt, "messages")
		at := rapid.IntRange(0, len(says)).Draw(rt, "hello")
		hello := peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 3, MetadataSize: int64(len(st.mi.InfoBytes)), Port: 6881})
		says = append(says[:at:at], append([][]byte{hello}, says[at:]...)...)
		seed := rapid.Uint64().Draw(rt, "answers")

		// A search waits seconds for a silent peer, so the clock is simulated.
		synctest.Test(t, func(t *testing.T) {
			dialled := make(pipes)
			p := &pipeSession{session: testSession(t, Options{NoListen: true, Network: dialled})}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				defer cancel() // there is no other peer to ask
				c := <-dialled
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				hs, err := readHandshake(c)
				if err != nil {
					return
				}
				hs.Reserved, hs.PeerID = r, spate.NewPeerID()
				if _, err := c.Write(hs.Append(nil)); err == nil {
					st.sendAndAnswer(c, says, seed)
				}
			}()
			mi, _, err := p.session.FetchMetadata(ctx, st.mi.Magnet(), MetadataOptions{Peers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1000")}})
			if err == nil {
				found++
				if !bytes.Equal(mi.InfoBytes, st.mi.InfoBytes) {
					t.Fatal("wrong metadata was found")
				}
				p.session.mu.Lock()
				kept += len(p.session.kept)
				p.session.mu.Unlock()
				store := storage.NewMemoryLike(st.data)
				tor, err := p.session.Add(mi, AddOptions{Storage: store})
				if err != nil {
					t.Fatalf("%v", err)
				}
				<-gone
				until(t, "the peer is gone", func() bool {
					s := tor.Stats()
					return s.Peers == 0 && (s.State == StateDownloading || s.State == StateSeeding)
				})
				p.checkTorrent(t, st, tor, store, nil)
				if tor.Stats().PiecesHave > 0 {
					data++
				}
				p.session.Remove(tor.InfoHash())
			}
			cancel()
			<-gone
			for end := time.Now().Add(patience); ; time.Sleep(50 * time.Microsecond) {
				p.session.mu.Lock()
				conns, dials, kept, fetches := p.session.conns, p.session.dials, len(p.session.kept), len(p.session.fetches)
				p.session.mu.Unlock()
				if conns == 0 && dials == 0 && kept == 0 && fetches == 0 {
					break
				} else if time.Now().After(end) {
					t.Fatalf("%d connections, %d dials, %d kept connections and %d searches are left", conns, dials, kept, fetches)
				}
			}
		})
		if t.Failed() {
			rt.FailNow()
		}
	})
	t.Logf("metadata was found %d times, %d connections were kept, and pieces came over %d of them", found, kept, data)
	if found == 0 || kept == 0 {
		t.Error("no metadata was found, or no connection was kept")
	}
}
