package torrent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"spate"
	"spate/bitfield"
	"spate/internal/ratelimit"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent/internal/choker"
	"spate/torrent/internal/peerlist"
	"spate/torrent/internal/picker"
	"spate/torrent/internal/superseed"
)

// Torrent is one torrent of a session. Its methods are safe for concurrent use.
type Torrent struct {
	// These fields do not change.
	s        *Session
	mi       *metainfo.MetaInfo
	info     *metainfo.Info
	hash     spate.InfoHash // info-hash of the v1 swarm, or of the v2 swarm if there is no v1 swarm
	hash2    spate.InfoHash // info-hash of the v2 swarm of a hybrid; else zero
	name     string
	opt      AddOptions
	log      *slog.Logger
	up, down *ratelimit.Limiter // rate limits of this torrent, besides those of the session

	full     atomic.Pointer[metainfo.MetaInfo] // mi, with the piece layers that peers have sent
	twin     atomic.Pointer[twinSwarm]         // the swarm of the v1 twin; nil unless the torrent takes part in it
	twinHash func() spate.InfoHash             // the info-hash of the v1 twin, computed once; zero if there is none
	linked   *Torrent                          // the v1 twin, if the session seeds it and linkTwin knows it; owned by the session's ticker
	life     lifetime
	data     torrentData
	count    counters
	jobs     backgroundJobs
	dormancy dormancy
	writes   writeWatch // has a lock of its own, like fin
	fin      finishing  // has a lock of its own; no other lock is taken while that is held
	choosing sync.Mutex // held while priorities change; taken before mu

	dataFiles dataFiles // its own lock guards it

	// mu guards the fields below. It is never held during I/O. Only the locks of the
	// session and of the announcer are taken while it is held.
	mu        sync.Mutex
	status    torrentStatus
	pick      *picker.Picker // nil while the torrent is not ready for peers
	choke     *choker.Choker
	passedOn  *choker.PassedOn // what peers pass on; nil until the torrent has sent a piece while it super-seeds
	super     *superseed.Seed
	peers     *peerlist.List // candidates, except those of the twin's swarm
	twinApart bool           // the session seeds the v1 twin as a torrent of its own
	peerConns connTable
	holes     holes
	web       *webSeeds // nil until web seeds are used
	pieces    pieceState
	bad       badData
	v2        v2Hashes
	roots     rootIndex
	uppers    upperLayers
	selection selection
	events    eventState
	disk      diskState
	slots     uploadSlots
	ranges    rangePeers
	rates     rates
	patience  time.Duration // how long a peer may leave requests unanswered
	rng       *rand.Rand
}

// rates measure the payload of a torrent.
type rates struct {
	up, down  meter
	received  time.Time // when payload last arrived, as tick has seen it, or the download began
	downBytes int64     // payload received until then
	steady    float64   // bytes a second that arrive, over about half a minute in which some did
}

// lifetime ends the goroutines of a torrent.
type lifetime struct {
	ctx        context.Context // ends when the torrent is removed or the session closes
	cancel     context.CancelFunc
	goroutines sync.WaitGroup
}

// torrentData locates the data of a torrent. After the start its fields change only while
// both mu and Torrent.mu are locked.
type torrentData struct {
	dir   string // AddOptions.Dir as an absolute path
	store storage.Storage
	files *storage.Dir // store if the torrent opened it, else nil; for resume data and dormancy
	mu    sync.RWMutex // read-locked while files are used, locked while they move; taken before Torrent.mu
}

// retiredPeer is the handle of a peer that left, with its key.
type retiredPeer struct {
	id   picker.PeerID
	key  PeerKey
	from netip.AddrPort // remotePeer.from
}

// newTorrent returns a torrent that can be started.
func newTorrent(s *Session, mi *metainfo.MetaInfo, opt AddOptions) (*Torrent, error) {
	t, err := identify(s, mi, opt)
	if err != nil {
		return nil, err
	}
	if err := t.equip(); err != nil {
		t.life.cancel()
		t.data.store.Close()
		return nil, err
	}
	return t, nil
}

// identify returns a torrent that can check its data, but is not ready for peers.
func identify(s *Session, mi *metainfo.MetaInfo, opt AddOptions) (*Torrent, error) {
	info := &mi.Info
	if info.NumPieces() == 0 && info.TotalLength() > 0 {
		return nil, errors.New("torrent: the metainfo names no pieces")
	}
	t := &Torrent{
		s: s, mi: mi, info: info, hash: mi.Hash(), name: info.Name, opt: opt,
		up: ratelimit.New(opt.Up), down: ratelimit.New(opt.Down),
		status: torrentStatus{state: StateStopped, added: time.Now(), done: make(chan struct{}), failed: make(chan struct{})},
		bad:    badData{suspects: map[int]*trial{}},
		super:  superseed.New(superseed.Pieces{Num: info.NumPieces(), Length: info.PieceLength, Size: info.PieceSize}),
	}
	t.twinHash = sync.OnceValue(func() spate.InfoHash {
		_, hash, _ := mi.V1Twin()
		return hash
	})
	t.fin.changed.L = &t.fin.mu
	t.full.Store(mi)
	if v2, ok := mi.HashV2(); ok && info.HasV1() {
		t.hash2 = v2.Truncate()
	}
	if t.opt.ResumeDir == "" {
		t.opt.ResumeDir = s.opt.ResumeDir
	}
	t.restartMetersLocked()
	t.log = s.log.With("torrent", t.name)
	t.life.ctx, t.life.cancel = context.WithCancel(s.ctx)
	t.selectFiles()
	if err := t.openStorage(); err != nil {
		t.life.cancel()
		return nil, err
	}
	return t, nil
}

// equip prepares a torrent for peers: it creates the picker, the choker and the peer list.
func (t *Torrent) equip() error {
	seed := t.s.opt.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.rng = rand.New(rand.NewPCG(seed, uint64(len(t.info.Pieces))))
	if err := t.newPicker(seed); err != nil {
		return err
	}
	t.newPeerList()
	if t.pick != nil {
		t.countLocked()
	}
	return nil
}

// openStorage uses AddOptions.Storage, or opens the folder AddOptions.Dir if that is nil.
func (t *Torrent) openStorage() error {
	if t.opt.Storage != nil {
		t.data.store = t.opt.Storage
		return nil
	}
	var err error
	if t.data.dir, err = filepath.Abs(t.opt.Dir); err != nil {
		return err
	}
	dir, err := t.openDir()
	if err != nil {
		return err
	}
	t.data.store, t.data.files = dir, dir
	return nil
}

// openDir opens the folder of the data with the options of the torrent.
func (t *Torrent) openDir() (*storage.Dir, error) {
	return storage.OpenDir(t.data.dir, t.info, t.s.pool, storage.DirOptions{
		ReadOnly: t.readOnly(), Within: t.opt.Within, Name: t.opt.Name, Force: t.opt.Force, Skip: t.skipped(),
		OtherPaths: t.mi.OtherPaths(!t.readOnly()), Paths: t.opt.Paths,
	})
}

// skipped reports for each file whether it is not wanted. It returns nil if all are wanted.
func (t *Torrent) skipped() []bool {
	if t.selection.priorities == nil {
		return nil
	}
	skip := make([]bool, len(t.info.Files))
	for i := range skip {
		skip[i] = t.selection.priorities[i] == PrioritySkip
	}
	return skip
}

// newPicker creates the picker. Pieces that are only in unselected files are not wanted.
func (t *Torrent) newPicker(seed uint64) error {
	if t.info.NumPieces() == 0 {
		return nil
	}
	open := t.openPieces()
	k, err := picker.New(picker.Config{
		NumPieces: t.info.NumPieces(),
		PieceSize: func(i int) int { return int(t.info.PieceSize(i)) },
		Seed:      seed,
		MaxOpen:   open,
	})
	if err != nil {
		return fmt.Errorf("torrent: %s: %w", t.name, err)
	}
	t.pick = k
	t.super.SetSwarm(k)
	t.pieces.bufs, t.pieces.mostOpen = nil, open
	t.peerConns.byID, t.peerConns.free, t.peerConns.retired = nil, nil, nil
	t.v2.setMissing(t.missingHashes())
	t.v2.partLayers = map[[32]byte][]byte{}
	t.bad.parked = map[int]*parkedPiece{}
	t.v2.bothVerified = (bitfield.Bitfield{})
	if len(t.v2.missing) > 0 && t.info.HasV1() {
		t.v2.bothVerified = bitfield.New(t.info.NumPieces())
	}
	t.chooseLocked()
	return nil
}

// Bounds of the number of incomplete pieces.
const (
	minOpenPieces  = 4
	maxOpenPieces  = 4096
	minPieceMemory = 128 << 20 // bytes of minOpenPieces; of longer pieces fewer may be incomplete
)

// openPieces returns how many pieces may be incomplete at the same time.
func (t *Torrent) openPieces() int {
	length := t.info.PieceLength
	least := max(1, min(minOpenPieces, minPieceMemory/length))
	return int(max(least, min(maxOpenPieces, t.s.opt.PieceMemory/length)))
}

// chooseLocked tells the picker which pieces are wanted: the pieces of wanted files, and
// none while the hashes of the pieces are not known.
func (t *Torrent) chooseLocked() {
	if t.blindLocked() {
		t.pick.SetPriority(0, t.info.NumPieces(), 0)
		return
	}
	t.choosePiecesLocked()
	t.updateUrgentLocked()
}

// isV2Hash reports whether ih is the v2 info-hash of a hybrid. A peer may answer with it to
// a handshake with the v1 info-hash (BEP 52).
func (t *Torrent) isV2Hash(ih spate.InfoHash) bool { return !t.hash2.IsZero() && ih == t.hash2 }

// InfoHash returns the info-hash of the swarm; for a hybrid that of the v1 swarm.
func (t *Torrent) InfoHash() spate.InfoHash { return t.hash }

// Name returns the name in the metainfo, made safe to show and to use as a file name.
func (t *Torrent) Name() string { return t.name }

// MetaInfo returns the metainfo that the torrent was added with, including piece layers
// that peers have sent since. The caller must not change it.
func (t *Torrent) MetaInfo() *metainfo.MetaInfo { return t.full.Load() }

// Path returns the path of the data: the file, or the folder with the files. It is empty
// if the storage is not a folder.
func (t *Torrent) Path() string {
	if p, ok := storage.As[storage.FileSystemPath](t.data.store); ok {
		return p.Path()
	}
	return ""
}

// State returns the state of the torrent. It is cheaper than [Torrent.Stats].
func (t *Torrent) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.state
}

// Whole reports whether all pieces are verified, even those that are not wanted. A torrent that
// only seeds wants no pieces that it lacks, so StateSeeding does not imply Whole.
func (t *Torrent) Whole() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pick == nil || t.pick.HaveCount() == t.info.NumPieces()
}

// Done returns a channel that is closed when every wanted piece is verified and written. If
// more pieces are wanted later, the next call returns a new channel.
func (t *Torrent) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status.done
}

// Wait waits until every wanted piece is verified and written, and returns nil then. It
// returns an error if the torrent halts, for example because the disk is full, or if ctx
// ends. If a file was left out because the file system cannot store it, Wait returns the reason
// once all other files are complete. It continues to wait while the torrent checks and repairs files that another program
// has changed.
func (t *Torrent) Wait(ctx context.Context) error {
	t.mu.Lock()
	done, failed, err, repairing := t.status.done, t.status.failed, t.status.err, t.status.repairing
	t.mu.Unlock()
	if err != nil && !repairing {
		return err
	}
	select {
	case <-done:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.status.leftOut
	case <-failed:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.status.err
	case <-ctx.Done():
		return ctx.Err()
	case <-t.s.ctx.Done():
		return ErrClosed
	}
}

// newPeerList creates the peer list and the choker.
func (t *Torrent) newPeerList() {
	t.peers = peerlist.New(t.s.peerListOptions(t.info.Private))
	t.choke = choker.New(choker.Config{
		Slots: t.s.opt.UploadSlots, RateBased: true, Total: t.info.DataLength(),
		Seed: map[SeedMode]choker.SeedMode{SeedRoundRobin: choker.RoundRobin, SeedAntiLeech: choker.AntiLeech}[t.s.opt.SeedMode],
	})
}

// AddPeers adds addresses of peers that the caller has found. It ignores the addresses of
// cloud metadata services. Only AddOptions.Peers, for addresses that the user typed, may
// contain them.
func (t *Torrent) AddPeers(addrs []netip.AddrPort) {
	t.mu.Lock()
	t.peers.Add(addrs, peerlist.SourceCaller)
	t.mu.Unlock()
	t.dialMore(time.Now())
}

// AddPeers adds addresses of peers to the torrent of an info-hash, as [Torrent.AddPeers] does. It
// loads a dormant torrent, which takes the time to read its .torrent. It returns an error if there
// is no such torrent or if it cannot be loaded.
func (s *Session) AddPeers(infoHash spate.InfoHash, addrs []netip.AddrPort) error {
	t, _, err := s.lookup(infoHash)
	if err != nil {
		return err
	}
	if t == nil {
		return errNoTorrent
	}
	defer s.release(t)
	t.mu.Lock()
	t.listOfLocked(infoHash).Add(addrs, peerlist.SourceCaller)
	t.mu.Unlock()
	t.dialMore(time.Now())
	return nil
}

// Banned returns the peers that were banned for bad data: at most the last 100, with the
// latest at the end.
func (t *Torrent) Banned() []PeerKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.bad.banned)
}
