package cli

import (
	"spate/internal/torrentfile"
	"spate/metainfo"
)

// writeTorrent writes file, the .torrent of m, to path. It writes the v2 hashes that the .torrent
// leaves out because of its size to a file beside it. It warns if it cannot write them, because the
// torrent is complete without them.
func (a *app) writeTorrent(path string, m *metainfo.MetaInfo, file []byte, force bool) error {
	if err := torrentfile.Write(path, file, force); err != nil {
		return err
	}
	if m.V2Hashes == nil || metainfo.RawV2Hashes(file) != nil {
		return nil
	}
	beside := torrentfile.V2HashesPath(path)
	if err := torrentfile.Write(beside, m.V2Hashes.Append(nil), force); err != nil {
		a.Warnf("the v2 hashes, which would make the .torrent larger than other programs accept, were not written: %v", err)
		return nil
	}
	a.Notef("the v2 hashes are in %s, because the .torrent would be larger than other programs accept", beside)
	return nil
}
