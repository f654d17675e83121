package daemon

import (
	"spate/bitfield"
	"spate/storage"
	"spate/torrent"
)

// TorrentPieces are the pieces of an added torrent.
type TorrentPieces struct {
	Pieces      int    `json:"pieces"`            // 0 if the torrent is not known yet
	PieceLength int64  `json:"piece_length"`      // bytes
	Have        []byte `json:"have"`              // a bit for each piece, as in BEP 3, in base64: verified
	Skipped     []byte `json:"skipped,omitempty"` // the same: missing, and only in files that are not wanted
	Open        []int  `json:"open,omitempty"`    // pieces of which some blocks have arrived or are requested
}

// Pieces returns the pieces of the torrent that ref names. Those of a torrent that does not run are
// as they were when it last ran.
func (t *Torrents) Pieces(ref string) (TorrentPieces, error) {
	p := TorrentPieces{Have: []byte{}}
	e, err := t.find(ref)
	if err != nil {
		return p, err
	}
	t.mu.Lock()
	r := e.rec
	t.mu.Unlock()
	if !r.Known {
		return p, nil
	}
	if tor := t.session.Torrent(r.InfoHash); tor != nil {
		p.PieceLength = tor.MetaInfo().Info.PieceLength
		p.Pieces = tor.MetaInfo().Info.NumPieces()
		p.running(tor.Pieces())
		return p, nil
	}
	mi, err := t.store.loadTorrent(&r)
	if err != nil {
		return p, err
	}
	p.PieceLength, p.Pieces = mi.Info.PieceLength, mi.Info.NumPieces()
	have := bitfield.New(p.Pieces)
	if rec, err := storage.LoadResume(t.store.dir, r.InfoHash); err == nil && rec.Have.Len() == p.Pieces {
		have = rec.Have
	}
	p.Have = have.Bytes()
	return p, nil
}

// running fills p from the states of the pieces, which are nil during a check.
func (p *TorrentPieces) running(states []torrent.PieceState) {
	have, skipped := bitfield.New(p.Pieces), bitfield.New(p.Pieces)
	for i, s := range states {
		switch s {
		case torrent.PieceHave:
			have.Set(i)
		case torrent.PieceSkipped:
			skipped.Set(i)
		case torrent.PieceOpen:
			p.Open = append(p.Open, i)
		}
	}
	p.Have = have.Bytes()
	if !skipped.None() {
		p.Skipped = skipped.Bytes()
	}
}
