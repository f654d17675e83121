package publish

import (
	"slices"
	"sort"
	"strings"
	"time"

	"spate"
	"spate/metainfo"
)

// Release is a published torrent: one version of something, in one of its variants. A
// Release that a [Catalog] returned is shared, so the caller must not change it.
type Release struct {
	// Slug names all versions and variants in URLs. It is one path element without "~".
	// It may contain any other character of a file name, even HTML. [Catalog.Put]
	// derives an empty slug from Name.
	Slug string
	// Version distinguishes the releases of a slug: "12.4.0", or "1", "2" and so on by
	// default. Variant distinguishes the releases of a version, such as "amd64", and may be
	// empty. Both have at most 64 bytes, and no "~", slash, backslash or invisible
	// character. No two releases of a catalog have the same Slug, Version and Variant: see
	// [Release.Ref].
	Version string
	Variant string
	Group   string // heading in lists, or ""
	Notes   string // Markdown, at most MaxNotes bytes; "" in lists

	// Name is the torrent's name. It is safe as the name of a file.
	Name string

	HashV1    spate.InfoHash   // zero in a pure v2 release
	HashV2    spate.InfoHashV2 // zero in a v1 release
	Format    string           // "v1", "v2" or "hybrid"
	Published time.Time        // time at which it was added to the catalog

	Size        int64 // bytes of data, without padding
	PieceLength int64 // bytes
	Pieces      int
	Private     bool // BEP 27
	Comment     string
	Announce    [][]string // tracker URLs by tier (BEP 12)
	WebSeeds    []string   // BEP 19
	Magnet      string     // with trackers and web seeds
	// Base is the base URL of this site in the torrents, without a slash at the end. It is
	// "" for torrents that were made elsewhere.
	Base string

	// Single reports whether the release is a single file and not a tree. NumFiles is the
	// number of files without padding. Files lists them in the order of the torrent; it
	// is nil in the results of [Catalog.List].
	Single   bool
	NumFiles int
	Files    []File

	// Skipped is the number of entries of the directory that the torrent leaves out: see
	// [maker.SkipReason].
	Skipped int

	TorrentSize int  // bytes of the .torrent
	HasV2Hashes bool // whether it is a v1 torrent with v2 hashes: see [metainfo.V2Hashes]
	Twin        Twin // the separate v1 torrent of a hybrid release, for older clients
	Summed      bool // whether File.SHA256 is set

	Signatures Signatures    // zero: not signed
	Wanted     time.Time     // when the first download began; zero: none has begun
	FirstCopy  time.Duration // from Wanted, or from Published if that is zero, to the end of the first download; 0: none has ended
	Paused     bool          // listed, but not seeded or sent over HTTP

	// Path is the absolute path of the data on this machine, or "" if the release was made
	// by [Publisher.PublishStore]. Symbolic links in it are resolved, except for a link in
	// a watched folder that is its last element. The site does not show it.
	Path string

	// Watched is the path of the entry of a watched folder from which this release was
	// made. It is "" for releases that were published by hand, and for versions that were
	// replaced. Stamp identifies the state of the entry. The site shows neither.
	Watched, Stamp string

	// index holds the indexes of Files, sorted by path. It is nil if Files is sorted by path.
	index []int32
}

// MaxNotes is the maximum length of [Release.Notes], in bytes.
const MaxNotes = 64 << 10

// Signatures are minisign signatures, as the text of a .minisig file.
type Signatures struct {
	PublicKey string // in base64, without the comment
	Sums      string // over SHA256SUMS
	Torrent   string // over the .torrent
	Twin      string // over the twin's .torrent
	V2Hashes  string // over the v2 hashes of a v1 torrent
}

// File is a file of a release, with its state when it was hashed.
type File struct {
	// Path is relative to the top directory on this machine, and separated by slashes. It
	// may contain any bytes. It is "" in a release of a single file.
	Path       string
	Length     int64     // bytes
	ModTime    time.Time // modification time
	Inode      uint64    // 0: unknown
	Change     int64     // time of the last change of the data or an attribute, in nanoseconds since 1970; 0: unknown
	PiecesRoot [32]byte  // BEP 52; zero in a v1 torrent without v2 hashes
	SHA256     [32]byte  // of the whole file; zero unless Release.Summed
}

// Hash returns the main info-hash of the release: the v1 info-hash if there is one, otherwise
// the truncated v2 info-hash (BEP 52).
func (r *Release) Hash() spate.InfoHash {
	if !r.HashV1.IsZero() {
		return r.HashV1
	}
	return r.HashV2.Truncate()
}

// Hashes returns the info-hashes by which trackers know the swarm of the release: two for a
// hybrid. It leaves out the info-hash of the twin, which has a swarm of its own.
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

// AllHashes returns Hashes and the info-hash of the twin, if there is one.
func (r *Release) AllHashes() []spate.InfoHash {
	hs := r.Hashes()
	if !r.Twin.Hash.IsZero() {
		hs = append(hs, r.Twin.Hash)
	}
	return hs
}

// Lookup returns the index of the file with the given [File.Path], and whether there is
// such a file.
func (r *Release) Lookup(path string) (int, bool) {
	at := func(i int) int {
		if r.index == nil {
			return i
		}
		return int(r.index[i])
	}
	n := len(r.Files)
	i := sort.Search(n, func(i int) bool { return r.Files[at(i)].Path >= path })
	if i == n || r.Files[at(i)].Path != path {
		return 0, false
	}
	return at(i), true
}

// Reindex prepares [Release.Lookup]. A catalog calls it after it has filled in Files.
func (r *Release) Reindex() {
	r.index = nil
	if slices.IsSortedFunc(r.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) }) {
		return
	}
	r.index = make([]int32, len(r.Files))
	for i := range r.index {
		r.index[i] = int32(i)
	}
	slices.SortFunc(r.index, func(a, b int32) int { return strings.Compare(r.Files[a].Path, r.Files[b].Path) })
}

// isListed reports whether f has an entry in [Release.Files].
func isListed(f *metainfo.File) bool { return !f.Pad() && !f.IsSymlink() }

// newRelease returns a release of the torrent m with data at path. [Release.record] adds the
// state of the files.
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
		HasV2Hashes: m.V2Hashes != nil && m.Info.NumPieces() > 0,
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
		if !isListed(f) {
			continue
		}
		file := File{Path: f.DisplayPath(), Length: f.Length}
		if root := m.FileRoot(i); root != nil {
			file.PiecesRoot = *root
		}
		r.Files = append(r.Files, file)
	}
	r.NumFiles = len(r.Files)
	r.Reindex()
	return r
}
