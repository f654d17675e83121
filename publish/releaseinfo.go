package publish

import (
	"context"
	"encoding/hex"
	"errors"
	"net/url"
	"time"

	"spate/signature"
)

// ReleaseInfo describes a release to programs, as JSON. The site (release.json and
// index.json), the API of the daemon and the commands all write this format.
//
// A field without omitempty is always present. A field with omitempty is left out if it is
// empty or zero, or if the writer does not know it; the comment of each such field names
// its writers. Fields that `spate show --json` also writes have the same meaning there.
// Sizes are in bytes, rates in bytes per second, times in the format of RFC 3339.
type ReleaseInfo struct {
	Ref     string `json:"ref"`  // reference of exactly this torrent: see [Release.Ref]
	Slug    string `json:"slug"` // reference of all versions and variants
	Version string `json:"version"`
	Variant string `json:"variant,omitempty"`
	Latest  bool   `json:"latest"` // whether this is the newest version of its variant
	Group   string `json:"group,omitempty"`
	Notes   string `json:"notes,omitempty"` // Markdown; not in lists and events

	Name         string        `json:"name"`   // under which spate get stores the data
	Format       string        `json:"format"` // v1, v2 or hybrid
	InfoHashV1   string        `json:"info_hash_v1,omitempty"`
	InfoHashV2   string        `json:"info_hash_v2,omitempty"`
	TotalLength  int64         `json:"total_length"` // of the data, without padding
	NumFiles     int           `json:"num_files"`
	Files        []ReleaseFile `json:"files,omitempty"`   // not in lists and events
	Skipped      int           `json:"skipped,omitempty"` // number of entries that the torrent leaves out
	PieceLength  int64         `json:"piece_length"`
	Pieces       int           `json:"pieces"`
	Private      bool          `json:"private"`
	Comment      string        `json:"comment,omitempty"`
	AnnounceList [][]string    `json:"announce_list,omitempty"` // tracker URLs by tier
	AnnounceURLs []string      `json:"announce_urls,omitempty"` // the same URLs in one list
	WebSeeds     []string      `json:"web_seeds,omitempty"`
	Published    time.Time     `json:"published"`
	FirstCopy    float64       `json:"first_copy_seconds"` // time from the begin of the first download to the end of the first complete one; 0 if none is complete
	Magnet       string        `json:"magnet"`

	// PageURL and TorrentURL are the links to give to other people. Those of the newest
	// version of a variant always lead to the newest version at the time they are opened.
	// Those of an older version lead to that version. All other URLs lead to exactly this
	// release.
	PageURL      string `json:"page_url"`
	TorrentURL   string `json:"torrent_url"`
	DownloadURL  string `json:"download_url,omitempty"` // of a single file
	MetalinkURL  string `json:"metalink_url"`
	ChecksumsURL string `json:"checksums_url"`
	V2HashesURL  string `json:"v2_hashes_url,omitempty"` // of a v1 torrent that has v2 hashes

	// The v1 torrent for older clients, of a hybrid release that has one.
	InfoHashTwin   string `json:"info_hash_twin,omitempty"`
	TorrentURLTwin string `json:"torrent_url_twin,omitempty"`
	MagnetTwin     string `json:"magnet_twin,omitempty"`

	// The minisign key and the signatures of a signed release.
	PublicKey             string `json:"public_key,omitempty"`
	TorrentSignatureURL   string `json:"torrent_signature_url,omitempty"`
	ChecksumsSignatureURL string `json:"checksums_signature_url,omitempty"`
	V2HashesSignatureURL  string `json:"v2_hashes_signature_url,omitempty"`

	Path string `json:"path,omitempty"` // path of the data on the publisher's machine; the site never writes it
	Live Live   `json:"live,omitzero"`  // only the site and the API write it
	Counts
}

// ReleaseFile is a file of a [ReleaseInfo].
type ReleaseFile struct {
	Path        string `json:"path"` // below the name, where spate get stores the file; the name of a single file
	Length      int64  `json:"length"`
	PiecesRoot  string `json:"pieces_root,omitempty"` // for v2 and hybrid torrents
	SHA256      string `json:"sha256,omitempty"`      // absent until it is computed
	DownloadURL string `json:"download_url"`
}

// Live is the current activity of a release. Peers and DownRate are written only for the owner
// of the daemon. The other fields with omitempty are left out if they are zero or unknown.
type Live struct {
	State    string  `json:"state,omitempty"`    // seeding, checking, failed or paused
	Error    string  `json:"error,omitempty"`    // why the release failed, or what is wrong with the data of a paused release; without paths on the site
	Progress float64 `json:"progress,omitempty"` // checked part while checking, otherwise the good part of the data, 0 to 1
	Peers    int     `json:"peers,omitempty"`    // number of connected peers
	Seeders  int     `json:"seeders"`            // number of seeds in the swarm
	Leechers int     `json:"leechers"`           // number of leechers in the swarm
	UpRate   float64 `json:"up_rate"`
	DownRate float64 `json:"down_rate,omitempty"`
}

// SetAddress sets PageURL to the address of r in c: see [NiceRef].
func (i *ReleaseInfo) SetAddress(c Catalog, base *url.URL, r *Release) {
	if i.Latest {
		i.PageURL = Absolute(base, PagePath(NiceRef(c, r.LatestRef())))
	}
}

// Info describes r, a release of the site at base. latest is true if r is the newest
// version of its variant. counts are the delivered copies and bytes of r. Info fills in
// neither Path nor Live.
func (r *Release) Info(base *url.URL, latest bool, counts Counts) ReleaseInfo {
	exact, handout := r.Ref(), r.Ref()
	if latest {
		handout = r.LatestRef()
	}
	at := func(path string) string { return Absolute(base, path) }
	i := ReleaseInfo{
		Ref: exact, Slug: r.Slug, Version: r.Version, Variant: r.Variant, Latest: latest, Group: r.Group, Notes: r.Notes,
		Name: r.StoredName(), Format: r.Format, TotalLength: r.Size, NumFiles: r.NumFiles, Skipped: r.Skipped, PieceLength: r.PieceLength, Pieces: r.Pieces,
		Private: r.Private, Comment: r.Comment, AnnounceList: r.Announce, WebSeeds: r.WebSeeds,
		Published: r.Published, FirstCopy: r.FirstCopy.Seconds(), Magnet: r.Magnet,
		PageURL: at(PagePath(handout)), TorrentURL: at(TorrentPath(handout)),
		MetalinkURL: at(MetalinkPath(exact)), ChecksumsURL: at(ChecksumsPath(exact)),
		Counts: counts,
	}
	for _, tier := range r.Announce {
		i.AnnounceURLs = append(i.AnnounceURLs, tier...)
	}
	if r.HasV2Hashes {
		i.V2HashesURL = at(V2HashesPath(exact))
	}
	if !r.HashV1.IsZero() {
		i.InfoHashV1 = r.HashV1.String()
	}
	if !r.HashV2.IsZero() {
		i.InfoHashV2 = r.HashV2.String()
	}
	if !r.Twin.Hash.IsZero() {
		i.InfoHashTwin, i.TorrentURLTwin, i.MagnetTwin = r.Twin.Hash.String(), at(TwinPath(exact)), r.Twin.Magnet
	}
	if r.Signatures.Torrent != "" {
		i.PublicKey, i.TorrentSignatureURL = r.Signatures.PublicKey, at(TorrentPath(exact)+signature.Extension)
		if r.Signatures.Sums != "" {
			i.ChecksumsSignatureURL = at(ChecksumsPath(exact) + signature.Extension)
		}
		if r.Signatures.V2Hashes != "" {
			i.V2HashesSignatureURL = at(V2HashesPath(exact) + signature.Extension)
		}
	}
	if r.Single {
		i.DownloadURL = at(DownloadPath(exact))
	}
	paths := r.StoredPaths()
	for n := range r.Files {
		i.Files = append(i.Files, r.fileInfo(base, &r.Files[n], paths[n]))
	}
	return i
}

// fileInfo describes f, a file of r that is stored at the given path.
func (r *Release) fileInfo(base *url.URL, f *File, path string) ReleaseFile {
	i := ReleaseFile{Path: path, Length: f.Length, DownloadURL: Absolute(base, r.FilePath(r.Ref(), f))}
	if r.Single {
		i.Path = r.StoredName()
	}
	if f.PiecesRoot != ([32]byte{}) {
		i.PiecesRoot = hex.EncodeToString(f.PiecesRoot[:])
	}
	if r.Summed {
		i.SHA256 = hex.EncodeToString(f.SHA256[:])
	}
	return i
}

// Summary returns i without its files and notes. Lists and events contain summaries.
func (i ReleaseInfo) Summary() ReleaseInfo {
	i.Files, i.Notes = nil, ""
	return i
}

// InfosOf returns [Release.Info] of each release of list, in the same order. It reads latest and
// the counts from the catalog c.
func InfosOf(ctx context.Context, c Catalog, base *url.URL, list []*Release) ([]ReleaseInfo, error) {
	latest, err := AreLatest(ctx, c, list)
	if err != nil {
		return nil, err
	}
	infos := make([]ReleaseInfo, len(list))
	for i, r := range list {
		total, err := c.Total(ctx, r.Hash())
		if err != nil {
			return nil, err
		}
		infos[i] = r.Info(base, latest[i], total)
		infos[i].SetAddress(c, base, r)
	}
	return infos, nil
}

// IsLatest reports whether r is the newest version of its variant in c.
func IsLatest(ctx context.Context, c Catalog, r *Release) (bool, error) {
	latest, err := AreLatest(ctx, c, []*Release{r})
	return err == nil && latest[0], err
}

// AreLatest returns IsLatest of each release of list, in the same order. It reads each slug
// once.
func AreLatest(ctx context.Context, c Catalog, list []*Release) ([]bool, error) {
	type product struct{ slug, variant string }
	newest := map[product]string{} // the newest version
	read := map[string]bool{}      // slugs
	latest := make([]bool, len(list))
	for i, r := range list {
		if !read[r.Slug] {
			read[r.Slug] = true
			family, err := c.Family(ctx, r.Slug)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
			for _, o := range family {
				if p := (product{o.Slug, o.Variant}); newest[p] == "" {
					newest[p] = o.Version
				}
			}
		}
		latest[i] = newest[product{r.Slug, r.Variant}] == r.Version
	}
	return latest, nil
}
