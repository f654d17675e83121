package torrent

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"spate/metainfo"
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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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
