package torrent

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
	"spate/torrent/internal/metafetch"
)

// TestMetadataFromPeers checks that a session fetches the info dictionary of a magnet link
// from a peer, in several pieces of metadata, and then the data.
func TestMetadataFromPeers(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 40<<20, 16<<10) // 50 kB of hashes
	seed := testSession(t, Options{})
	added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	get := testSession(t, Options{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	link := metainfo.Magnet{HashV1: mi.Hash(), Peers: []string{seed.Addr().String()}, WebSeeds: []string{"http://example.com/x"}}
	got, peers, err := get.FetchMetadata(ctx, link, MetadataOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.InfoBytes, mi.InfoBytes) || len(got.WebSeeds) != 1 {
		t.Error("the metadata is wrong")
	}
	tor, err := get.Add(got, AddOptions{Storage: storage.NewMemoryLike(data), Peers: peers})
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestPeerWithoutTorrentGivesNoMetadata checks that a search ends at its deadline if the
// peer does not have the torrent.
func TestPeerWithoutTorrentGivesNoMetadata(t *testing.T) {
	t.Parallel()
	seed, get := testSession(t, Options{}), testSession(t, Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	link := metainfo.Magnet{HashV1: [20]byte{1}}
	_, _, err := get.FetchMetadata(ctx, link, MetadataOptions{Peers: []netip.AddrPort{seed.Addr()}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline", err)
	}
}

// giveMetadata answers each request for metadata with the piece that give returns, until the
// other side ends the connection. size is the size of the metadata that the peer claims.
func giveMetadata(t *testing.T, c net.Conn, size int64, give func(piece int64) []byte) {
	peer := &scriptedPeer{t: panicTB{t}, c: c}
	answers := make(chan []byte, 100) // larger than the number of outstanding requests, because a pipe has no buffer
	answers <- peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 3, MetadataSize: size})
	defer close(answers)
	go func() {
		for b := range answers {
			c.Write(b)
		}
	}()
	for {
		m, err := peer.next()
		if err != nil {
			return
		}
		if m.ID != peerwire.Extended || m.Index != 3 {
			continue
		}
		request, err := peerwire.ParseMetadata(m.Payload)
		if err != nil || request.Type != peerwire.MetadataRequest {
			t.Errorf("%+v (%v), want a request", request, err)
			return
		}
		answers <- peerwire.AppendMetadata(nil, extMetadata, &peerwire.MetadataMessage{
			Type: peerwire.MetadataData, Piece: request.Piece, Total: size, Data: give(request.Piece),
		})
	}
}

// fetchFrom asks one peer for metadata and returns the error that ended the dialog. last
// is the last byte of the peer's address.
func (f *metaFetch) fetchFrom(t *testing.T, last byte, size int64, give func(piece int64) []byte) error {
	ours, theirs := net.Pipe()
	gone := make(chan struct{})
	go func() { defer close(gone); giveMetadata(t, theirs, size, give) }()
	hs := peerwire.Handshake{InfoHash: f.hash, Reserved: extendedAndFast()}
	_, err := f.fetchOver(t.Context(), ours, hs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, last}), 1), false)
	ours.Close()
	<-gone
	return err
}

// piecesOf returns a function that returns the pieces of b.
func piecesOf(b []byte) func(piece int64) []byte {
	return func(piece int64) []byte {
		from := piece * peerwire.MetadataPieceLen
		return b[from:min(from+peerwire.MetadataPieceLen, int64(len(b)))]
	}
}

// TestWrongMetadataIsNotFound checks a search with a peer that gives no metadata, pieces of
// the wrong length, or metadata that does not match the hash. The search bans only a peer
// whose metadata does not match, and gets the metadata from an honest peer.
func TestWrongMetadataIsNotFound(t *testing.T) {
	t.Parallel()
	_, mi := noiseTorrent(t, 40<<20, 16<<10) // 50 kB of hashes: four pieces of metadata
	info := mi.InfoBytes
	size := int64(len(info))
	for name, c := range map[string]struct {
		size   int64
		give   func(piece int64) []byte
		is     func(error) bool // the error that ends the dialog
		banned bool
	}{
		"no metadata": {0, nil, func(err error) bool { return errors.Is(err, metafetch.ErrNoMetadata) }, false},
		"a piece too short": {size, func(int64) []byte { return info[:9] }, func(err error) bool {
			return errors.As(err, new(*metafetch.PieceError))
		}, false},
		"other bytes": {size, piecesOf(make([]byte, size)), func(err error) bool { return errors.Is(err, metafetch.ErrMismatch) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newMetaFetch(testSession(t, Options{NoListen: true}), metainfo.Magnet{HashV1: mi.Hash()})
			defer f.stop()
			err := f.fetchFrom(t, 1, c.size, c.give)
			if !c.is(err) {
				t.Errorf("ended by %v", err)
			}
			if len(f.found) != 0 || len(f.dialogs) != 0 {
				t.Fatalf("%d found, %d peers are left", len(f.found), len(f.dialogs))
			}
			if err := f.fetchFrom(t, 1, size, piecesOf(info)); (err == nil) == c.banned {
				t.Errorf("asked again: %v", err)
			}
			if err := f.fetchFrom(t, 2, size, piecesOf(info)); err != nil {
				t.Errorf("the honest peer: %v", err)
			}
			if raw := <-f.found; !bytes.Equal(raw, info) {
				t.Error("wrong metadata was found")
			}
		})
	}
}

// TestPeerWithTooMuchMetadataIsDropped checks a search with three peers that claim the
// largest size and do not give all pieces. The search drops the peer that gave most, and gets
// the metadata from an honest peer.
func TestPeerWithTooMuchMetadataIsDropped(t *testing.T) {
	t.Parallel()
	_, mi := noiseTorrent(t, 1<<20, 16<<10)
	f := newMetaFetch(testSession(t, Options{NoListen: true}), metainfo.Magnet{HashV1: mi.Hash()})
	defer f.stop()
	const most = (metainfo.MaxSize + peerwire.MetadataPieceLen - 1) / peerwire.MetadataPieceLen
	const second = metafetch.MaxUnverified/peerwire.MetadataPieceLen - most // so that the third peer sends too much
	var junk [peerwire.MetadataPieceLen]byte
	stop, full := make(chan struct{}), make(chan struct{}, 3)
	// pieces returns a function that returns n pieces and then waits.
	pieces := func(n int64) func(piece int64) []byte {
		return func(piece int64) []byte {
			if piece == n {
				full <- struct{}{}
				<-stop
			}
			return junk[:]
		}
	}
	ended := make(chan error, 3)
	go func() { ended <- f.fetchFrom(t, 1, metainfo.MaxSize, pieces(most-1)) }()
	go func() { ended <- f.fetchFrom(t, 2, metainfo.MaxSize, pieces(second)) }()
	<-full
	<-full
	go func() { ended <- f.fetchFrom(t, 3, metainfo.MaxSize, pieces(9)) }()
	<-full // the third peer gives less than another one
	until(t, "one peer is dropped", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.dialogs) == 2
	})
	if err := f.fetchFrom(t, 4, int64(len(mi.InfoBytes)), piecesOf(mi.InfoBytes)); err != nil {
		t.Errorf("the honest peer: %v", err)
	}
	close(stop)
	f.stop()
	for range 3 {
		if err := <-ended; err == nil {
			t.Error("a peer without the last piece gave metadata")
		}
	}
}

// lastDeadline is a connection that notes the last deadline that was set.
type lastDeadline struct {
	net.Conn
	at time.Time
}

func (c *lastDeadline) SetDeadline(at time.Time) error {
	c.at = at
	return c.Conn.SetDeadline(at)
}

// TestRequestAtTheEndOfSearch checks that a dialog that sends a request just after the search
// has ended does not wait for the peer, because the end of the search waits for the dialog.
func TestRequestAtTheEndOfSearch(t *testing.T) {
	t.Parallel()
	s := testSession(t, Options{NoListen: true})
	for what, end := range map[string]func(f *metaFetch, cancel func()){
		"given up": func(_ *metaFetch, cancel func()) { cancel() },
		"found":    func(f *metaFetch, _ func()) { f.stop() },
	} {
		f := newMetaFetch(s, metainfo.Magnet{HashV1: [20]byte{1}})
		defer f.stop()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		end(f, cancel)
		ours, theirs := net.Pipe() // the other end does not read
		conn := &lastDeadline{Conn: ours}
		d := &metaDialog{f: f, ctx: ctx, nc: conn, peer: f.fetch.Join()}
		hello := peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 3, MetadataSize: 1})
		var m peerwire.Message
		if _, _, err := peerwire.Parse(hello, &m); err != nil {
			t.Fatal(err)
		}
		if _, err := d.handle(&m, hello); !errors.Is(err, os.ErrDeadlineExceeded) || !conn.at.Equal(longAgo) {
			t.Errorf("%s: %v, the deadline is %v, want one that has passed", what, err, conn.at)
		}
		ours.Close()
		theirs.Close()
	}
}
