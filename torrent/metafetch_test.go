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
)

// TestMetadataFromPeers fetches the info dictionary of a magnet link from a peer,
// with several pieces of metadata, and the data after it.
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
		t.Error("other metadata came")
	}
	tor, err := get.Add(got, AddOptions{Storage: storage.NewMemoryLike(data), Peers: peers})
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestMetadataOfAnotherHash asks for a hash that nobody has.
func TestMetadataOfAnotherHash(t *testing.T) {
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

// giveMetadata answers requests for metadata with what give returns, until the other
// side ends the connection; size is what it says that there is.
func giveMetadata(t *testing.T, c net.Conn, size int64, give func(piece int64) (int64, []byte)) {
	f := &foe{t: panicTB{t}, c: c}
	answers := make(chan []byte, 2*metadataWindow) // a pipe holds nothing
	answers <- peerwire.AppendExtHandshake(nil, &peerwire.ExtHandshake{Metadata: 3, MetadataSize: size})
	defer close(answers)
	go func() {
		for b := range answers {
			c.Write(b)
		}
	}()
	for {
		m, err := f.next()
		if err != nil {
			return
		}
		if m.ID != peerwire.Extended || m.Index != 3 {
			continue
		}
		ask, err := peerwire.ParseMetadata(m.Payload)
		if err != nil || ask.Type != peerwire.MetadataRequest {
			t.Errorf("%+v (%v), want a request", ask, err)
			return
		}
		piece, data := give(ask.Piece)
		answers <- peerwire.AppendMetadata(nil, extMetadata, &peerwire.MetadataMessage{
			Type: peerwire.MetadataData, Piece: piece, Total: size, Data: data,
		})
	}
}

// askOne has a search talk with a peer, and returns how that ended.
func (f *metaFetch) askOne(t *testing.T, last byte, size int64, give func(piece int64) (int64, []byte)) error {
	ours, theirs := net.Pipe()
	gone := make(chan struct{})
	go func() { defer close(gone); giveMetadata(t, theirs, size, give) }()
	hs := peerwire.Handshake{InfoHash: f.hash, Reserved: everything()}
	_, err := f.talk(t.Context(), ours, hs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, last}), 1), false)
	ours.Close()
	<-gone
	return err
}

// piecesOf gives metadata as it is asked for.
func piecesOf(b []byte) func(piece int64) (int64, []byte) {
	return func(piece int64) (int64, []byte) {
		from := piece * peerwire.MetadataPieceLen
		return piece, b[from:min(from+peerwire.MetadataPieceLen, int64(len(b)))]
	}
}

// TestMetadataOfWrongSize has peers name other sizes than there are, and give other
// pieces than they were asked for. None of it is kept, who gave what does not match
// is not asked again, and an honest peer gives the metadata all the same.
func TestMetadataOfWrongSize(t *testing.T) {
	t.Parallel()
	_, mi := noiseTorrent(t, 40<<20, 16<<10) // 50 kB of hashes: four pieces
	info := mi.InfoBytes
	size := int64(len(info))
	const none, wrong, broken = "none", "wrong", "broken"
	for name, c := range map[string]struct {
		size int64
		give func(piece int64) (int64, []byte)
		ends string
	}{
		"nothing":           {0, nil, none},
		"more than we take": {peerwire.MaxMetadata + 1, nil, none},
		"no number":         {1 << 62, nil, none},
		"too little":        {size - 1, piecesOf(info[:size-1]), wrong},
		"one piece of it":   {peerwire.MetadataPieceLen, piecesOf(info[:peerwire.MetadataPieceLen]), wrong},
		"too much":          {size + 9, piecesOf(append(bytes.Clone(info), make([]byte, 9)...)), wrong},
		"other bytes":       {size, piecesOf(make([]byte, size)), wrong},
		"a piece too long":  {size, func(i int64) (int64, []byte) { return i, make([]byte, peerwire.MetadataPieceLen+1) }, broken},
		"a piece too short": {size, func(i int64) (int64, []byte) { return i, info[:9] }, broken},
		"an empty piece":    {size, func(i int64) (int64, []byte) { return i, nil }, broken},
		"another piece": {size, func(i int64) (int64, []byte) {
			_, b := piecesOf(info)(i)
			return i + 1, b
		}, broken},
		"no such piece": {size, func(i int64) (int64, []byte) { return 1000, info[:peerwire.MetadataPieceLen] }, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newMetaFetch(testSession(t, Options{NoListen: true}), metainfo.Magnet{HashV1: mi.Hash()})
			defer f.stop()
			err := f.askOne(t, 1, c.size, c.give)
			var broke *protocolError
			if !map[string]bool{
				none: errors.Is(err, errNoMetadata), wrong: errors.Is(err, errWrongMetadata), broken: errors.As(err, &broke),
			}[c.ends] {
				t.Errorf("ended by %v, want %s", err, c.ends)
			}
			if len(f.found) != 0 || len(f.held) != 0 {
				t.Fatalf("%d found, of %d peers something is held", len(f.found), len(f.held))
			}
			err = f.askOne(t, 1, size, piecesOf(info))
			if again := err == nil; again == (c.ends == wrong) {
				t.Errorf("asked again: %v", err)
			}
			if err := f.askOne(t, 2, size, piecesOf(info)); err != nil {
				t.Errorf("the honest one: %v", err)
			}
			if raw := <-f.found; !bytes.Equal(raw, info) {
				t.Error("other metadata was found")
			}
		})
	}
}

// TestMetadataWithoutEnd has peers name the most that we take and give it for ever:
// what is held of all is bounded, and the one that gave most goes.
func TestMetadataWithoutEnd(t *testing.T) {
	t.Parallel()
	_, mi := noiseTorrent(t, 1<<20, 16<<10)
	f := newMetaFetch(testSession(t, Options{NoListen: true}), metainfo.Magnet{HashV1: mi.Hash()})
	defer f.stop()
	const most = peerwire.MaxMetadata / peerwire.MetadataPieceLen
	var junk [peerwire.MetadataPieceLen]byte
	stop, full := make(chan struct{}), make(chan struct{}, 3)
	// endless gives but the last piece, for with that it is found out.
	endless := func(pieces int64) func(piece int64) (int64, []byte) {
		return func(piece int64) (int64, []byte) {
			if piece == pieces {
				full <- struct{}{}
				<-stop
			}
			return piece, junk[:]
		}
	}
	var held int
	ended := make(chan error, 2)
	go func() { ended <- f.askOne(t, 1, peerwire.MaxMetadata, endless(most-1)) }()
	go func() { ended <- f.askOne(t, 2, peerwire.MaxMetadata, endless(most-2)) }()
	<-full
	<-full
	third := make(chan error, 1)
	go func() { third <- f.askOne(t, 3, peerwire.MaxMetadata, endless(9)) }()
	<-full // the third is not the one that gave most
	f.mu.Lock()
	for _, n := range f.held {
		held += n
	}
	peers := len(f.held)
	f.mu.Unlock()
	if held > maxHeld || peers != 2 {
		t.Errorf("%d bytes are held of %d peers, want at most %d of the two that gave less", held, peers, maxHeld)
	}
	if err := f.askOne(t, 4, int64(len(mi.InfoBytes)), piecesOf(mi.InfoBytes)); err != nil {
		t.Errorf("the honest one: %v", err)
	}
	close(stop)
	f.stop()
	for _, c := range []chan error{ended, ended, third} {
		if err := <-c; err == nil {
			t.Error("a peer without end gave metadata")
		}
	}
}

// TestMetadataAskedAtTheEnd has the search end just before a conversation asks for
// more: it must not wait for the answer, for the end of the search waits for it.
func TestMetadataAskedAtTheEnd(t *testing.T) {
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
		ours, theirs := net.Pipe() // where nobody reads
		d := &metaDialog{f: f, ctx: ctx, nc: ours, total: 1}
		began := time.Now()
		if err := d.request(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > metadataSilence/2 {
			t.Errorf("%s: %v after %v", what, err, time.Since(began))
		}
		ours.Close()
		theirs.Close()
	}
}
