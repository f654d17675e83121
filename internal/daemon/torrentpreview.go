package daemon

import (
	"context"
	"time"

	"spate/metainfo"
)

// TorrentMeta is what the .torrent of an added torrent says.
type TorrentMeta struct {
	InfoHashV1   string    `json:"info_hash_v1,omitempty"`
	InfoHashV2   string    `json:"info_hash_v2,omitempty"`
	PieceLength  int64     `json:"piece_length,omitempty"` // bytes
	Pieces       int       `json:"pieces,omitempty"`
	Comment      string    `json:"comment,omitempty"`
	CreatedBy    string    `json:"created_by,omitempty"`
	CreationDate time.Time `json:"creation_date,omitzero"`
}

// metaOf returns what mi says.
func metaOf(mi *metainfo.MetaInfo) TorrentMeta {
	m := TorrentMeta{PieceLength: mi.Info.PieceLength, Pieces: mi.Info.NumPieces(), Comment: mi.Comment, CreatedBy: mi.CreatedBy, CreationDate: mi.CreationDate}
	if ih, ok := mi.HashV1(); ok {
		m.InfoHashV1 = ih.String()
	}
	if ih, ok := mi.HashV2(); ok {
		m.InfoHashV2 = ih.String()
	}
	return m
}

// TorrentPreview describes a torrent before it is added. Its last members make an [AddRequest] for
// the same torrent, so that nothing is fetched twice.
type TorrentPreview struct {
	InfoHash    string `json:"info_hash"`
	Name        string `json:"name"`
	TotalLength int64  `json:"total_length"` // bytes
	Private     bool   `json:"private,omitempty"`
	TorrentMeta
	Files []PreviewFile `json:"files"`

	Torrent []byte `json:"torrent"` // the .torrent, in base64
	Magnet  string `json:"magnet,omitempty"`
	Direct  string `json:"direct,omitempty"`
}

// PreviewFile is a file of a [TorrentPreview].
type PreviewFile struct {
	Path   string `json:"path"` // below the name of the torrent, as [TorrentFile.Path]
	Length int64  `json:"length"`
	Wanted bool   `json:"wanted"` // whether the magnet link selects the file (BEP 53); true without such a link
}

const (
	// previewLimit bounds the time in which peers must send the torrent of a magnet link.
	previewLimit = 5 * time.Minute
	// maxPreviews is how many previews run at the same time. Others wait.
	maxPreviews = 8
)

// Preview returns the torrent of a request without adding it. For a magnet link it asks peers, and
// returns when one has sent the torrent, or when ctx ends. A torrent that is known here is an error.
func (t *Torrents) Preview(ctx context.Context, q AddRequest) (TorrentPreview, error) {
	select {
	case t.previews <- struct{}{}:
		defer func() { <-t.previews }()
	case <-ctx.Done():
		return TorrentPreview{}, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, previewLimit+addLimit)
	defer cancel()
	q.TorrentOptions = TorrentOptions{}
	resolve, stop := context.WithTimeout(ctx, addLimit)
	r, b, err := t.recordOf(resolve, &q)
	stop()
	if err == nil {
		err = t.checkNew(r)
	}
	if err != nil {
		return TorrentPreview{}, err
	}
	var mi *metainfo.MetaInfo
	if b != nil {
		mi, err = metainfo.Parse(b)
	} else {
		mi, b, err = t.previewMagnet(ctx, r)
	}
	if err != nil {
		return TorrentPreview{}, err
	}
	return previewOf(mi, b, r)
}

// previewMagnet asks peers for the torrent of a magnet link.
func (t *Torrents) previewMagnet(ctx context.Context, r *torrentRecord) (*metainfo.MetaInfo, []byte, error) {
	link, err := metainfo.ParseMagnet(r.Magnet)
	if err != nil {
		return nil, nil, err
	}
	mi, _, err := t.session.FetchMetadata(ctx, link, MetadataConfig{Arg: r.Magnet, Timeout: previewLimit})
	if err != nil {
		return nil, nil, err
	}
	b, err := mi.Bytes()
	return mi, b, err
}

// previewOf describes mi, whose .torrent is b.
func previewOf(mi *metainfo.MetaInfo, b []byte, r *torrentRecord) (TorrentPreview, error) {
	p := TorrentPreview{
		InfoHash: mi.Hash().String(), Name: mi.Info.Name, TotalLength: mi.Info.DataLength(), Private: mi.Info.Private,
		TorrentMeta: metaOf(mi), Files: []PreviewFile{}, Torrent: b, Magnet: r.Magnet, Direct: r.Direct,
	}
	priorities, err := r.priorities(mi, r.Magnet)
	if err != nil {
		return p, err
	}
	for i := range mi.Info.Files {
		if f := &mi.Info.Files[i]; !f.Pad() {
			p.Files = append(p.Files, PreviewFile{pathInTorrent(mi, i), f.Length, priorities[i] != filePriorities["skip"]})
		}
	}
	return p, nil
}
