package publish

import (
	"sort"
	"time"

	"spate"
	"spate/metainfo"
)

// Release is one torrent that is published, a version of something in one of its
// variants: what its page shows and what serving it needs. A Release that a
// [Catalog] returned is shared and must not be changed.
type Release struct {
	// Slug is the release's place in every URL, shared by its versions and
	// variants. It is one path element without "~"; it may still hold anything
	// else that a file name may hold, HTML for one. [Catalog.Put] makes it of
	// Name where it is empty.
	Slug string
	// Version tells it from what was published before or comes after under the
	// same slug: "12.4.0", or "1", "2" and so on where nobody named it; "1" where
	// it is empty. Variant tells those of one version apart, such as "amd64", and
	// may be empty. Both are at most 64 bytes, without "~", slashes and what
	// cannot be seen. Slug, Version and Variant together are unique in a catalog:
	// see [Release.Ref].
	Version string
	Variant string
	Group   string // a heading to list it under, or ""
	Notes   string // Markdown, of at most MaxNotes bytes; "" in lists

	// Name is the torrent's name. It is safe as the name of a file.
	Name string

	HashV1    spate.InfoHash   // zero in a pure v2 release
	HashV2    spate.InfoHashV2 // zero in a v1 release
	Format    string           // "v1", "v2" or "hybrid"
	Published time.Time        // when it was listed

	Size        int64 // bytes of data, without padding
	PieceLength int64 // bytes
	Pieces      int
	Private     bool // BEP 27
	Comment     string
	Announce    [][]string // tracker URLs by tier (BEP 12)
	WebSeeds    []string   // BEP 19
	Magnet      string     // with trackers and web seeds
	// Base is the base URL of the site by which its torrents name this site and
	// its tracker, without a slash at the end; "" where they are somebody else's
	// and name what they name.
	Base string

	// Single tells a release that is one file from a tree. NumFiles counts the
	// files without padding; Files lists them in the torrent's order, and is nil
	// in what [Catalog.List] returns.
	Single   bool
	NumFiles int
	Files    []File

	TorrentSize int  // bytes of the .torrent
	Twin        Twin // for older clients, of a hybrid release
	Summed      bool // whether the files have their SHA256

	Signatures Signatures    // zero: not signed
	FirstCopy  time.Duration // from Published to the first download finished; 0: none was
	Paused     bool          // listed, but neither seeded nor sent

	// Path is the absolute path of the data on this machine, or "" if the release was
	// made by [Publisher.PublishStore]. Links in it are resolved, except for its last
	// element if that is a link in a watched folder. It is not for the public.
	Path string

	// Watched is the entry of a watched folder that this is, or "" for what was
	// published by hand and for versions that were replaced; Stamp stands for what
	// the entry was then. They are not for the public.
	Watched, Stamp string

	// index has the positions of Files in the order of their paths.
	index []int
}

// MaxNotes bounds [Release.Notes], in bytes.
const MaxNotes = 64 << 10

// Signatures are minisign signatures, as the text of a .minisig file.
type Signatures struct {
	PublicKey string // in base64, without the comment
	Sums      string // over SHA256SUMS
	Torrent   string // over the .torrent
	Twin      string // over the twin's .torrent
}

// File is one file of a release, as it was when it was hashed.
type File struct {
	// Path has slashes between its parts and is relative to the tree; it is
	// empty in a release of a single file.
	Path       string
	Length     int64     // bytes
	ModTime    time.Time // what must still hold when it is served
	Inode      uint64    // 0: not known on this system
	PiecesRoot [32]byte  // BEP 52; zero without v2
	SHA256     [32]byte  // of the whole file; only once Summed
}

// Hash is the release's main info-hash: v1 when there is one, else the
// truncated v2 (BEP 52).
func (r *Release) Hash() spate.InfoHash {
	if !r.HashV1.IsZero() {
		return r.HashV1
	}
	return r.HashV2.Truncate()
}

// Hashes lists the info-hashes of the release itself, under which its swarm is
// known to trackers: two for a hybrid. The swarm of its twin is apart.
func (r *Release) Hashes() []spate.InfoHash {
	var hs []spate.InfoHash
	if !r.HashV1.IsZero() {
		hs = append(hs, r.HashV1)
	}
	if !r.HashV2.IsZero() {
		hs = append(hs, r.HashV2.Truncate())
	}
	return hs
}

// AllHashes is Hashes and that of the twin, if there is one.
func (r *Release) AllHashes() []spate.InfoHash {
	hs := r.Hashes()
	if !r.Twin.Hash.IsZero() {
		hs = append(hs, r.Twin.Hash)
	}
	return hs
}

// Lookup finds the file at path, as written in [File.Path], and returns its
// position in Files.
func (r *Release) Lookup(path string) (int, bool) {
	i := sort.Search(len(r.index), func(i int) bool { return r.Files[r.index[i]].Path >= path })
	if i == len(r.index) || r.Files[r.index[i]].Path != path {
		return 0, false
	}
	return r.index[i], true
}

// Reindex makes [Release.Lookup] work after Files was filled: a catalog calls it
// on a release that it read back.
func (r *Release) Reindex() {
	r.index = make([]int, len(r.Files))
	for i := range r.index {
		r.index[i] = i
	}
	sort.Slice(r.index, func(a, b int) bool { return r.Files[r.index[a]].Path < r.Files[r.index[b]].Path })
}

// newRelease describes m, whose data lies at path. The files are listed without
// what stands for them on the disk; record fills that in.
func newRelease(m *metainfo.MetaInfo, path string) *Release {
	r := &Release{
		Slug:        SlugOf(m.Info.Name),
		Version:     firstVersion,
		Name:        m.Info.Name,
		Format:      string(m.Info.Format()),
		Size:        m.Info.DataLength(),
		PieceLength: m.Info.PieceLength,
		Pieces:      m.Info.NumPieces(),
		Private:     m.Info.Private,
		Comment:     m.Comment,
		Announce:    m.AnnounceList,
		WebSeeds:    m.WebSeeds,
		Magnet:      m.Magnet().String(),
		Single:      m.Info.Single(),
		Path:        path,
	}
	if h, ok := m.HashV1(); ok {
		r.HashV1 = h
	}
	if h, ok := m.HashV2(); ok {
		r.HashV2 = h
	}
	for i := range m.Info.Files {
		f := &m.Info.Files[i]
		if f.Pad() || f.IsSymlink() {
			continue
		}
		file := File{Path: f.DisplayPath(), Length: f.Length}
		if f.PiecesRoot != nil {
			file.PiecesRoot = *f.PiecesRoot
		}
		r.Files = append(r.Files, file)
	}
	r.NumFiles = len(r.Files)
	r.Reindex()
	return r
}
