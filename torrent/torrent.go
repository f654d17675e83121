package torrent

import (
	"context"
	"crypto/sha1"
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
	"spate/torrent/internal/announce"
	"spate/torrent/internal/choker"
	"spate/torrent/internal/peerlist"
	"spate/torrent/internal/picker"
	"spate/torrent/internal/superseed"
)

// Torrent is one torrent of a session. Its methods are safe for concurrent use.
type Torrent struct {
	s     *Session
	mi    *metainfo.MetaInfo
	info  *metainfo.Info
	hash  spate.InfoHash                    // of the v1 swarm, or the v2 one where there is no v1 half
	hash2 spate.InfoHash                    // of the v2 swarm that a hybrid is in as well; else zero
	full  atomic.Pointer[metainfo.MetaInfo] // mi, or that with the piece layers that peers gave
	name  string
	opt   AddOptions
	dir   string // opt.Dir, absolute
	log   *slog.Logger
	store storage.Storage
	files *storage.Dir // store if the torrent opened it, else nil; for resume data and dormancy

	up, down *ratelimit.Limiter // of this torrent

	choosing sync.Mutex   // held while priorities change; comes before mu
	filesMu  sync.RWMutex // read-locked while the files are used, locked while they move; comes before mu

	ctx    context.Context // ends when the torrent is halted
	cancel context.CancelFunc
	loop   sync.WaitGroup // its goroutines: start, connections
	failed chan struct{}  // closed when halted by an error, then made anew

	anns []*announce.Swarm // one for each swarm; guarded by the announcer's lock

	running  atomic.Bool // the torrent downloads or seeds
	dormant  *dormant    // what the session keeps of the torrent while it is dormant; nil: it never is
	users    int         // goroutines that use a torrent which can become dormant; guarded by Session.mu
	lastBusy time.Time   // when it last had something to do; owned by the session's ticker

	zerosHash   *[sha1.Size]byte // hash of zerosLength zeros; owned by the check of the data
	zerosLength int64

	saving, checkingFiles, retrying atomic.Bool // set while a goroutine does it

	uploaded, downloaded atomic.Int64 // payload
	wasted               atomic.Int64
	checked              atomic.Int64 // pieces checked so far in StateChecking

	fin finishing // has a lock of its own, under which no other is taken

	// mu guards what follows. It is never held over I/O, and no lock but the
	// session's and the announcer's is taken under it.
	mu                    sync.Mutex
	state                 State
	err                   error
	started               bool
	pick                  *picker.Picker
	choke                 *choker.Choker
	peers                 *peerlist.List
	conns                 []*conn         // by picker.PeerID; nil where free
	free                  []picker.PeerID // handles to give out
	retired               []retiredPeer   // handles that may be named by open pieces still
	nconns                int             // connections in conns
	dialing               int             // dials under way
	done                  chan struct{}   // closed when complete, made anew when more is wanted
	isDone                bool            // done is closed
	bytesTotal, bytesDone int64           // of the wanted files; verified
	bufs                  [][]byte        // by picker slot: the piece that is put together there
	slab                  []byte          // for the next of them
	banned                []PeerKey       // the last peers that sent bad data, at most maxBanned
	web                   *webSeeds       // nil until some are needed
	priorities            []Priority      // of the files; nil: all are normal
	readers               []*Reader       // open readers of files
	urgentSet             bool            // the picker has urgent pieces of readers
	subs                  []*Subscription
	wake                  chan struct{}        // closed at the next event; nil while nobody waits for it
	over                  bool                 // no events come any more
	hashWants             []*hashWant          // runs of piece hashes that are not known
	partLayers            map[[32]byte][]byte  // piece layers that are partly here
	suspects              map[int]*trial       // failed pieces, until they are whole
	parked                map[int]*parkedPiece // failed pieces that wait for the hashes of their blocks
	bothVerified          bitfield.Bitfield    // of a hybrid that is half known: pieces that both halves approve; else empty
	haves                 []uint32             // verified and not yet told to everybody
	haveTimer             *time.Timer          // tells them
	blocks                []picker.Block       // scratch of refill
	dirty                 bool                 // resume data is older than the state
	saved                 time.Time            // when resume data was written last
	recordClean           bool                 // resume data says that nothing was being written
	filesChecked          time.Time            // when the files were last compared with their accepted state
	rechecked             recheckState         // of a torrent that halted
	synced                bitfield.Bitfield    // pieces that are certainly on disk; of length 0: unknown
	dataFound             bool                 // the pieces on disk are known
	syncFailed            bool                 // pieces that are not in synced may be lost
	failedAt              time.Time
	slots                 uploadSlots
	choked                time.Time     // when it was decided last who is served
	candidates            []choker.Peer // scratch of that
	added                 time.Time
	completed             time.Time
	patience              time.Duration // with peers that do not send what they were asked for
	upMeter               meter
	downMeter             meter
	rng                   *rand.Rand
	super                 *superseed.Seed
}

// retiredPeer is the handle of a peer that left, with its key.
type retiredPeer struct {
	id  picker.PeerID
	key PeerKey
}

// newTorrent returns a torrent that can be started.
func newTorrent(s *Session, mi *metainfo.MetaInfo, opt AddOptions) (*Torrent, error) {
	t, err := identify(s, mi, opt)
	if err != nil {
		return nil, err
	}
	if err := t.equip(); err != nil {
		t.cancel()
		t.store.Close()
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
		done: make(chan struct{}), failed: make(chan struct{}),
		suspects: map[int]*trial{},
		state:    StateStopped,
		added:    time.Now(),
		super:    superseed.New(superseed.Pieces{Num: info.NumPieces(), Length: info.PieceLength, Size: info.PieceSize}),
	}
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
	t.ctx, t.cancel = context.WithCancel(s.ctx)
	t.selectFiles()
	if err := t.openStorage(); err != nil {
		t.cancel()
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

// openStorage opens the storage of the options, or the folder.
func (t *Torrent) openStorage() error {
	if t.opt.Storage != nil {
		t.store = t.opt.Storage
		return nil
	}
	var err error
	if t.dir, err = filepath.Abs(t.opt.Dir); err != nil {
		return err
	}
	dir, err := t.openDir()
	if err != nil {
		return err
	}
	t.store, t.files = dir, dir
	return nil
}

// openDir opens the folder of the data with the options of the torrent.
func (t *Torrent) openDir() (*storage.Dir, error) {
	opts := storage.DirOptions{ReadOnly: t.readOnly(), Within: t.opt.Within, Name: t.opt.Name, Force: t.opt.Force, Skip: t.skipped()}
	if opts.ReadOnly {
		opts.RawPaths = t.info.RawPaths(t.mi.InfoBytes)
	}
	return storage.OpenDir(t.dir, t.info, t.s.pool, opts)
}

// skipped says for each file whether it is not wanted. It returns nil if all are wanted.
func (t *Torrent) skipped() []bool {
	if t.priorities == nil {
		return nil
	}
	skip := make([]bool, len(t.info.Files))
	for i := range skip {
		skip[i] = t.priorities[i] == PrioritySkip
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
	t.bufs = make([][]byte, open)
	t.conns, t.free, t.retired = nil, nil, nil
	t.hashWants, t.partLayers = t.missingHashes(), map[[32]byte][]byte{}
	t.parked = map[int]*parkedPiece{}
	if t.bothVerified = (bitfield.Bitfield{}); len(t.hashWants) > 0 && t.info.HasV1() {
		t.bothVerified = bitfield.New(t.info.NumPieces())
	}
	t.chooseLocked()
	return nil
}

// openPieces returns how many pieces may be incomplete at the same time.
func (t *Torrent) openPieces() int {
	return max(4, int(min(4096, t.s.opt.PieceMemory/t.info.PieceLength)))
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
	if p, ok := storage.As[storage.FileSystemPath](t.store); ok {
		return p.Path()
	}
	return ""
}

// Done returns a channel that is closed when every wanted piece is verified and written. If
// more pieces are wanted later, the next call returns a new channel.
func (t *Torrent) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done
}

// Wait waits until every wanted piece is verified and written, and returns nil then. It
// returns an error if the torrent halts, for example because the disk is full, or if ctx
// ends.
func (t *Torrent) Wait(ctx context.Context) error {
	t.mu.Lock()
	done, failed, err := t.done, t.failed, t.err
	t.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-failed:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.err
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

// AddPeers adds addresses that the caller knows from a source of its own. It ignores the
// addresses of cloud metadata services: only AddOptions.Peers, which is for what the user
// typed, may contain them.
func (t *Torrent) AddPeers(addrs []netip.AddrPort) {
	t.mu.Lock()
	t.peers.Add(addrs, peerlist.SourceCaller)
	t.mu.Unlock()
	t.dialMore(time.Now())
}

// Banned returns the peers that were banned for bad data: at most the last 100, with the
// latest at the end.
func (t *Torrent) Banned() []PeerKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.banned)
}
