package running

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/internal/reach"
	"spate/internal/stall"
	"spate/internal/uplink"
	"spate/metainfo"
	"spate/torrent"
	"spate/tracker"
)

type refusing struct{}

func (refusing) Announce(context.Context, string, *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	return nil, errors.New("no such torrent")
}

// TestSearchForMetadataIsListed checks that a search for the metadata of a magnet link is listed
// with the error of its tracker until it ends.
func TestSearchForMetadataIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := torrent.NewSession(torrent.Options{Announcer: refusing{}, NoListen: true, Bind: netip.MustParseAddr("127.0.0.1")})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		search, end := context.WithCancel(ctx)
		ih := spate.InfoHash{1}
		wg.Go(func() {
			s.FetchMetadata(search, metainfo.Magnet{HashV1: ih, Name: "wanted", Trackers: []string{"http://tracker.example/announce"}}, torrent.MetadataOptions{})
		})
		time.Sleep(5 * time.Second)
		list, err := Source(s, func() uplink.Status { return uplink.Status{Mode: uplink.Off} }, func() reach.Status { return reach.Status{} }, func(spate.InfoHash) stall.DHT { return stall.DHT{} }).List(ctx)
		if err != nil || len(list) != 1 || list[0].Name != "wanted" || list[0].State != "metadata" || list[0].TrackerErr == "" {
			t.Errorf("List returned %+v, %v", list, err)
		}
		d, err := Source(s, func() uplink.Status { return uplink.Status{Mode: uplink.Off} }, func() reach.Status { return reach.Status{} }, func(spate.InfoHash) stall.DHT { return stall.DHT{} }).Detail(ctx, ih.String())
		if err != nil || d == nil || len(d.Trackers) != 1 || !d.Trackers[0].Bad {
			t.Errorf("Detail returned %+v, %v", d, err)
		}
		end()
		time.Sleep(10 * time.Second)
		if list, _ := Source(s, func() uplink.Status { return uplink.Status{Mode: uplink.Off} }, func() reach.Status { return reach.Status{} }, func(spate.InfoHash) stall.DHT { return stall.DHT{} }).List(ctx); len(list) != 0 {
			t.Errorf("after the end, List returned %+v", list)
		}
		cancel()
		wg.Wait()
	})
}
