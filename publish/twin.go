package publish

import (
	"fmt"

	"spate"
	"spate/metainfo"
)

// Twin is a v1 torrent of the data of a hybrid release, for clients that cannot
// read a hybrid, or take it for another torrent: Transmission 3 and aria2 1.36.
// It has the same pieces, the padding included, so that nothing is hashed again,
// and a swarm of its own.
type Twin struct {
	Hash        spate.InfoHash // v1; zero: the release has no twin
	TorrentSize int            // bytes of its .torrent
	Magnet      string         // with trackers and web seeds
}

// MakeTwin returns the v1 torrent of a hybrid one: without the info dictionary's
// "meta version" and "file tree" and without the "piece layers" (BEP 52), and
// otherwise the same.
func MakeTwin(hybrid *metainfo.MetaInfo) (*metainfo.MetaInfo, error) {
	if format := hybrid.Info.Format(); format != metainfo.Hybrid {
		return nil, fmt.Errorf("publish: a %s torrent has no v1 twin", format)
	}
	whole, err := hybrid.Bytes()
	if err != nil {
		return nil, err
	}
	info, err := metainfo.EditInfo(hybrid.InfoBytes, map[string][]byte{"meta version": nil, "file tree": nil})
	if err != nil {
		return nil, err
	}
	whole, err = metainfo.Edit(whole, map[string][]byte{"info": info, "piece layers": nil})
	if err != nil {
		return nil, err
	}
	return metainfo.Parse(whole)
}

// twinOf describes m, a twin.
func twinOf(m *metainfo.MetaInfo, size int) Twin {
	return Twin{Hash: m.Hash(), TorrentSize: size, Magnet: m.Magnet().String()}
}
