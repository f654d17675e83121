package metainfo

import (
	"crypto/sha1"
	"fmt"

	"spate"
)

// V1Twin returns the info dictionary and the info-hash of the v1 twin of a hybrid torrent. The
// twin is the v1 torrent that remains without the v2 part of the info dictionary, which is "meta
// version" and "file tree" (BEP 52). It has the same pieces, including the padding, and a swarm
// of its own, for clients that cannot use hybrid torrents. V1Twin returns an error if m is not
// a hybrid.
func (m *MetaInfo) V1Twin() (info []byte, hash spate.InfoHash, err error) {
	if format := m.Info.Format(); format != Hybrid {
		return nil, hash, fmt.Errorf("metainfo: a %s torrent has no v1 twin", format)
	}
	info, err = EditInfo(m.InfoBytes, map[string][]byte{"meta version": nil, "file tree": nil})
	if err != nil {
		return nil, hash, err
	}
	return info, sha1.Sum(info), nil
}
