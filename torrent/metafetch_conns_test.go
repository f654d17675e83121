package torrent

import (
	"context"
	"net/netip"
	"testing"

	"spate/metainfo"
	"spate/storage"
)

// TestTorrentTakesOverConnections checks that the torrent of a magnet link, added without any
// peers, downloads over the connection that gave the metadata.
func TestTorrentTakesOverConnections(t *testing.T) {
	t.Parallel()
	for _, format := range []metainfo.Format{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			data, mi := torrentOfFormat(t, 1<<20, 32<<10, format)
			seed := testSession(t, Options{})
			added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			get := testSession(t, Options{NoListen: true})
			got, _, err := get.FetchMetadata(ctx, mi.Magnet(), MetadataOptions{Peers: []netip.AddrPort{seed.Addr()}})
			if err != nil {
				t.Fatal(err)
			}
			tor, err := get.Add(got, AddOptions{Storage: storage.NewMemoryLike(data)})
			if err != nil {
				t.Fatal(err)
			}
			if err := tor.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			if format != metainfo.V1 {
				until(t, "the piece layers are there", func() bool { return tor.MetaInfo().MissingLayers() == 0 })
			}
		})
	}
}

// TestKeptConnectionsAreClosed checks that the connections that are kept after a search are
// closed when no torrent is added in time, and when the session ends.
func TestKeptConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	data, mi := noiseTorrent(t, 1<<20, 32<<10)
	seed := testSession(t, Options{})
	tor := added(t, seed, mi, AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
	for name, end := range map[string]func(*Session){
		"time":    func(s *Session) { s.closeKeptFor(mi.Hash()) },
		"session": func(s *Session) { s.Close() },
	} {
		get := testSession(t, Options{NoListen: true})
		if _, _, err := get.FetchMetadata(t.Context(), mi.Magnet(), MetadataOptions{Peers: []netip.AddrPort{seed.Addr()}}); err != nil {
			t.Fatal(err)
		}
		until(t, "the connection is kept", func() bool { return tor.Stats().Peers == 1 })
		end(get)
		until(t, "the connection ends by "+name, func() bool { return tor.Stats().Peers == 0 })
		get.mu.Lock()
		if get.conns != 0 || len(get.kept) != 0 {
			t.Errorf("%s: %d connections are counted, %d kept", name, get.conns, len(get.kept))
		}
		get.mu.Unlock()
	}
}
