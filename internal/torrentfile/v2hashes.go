package torrentfile

import (
	"spate/internal/atomicfile"
	"spate/internal/folder"
	"spate/metainfo"
)

// V2HashesPath returns the path of the file with the v2 hashes that the .torrent file at path leaves
// out because of its size.
func V2HashesPath(path string) string { return atomicfile.Derived(path, metainfo.V2HashesExtension) }

// ReadV2Hashes reads the file with the v2 hashes of i beside its .torrent file. torrent is the path
// of that file or, if in is not nil, its name in this directory. ReadV2Hashes does not check the
// hashes.
func ReadV2Hashes(in *folder.Folder, torrent string, i *metainfo.Info) ([]byte, error) {
	at, size := V2HashesPath(torrent), int64(i.V2HashesSize())
	if in == nil {
		return folder.ReadNamed(at, size)
	}
	return in.ReadFile(at, size)
}

// AddV2Hashes adds to m, the torrent in the file that torrent names as for [ReadV2Hashes], the v2
// hashes in the file beside it, if m has none. m stays without if there is no such file, or if it
// is damaged, because the data can be checked without the hashes.
func AddV2Hashes(in *folder.Folder, torrent string, m *metainfo.MetaInfo) {
	if m.V2Hashes != nil || m.Info.V2HashesSize() == 0 {
		return
	}
	b, err := ReadV2Hashes(in, torrent, &m.Info)
	if err != nil {
		return
	}
	if h, err := metainfo.ParseV2Hashes(&m.Info, b); err == nil {
		m.V2Hashes = h
	}
}
