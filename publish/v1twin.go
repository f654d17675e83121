package publish

import (
	"fmt"

	"spate"
	"spate/metainfo"
)

// Twin describes the v1 torrent of a hybrid release. Some clients, such as Transmission 3
// and aria2 1.36, cannot read hybrid torrents or compute another info-hash for them, and
// use the v1 torrent instead. It has the same pieces as the hybrid torrent, including the
// padding, and a swarm of its own.
type Twin struct {
	Hash        spate.InfoHash // v1 info-hash; zero if the release has no twin
	TorrentSize int            // bytes of its .torrent
	Magnet      string         // with trackers and web seeds
}

// MakeTwin returns the v1 torrent of a hybrid torrent. It replaces the info dictionary by that of
// the v1 twin ([metainfo.MetaInfo.V1Twin]), and removes "piece layers" (BEP 52).
func MakeTwin(hybrid *metainfo.MetaInfo) (*metainfo.MetaInfo, error) {
	info, _, err := hybrid.V1Twin()
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	whole, err := hybrid.Bytes()
	if err != nil {
		return nil, err
	}
	whole, err = metainfo.Edit(whole, map[string][]byte{"info": info, "piece layers": nil})
	if err != nil {
		return nil, err
	}
	return metainfo.Parse(whole)
}

// twinOf describes the v1 torrent m, of size bytes.
func twinOf(m *metainfo.MetaInfo, size int) Twin {
	return Twin{Hash: m.Hash(), TorrentSize: size, Magnet: m.Magnet().String()}
}
