package cli

import (
	"encoding/hex"

	"spate/metainfo"
)

// torrentJSON is the JSON output of create, show and edit for a torrent. It omits fields that
// do not apply.
type torrentJSON struct {
	Name         string     `json:"name"`
	InfoHashV1   string     `json:"info_hash_v1,omitempty"`
	InfoHashV2   string     `json:"info_hash_v2,omitempty"`
	Format       string     `json:"format,omitempty"` // v1, v2 or hybrid
	PieceLength  int64      `json:"piece_length,omitempty"`
	Pieces       int        `json:"pieces,omitempty"`
	TotalLength  int64      `json:"total_length,omitempty"` // data in bytes, without padding
	Files        []fileJSON `json:"files,omitempty"`
	AnnounceList [][]string `json:"announce_list"`
	WebSeeds     []string   `json:"web_seeds"`
	Private      bool       `json:"private"`
	Comment      string     `json:"comment"`
	Source       string     `json:"source"`
	CreatedBy    string     `json:"created_by"`
	CreationDate int64      `json:"creation_date,omitempty"` // seconds since 1970
	Magnet       string     `json:"magnet"`

	HTTPSeeds     []string `json:"http_seeds,omitempty"`
	Nodes         []string `json:"nodes,omitempty"`
	Similar       []string `json:"similar,omitempty"`
	Collections   []string `json:"collections,omitempty"`
	TorrentURLs   []string `json:"torrent_urls,omitempty"`   // only for a magnet link
	Peers         []string `json:"peers,omitempty"`          // only for a magnet link
	Select        string   `json:"select,omitempty"`         // only for a magnet link
	MissingLayers int      `json:"missing_layers,omitempty"` // v2 files that cannot be checked
	Warnings      []string `json:"warnings,omitempty"`
	Output        string   `json:"output,omitempty"`  // path of the written file
	Skipped       int      `json:"skipped,omitempty"` // number of entries that create left out
}

// fileJSON is a file of a torrent. Pad files are omitted.
type fileJSON struct {
	Path       string `json:"path"` // path below name; the name itself for a single file
	Length     int64  `json:"length"`
	PiecesRoot string `json:"pieces_root,omitempty"`
	Attr       string `json:"attr,omitempty"`    // BEP 47
	Symlink    string `json:"symlink,omitempty"` // target of a symbolic link, below name
}

// torrentToJSON converts a torrent for --json.
func torrentToJSON(m *metainfo.MetaInfo) *torrentJSON {
	i := &m.Info
	t := &torrentJSON{
		Name: i.Name, Format: string(i.Format()), PieceLength: i.PieceLength, Pieces: i.NumPieces(), TotalLength: i.DataLength(),
		AnnounceList: m.AnnounceList, WebSeeds: m.WebSeeds, Private: i.Private, Comment: m.Comment, Source: i.Source,
		CreatedBy: m.CreatedBy, Magnet: m.Magnet().String(), HTTPSeeds: m.HTTPSeeds, Nodes: m.Nodes,
		MissingLayers: m.MissingLayers(),
	}
	if h, ok := m.HashV1(); ok {
		t.InfoHashV1 = h.String()
	}
	if h, ok := m.HashV2(); ok {
		t.InfoHashV2 = h.String()
	}
	if !m.CreationDate.IsZero() {
		t.CreationDate = m.CreationDate.Unix()
	}
	for _, h := range append(i.Similar[:len(i.Similar):len(i.Similar)], m.Similar...) {
		t.Similar = append(t.Similar, h.String())
	}
	t.Collections = append(append(t.Collections, i.Collections...), m.Collections...)
	t.Files = make([]fileJSON, 0, files(i))
	for k := range i.Files {
		if f := &i.Files[k]; !f.Pad() {
			t.Files = append(t.Files, fileToJSON(m, k))
		}
	}
	for _, w := range m.Warnings {
		t.Warnings = append(t.Warnings, w.String())
	}
	t.lists()
	return t
}

// lists makes the required lists empty instead of null.
func (t *torrentJSON) lists() {
	if t.AnnounceList == nil {
		t.AnnounceList = [][]string{}
	}
	if t.WebSeeds == nil {
		t.WebSeeds = []string{}
	}
}

func fileToJSON(m *metainfo.MetaInfo, k int) fileJSON {
	f := &m.Info.Files[k]
	j := fileJSON{Path: filePath(&m.Info, f), Length: f.Length, Attr: f.Attr.String()}
	if root := m.FileRoot(k); root != nil {
		j.PiecesRoot = hex.EncodeToString(root[:])
	}
	if f.Symlink != nil {
		j.Symlink = (&metainfo.File{Path: f.Symlink.Target}).DisplayPath()
	}
	return j
}

// filePath returns the path of a file below the name of the torrent, or that name for a single
// file.
func filePath(i *metainfo.Info, f *metainfo.File) string {
	if f.Path == nil {
		return i.Name
	}
	return f.DisplayPath()
}
