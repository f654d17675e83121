package torrent

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"

	"spate/bitfield"
	"spate/merkle"
	"spate/metainfo"
	"spate/peerwire"
	"spate/torrent/internal/picker"
)

// Bounds of the exchange of hashes (BEP 52).
const (
	hashRequestsKept  = 16 // requests of one peer that are answered after one read
	hashRequestsAsked = 4  // requests that are outstanding at one peer
	hashTimeout       = 30 * time.Second
)

// hashWant is a part of a piece layer that the metainfo lacks, because its info dictionary
// came from peers (BEP 9) and piece layers are not part of the info dictionary.
type hashWant struct {
	file  *metainfo.File
	span  merkle.Span
	asked picker.PeerID // the peer that was asked, if at is not zero
	at    time.Time
	index int // position in v2Hashes.missing
}

// hashState records whether one peer can send piece hashes (BEP 52).
type hashState struct {
	none         bool      // the peer has no piece hashes
	received     bool      // the peer has sent piece hashes
	firstRequest time.Time // when the peer was first asked for piece hashes; zero if it was not
}

// v2Hashes holds the state of the v2 piece hashes of a torrent. Torrent.mu guards it.
type v2Hashes struct {
	missing      []*hashWant                      // parts of piece layers that are not known
	byRange      map[peerwire.HashRange]*hashWant // missing by the message field that requests it
	partLayers   map[[32]byte][]byte              // piece layers of which some hashes are known
	bothVerified bitfield.Bitfield                // pieces that both v1 and v2 hashes verified, while the check of a hybrid by v2 is pending; else empty
}

// setMissing records the parts that are not known.
func (v *v2Hashes) setMissing(wants []*hashWant) {
	v.missing = wants
	v.byRange = make(map[peerwire.HashRange]*hashWant, len(wants))
	for i, w := range wants {
		w.index = i
		v.byRange[*rangeOf(w)] = w
	}
}

// found removes w from the missing parts. It moves at most one other part, whatever order a peer
// sends the parts in.
func (v *v2Hashes) found(w *hashWant) {
	delete(v.byRange, *rangeOf(w))
	last := len(v.missing) - 1
	moved := v.missing[last]
	v.missing[w.index], v.missing[last] = moved, nil
	moved.index = w.index
	v.missing = v.missing[:last]
}

// pieceLayerOf returns the height of the layer of piece hashes in the merkle tree of f,
// and the number of blocks of f.
func (t *Torrent) pieceLayerOf(f *metainfo.File) (layer int, blocks int64) {
	return merkle.Layer(t.info.PieceLength), (f.Length + merkle.BlockSize - 1) / merkle.BlockSize
}

// missingHashes lists the piece hashes that v2 peers have to be asked for.
func (t *Torrent) missingHashes() []*hashWant {
	var wants []*hashWant
	seen := map[[merkle.HashSize]byte]bool{}
	for i := range t.info.Files {
		f := &t.info.Files[i]
		if f.PiecesRoot == nil || f.Length <= t.info.PieceLength || t.MetaInfo().PieceLayer(f) != nil || seen[*f.PiecesRoot] {
			continue
		}
		seen[*f.PiecesRoot] = true
		base, blocks := t.pieceLayerOf(f)
		layers := merkle.Height(blocks) - base
		length := min(merkle.MaxRequest, 1<<layers)
		pieces := (f.Length + t.info.PieceLength - 1) / t.info.PieceLength
		for at := int64(0); at < pieces; at += int64(length) {
			wants = append(wants, &hashWant{file: f, span: merkle.Span{Base: base, Index: at, Length: length, Proof: layers - 1}})
		}
	}
	return wants
}

// blindLocked reports whether no piece can be checked yet, because v2 hashes are missing
// and the torrent has no v1 hashes.
func (t *Torrent) blindLocked() bool { return len(t.v2.missing) > 0 && !t.info.HasV1() }

// askHashesLocked requests missing hashes that no other peer was asked for. While the
// check of a hybrid by v2 is pending, it requests some from every v2 peer to find out which
// peers have no hashes, because those peers may be served.
func (c *conn) askHashesLocked(now time.Time) {
	t := c.t
	switch {
	case len(t.v2.missing) == 0 || c.hashes.none || c.end.gone || !c.peer.v2:
		return
	case t.v2PendingLocked():
		if !c.hashes.firstRequest.IsZero() && !c.hashes.received && now.Sub(c.hashes.firstRequest) >= hashTimeout {
			c.lacksHashesLocked()
			return
		}
	case t.pick.PeerHaveCount(c.id) == 0:
		return
	}
	n := 0
	for _, w := range t.v2.missing {
		owed := !w.at.IsZero() && now.Sub(w.at) < hashTimeout
		switch {
		case owed && w.asked == c.id:
			n++
		case n < hashRequestsAsked && !owed:
			w.asked, w.at = c.id, now
			n++
			c.requestHashesLocked(w, now)
		}
		if n >= hashRequestsAsked {
			return
		}
	}
	if n == 0 && c.hashes.firstRequest.IsZero() && t.v2PendingLocked() {
		c.requestHashesLocked(t.v2.missing[0], now)
	}
}

// requestHashesLocked queues the request for w.
func (c *conn) requestHashesLocked(w *hashWant, now time.Time) {
	if c.hashes.firstRequest.IsZero() {
		c.hashes.firstRequest = now
	}
	c.tx.control = peerwire.AppendHashRange(c.tx.control, peerwire.HashRequest, rangeOf(w), nil)
}

// owesHashesLocked reports whether the connection is needed for the hashes that the peer
// may have.
func (c *conn) owesHashesLocked() bool { return c.peer.v2 && !c.hashes.none && len(c.t.v2.missing) > 0 }

// lacksHashesLocked records that the peer has no piece hashes.
func (c *conn) lacksHashesLocked() {
	c.hashes.none = true
	c.serveHeldBackLocked()
}

// rangeOf returns the message field that requests w.
func rangeOf(w *hashWant) *peerwire.HashRange {
	return &peerwire.HashRange{
		PiecesRoot: *w.file.PiecesRoot, BaseLayer: uint32(w.span.Base), Index: uint32(w.span.Index),
		Length: uint32(w.span.Length), Proof: uint32(w.span.Proof),
	}
}

// hashesLocked handles a hashes message or a hash reject message.
func (c *conn) hashesLocked(m *peerwire.Message, now time.Time) error {
	r, body, err := peerwire.ParseHashRange(m.ID, m.Payload)
	if err != nil {
		return &protocolError{err.Error()}
	}
	t := c.t
	if p := c.parkedFor(&r); p != nil {
		return c.blockHashesLocked(p, m.ID == peerwire.HashReject, body)
	}
	w := t.v2.byRange[r]
	if w == nil {
		return nil // another peer has sent these hashes meanwhile
	}
	if m.ID == peerwire.HashReject {
		owed := w.asked == c.id && !w.at.IsZero()
		if owed {
			w.at = time.Time{}
		}
		if owed || !c.hashes.none { // a peer that repeats its refusal causes no work
			c.lacksHashesLocked()
			t.askOthersLocked(now)
		}
		return nil
	}
	_, blocks := t.pieceLayerOf(w.file)
	if err := merkle.Verify(body, blocks, w.span, merkle.FromRoot(*w.file.PiecesRoot, blocks)); err != nil {
		return badPeer("hashes: %v", err)
	}
	c.hashes.received = true
	t.v2.found(w)
	t.keepHashesLocked(w, body)
	c.askHashesLocked(now)
	return nil
}

// askOthersLocked requests missing hashes from all peers, after one of them refused some.
func (t *Torrent) askOthersLocked(now time.Time) {
	for _, c := range t.peerConns.byID {
		if c != nil {
			c.askHashesLocked(now)
			c.kickLocked()
		}
	}
}

// keepHashesLocked stores verified hashes in their layer. When the last ones have arrived
// it completes the metainfo and starts to request pieces.
func (t *Torrent) keepHashesLocked(w *hashWant, hashes []byte) {
	root := *w.file.PiecesRoot
	pieces := (w.file.Length + t.info.PieceLength - 1) / t.info.PieceLength
	layer := t.v2.partLayers[root]
	if layer == nil {
		layer = make([]byte, pieces*merkle.HashSize)
		t.v2.partLayers[root] = layer
	}
	copy(layer[w.span.Index*merkle.HashSize:], hashes[:w.span.Length*merkle.HashSize])
	if len(t.v2.missing) > 0 {
		return
	}
	full := *t.mi
	full.PieceLayers = maps.Clone(t.mi.PieceLayers)
	if full.PieceLayers == nil {
		full.PieceLayers = map[[merkle.HashSize]byte][]byte{}
	}
	maps.Copy(full.PieceLayers, t.v2.partLayers)
	t.full.Store(&full)
	t.v2.partLayers = nil
	t.log.Info("all piece hashes have arrived")
	if t.info.HasV1() {
		t.life.goroutines.Go(t.verifyV2)
		return
	}
	t.chooseLocked()
	for _, c := range t.peerConns.byID {
		if c != nil {
			c.updateInterestLocked()
			c.kickLocked()
		}
	}
}

// hashRequestLocked keeps a request for hashes until the lock is released, because
// computing the proof takes a while.
func (c *conn) hashRequestLocked(m *peerwire.Message) error {
	r, _, err := peerwire.ParseHashRange(m.ID, m.Payload)
	if err != nil {
		return &protocolError{err.Error()}
	}
	if len(c.rx.hashRequests) < hashRequestsKept {
		c.rx.hashRequests = append(c.rx.hashRequests, r)
		return nil
	}
	return c.refuseHashesLocked(&r)
}

// refuseHashesLocked queues the refusal of a request for hashes.
func (c *conn) refuseHashesLocked(r *peerwire.HashRange) error {
	if len(c.tx.control) > maxUnsent/2 {
		return errFlood
	}
	c.tx.control = peerwire.AppendHashRange(c.tx.control, peerwire.HashReject, r, nil)
	return nil
}

// answerHashes answers the requests that hashRequestLocked kept.
func (c *conn) answerHashes() error {
	t := c.t
	for _, r := range c.rx.hashRequests {
		hashes, ok := c.proveHashes(&r)
		t.mu.Lock()
		var err error
		switch {
		case !ok:
			err = c.refuseHashesLocked(&r)
		case len(c.tx.control) > maxUnsent/2:
			err = errFlood
		default:
			c.tx.control = peerwire.AppendHashRange(c.tx.control, peerwire.Hashes, &r, hashes)
		}
		c.kickLocked()
		t.mu.Unlock()
		if err != nil {
			return err
		}
	}
	c.rx.hashRequests = c.rx.hashRequests[:0]
	return nil
}

// proveHashes computes the answer to a request for hashes. It takes piece hashes from the
// metainfo and computes block hashes from the data.
func (c *conn) proveHashes(r *peerwire.HashRange) ([]byte, bool) {
	t := c.t
	if !t.info.HasV2() {
		return c.provePieceBlocks(r)
	}
	f := t.fileOfRoot(r.PiecesRoot)
	if f == nil {
		return nil, false
	}
	span := merkle.Span{Base: int(r.BaseLayer), Index: int64(r.Index), Length: int(r.Length), Proof: int(r.Proof)}
	base, blocks := t.pieceLayerOf(f)
	if span.Base < base {
		return c.proveBlockHashes(f, span)
	}
	layer := t.MetaInfo().PieceLayers[r.PiecesRoot]
	if layer == nil || span.Base != base {
		return nil, false
	}
	hashes, err := t.uppers.prove(r, layer, blocks, span)
	return hashes, err == nil
}

// fileOfRoot returns the first file with that pieces root, or nil. The first call makes an
// index, so that a request costs the same in a torrent of many files.
func (t *Torrent) fileOfRoot(root [merkle.HashSize]byte) *metainfo.File {
	t.roots.once.Do(func() {
		t.roots.files = map[[merkle.HashSize]byte]*metainfo.File{}
		for i := range t.info.Files {
			f := &t.info.Files[i]
			if f.PiecesRoot != nil && f.Length > 0 && t.roots.files[*f.PiecesRoot] == nil {
				t.roots.files[*f.PiecesRoot] = f
			}
		}
	})
	return t.roots.files[root]
}

// pieceOfRoot returns the first piece with that root in a v1 torrent with v2 hashes.
func (t *Torrent) pieceOfRoot(root [merkle.HashSize]byte) (piece int, ok bool) {
	h := t.MetaInfo().V2Hashes
	if h == nil {
		return 0, false
	}
	t.roots.once.Do(func() {
		pieces := make([]int32, t.info.NumPieces())
		for i := range pieces {
			pieces[i] = int32(i)
		}
		slices.SortStableFunc(pieces, func(a, b int32) int { return bytes.Compare(h.PieceRoot(int(a)), h.PieceRoot(int(b))) })
		t.roots.pieces = pieces
	})
	at, ok := slices.BinarySearchFunc(t.roots.pieces, root[:], func(i int32, root []byte) int { return bytes.Compare(h.PieceRoot(int(i)), root) })
	if !ok {
		return 0, false
	}
	return int(t.roots.pieces[at]), true
}

// rootIndex finds files by their pieces roots (BEP 52), and the pieces of a v1 torrent by the
// roots of its v2 hashes. The first request of any peer makes it, so pieces needs little memory:
// a map of a million roots would need about 100 MB.
type rootIndex struct {
	once   sync.Once
	files  map[[merkle.HashSize]byte]*metainfo.File // made by once, not changed afterwards
	pieces []int32                                  // likewise; ordered by their roots, equal ones by index
}
