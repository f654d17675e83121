package stall_test

import (
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/bencode"
	"spate/internal/simnet"
	"spate/internal/stall"
	"spate/metainfo"
	"spate/peerwire"
	"spate/storage"
	"spate/torrent"
	"spate/tracker"
)

const (
	pieces      = 20
	pieceLength = 64 << 10
)

// noise returns the data of a torrent of 20 pieces, and the torrent with the trackers.
func noise(t *testing.T, trackers ...string) ([]byte, *metainfo.MetaInfo) {
	t.Helper()
	data := make([]byte, pieces*pieceLength)
	rand.NewChaCha8([32]byte{1}).Read(data)
	var hashes []byte
	for i := range pieces {
		h := sha1.Sum(data[i*pieceLength : (i+1)*pieceLength])
		hashes = append(hashes, h[:]...)
	}
	info := bencode.AppendDict(nil)
	info = bencode.AppendInt(bencode.AppendString(info, "length"), int64(len(data)))
	info = bencode.AppendString(bencode.AppendString(info, "name"), "noise.bin")
	info = bencode.AppendInt(bencode.AppendString(info, "piece length"), pieceLength)
	info = bencode.AppendString(bencode.AppendString(info, "pieces"), hashes)
	mi, err := metainfo.FromInfo(bencode.AppendEnd(info))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range trackers {
		mi.AnnounceList = append(mi.AnnounceList, []string{u})
	}
	return data, mi
}

// answer is a tracker that gives every announce the same answer.
type answer struct {
	resp tracker.AnnounceResponse
	err  error
}

func (a answer) Announce(context.Context, string, *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	if a.err != nil {
		return nil, a.err
	}
	resp := a.resp
	return &resp, nil
}

// world is a simulated network with one session that downloads.
type world struct {
	*testing.T
	net   *simnet.Network
	ctx   context.Context
	ran   sync.WaitGroup
	hosts byte
}

// host returns a new host and its address for peers.
func (w *world) host() (*simnet.Host, netip.AddrPort) {
	w.hosts++
	addr := netip.AddrFrom4([4]byte{10, 0, 0, w.hosts})
	return w.net.Host(addr, simnet.Link{Latency: time.Millisecond}), netip.AddrPortFrom(addr, 6881)
}

// session starts a session on a new host.
func (w *world) session(a torrent.Announcer) (*torrent.Session, netip.AddrPort) {
	w.Helper()
	host, at := w.host()
	s, err := torrent.NewSession(torrent.Options{Network: host, Bind: at.Addr(), PeerPort: 6881, Seed: uint64(w.hosts), Announcer: a})
	if err != nil {
		w.Fatal(err)
	}
	w.ran.Go(func() { s.Run(w.ctx) })
	return s, at
}

// add adds a torrent to a session.
func (w *world) add(s *torrent.Session, mi *metainfo.MetaInfo, opt torrent.AddOptions) *torrent.Torrent {
	w.Helper()
	t, err := s.Add(mi, opt)
	if err != nil {
		w.Fatal(err)
	}
	return t
}

// mute starts a peer that answers handshakes, sends messages, and then nothing more.
func (w *world) mute(hash spate.InfoHash, messages []byte) netip.AddrPort {
	w.Helper()
	host, at := w.host()
	l, err := host.Listen(w.ctx, "tcp", at.String())
	if err != nil {
		w.Fatal(err)
	}
	context.AfterFunc(w.ctx, func() { l.Close() })
	w.ran.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(w.ctx, func() { nc.Close() })
			h := peerwire.Handshake{InfoHash: hash, PeerID: spate.PeerID{1, w.hosts}}
			nc.Write(append(h.Append(nil), messages...))
			w.ran.Go(func() { io.Copy(io.Discard, nc) })
		}
	})
	return at
}

// all returns a bitfield message of all pieces.
func all() []byte {
	return peerwire.AppendBytes(nil, peerwire.Bitfield, []byte{0xff, 0xff, 0xf0})
}

// stuckDisk is a storage whose writes wait until a channel is closed.
type stuckDisk struct {
	storage.Storage
	release <-chan struct{}
}

func (d stuckDisk) WriteAt(p []byte, off int64) (int, error) {
	<-d.release
	return d.Storage.WriteAt(p, off)
}

// TestReasonsOfDownloads makes each reason in a simulated swarm, and checks its cause and words
// after half a minute.
func TestReasonsOfDownloads(t *testing.T) {
	t.Parallel()
	const url = "http://tracker.example/announce"
	for _, c := range []struct {
		name  string
		named []string
		track torrent.Announcer
		make  func(w *world, mi *metainfo.MetaInfo, data []byte, opt *torrent.AddOptions)
		cause stall.Cause
		says  string
		hint  string
	}{
		{name: "no tracker", cause: stall.NoSource, says: "no tracker is named", hint: "--peer"},
		{name: "tracker fails", named: []string{url}, track: answer{err: &tracker.FailureError{Reason: "go away"}}, cause: stall.NoSource, says: "go away"},
		{
			name: "trackers fail", named: []string{url, "http://other.example/announce"}, track: answer{err: errors.New("no answer from it")},
			cause: stall.NoSource, says: "of 2 trackers none answers: no answer from it",
		},
		{
			name: "no peers", named: []string{url}, track: answer{resp: tracker.AnnounceResponse{Interval: time.Hour, Complete: 0, Incomplete: 1}},
			cause: stall.NoPeers, says: "no other peer is there: the tracker counts 0 seeds, 1 leecher",
		},
		{name: "unreachable", make: func(w *world, _ *metainfo.MetaInfo, _ []byte, opt *torrent.AddOptions) {
			down, at := w.host()
			down.SetDown(true)
			_, shut := w.host() // nobody listens
			opt.Peers = []netip.AddrPort{at, shut}
		}, cause: stall.Unreachable, says: "2 known peers, none reached: 1 timed out, 1 refused", hint: "router forwards TCP port 6881"},
		{name: "unavailable", make: func(w *world, mi *metainfo.MetaInfo, data []byte, opt *torrent.AddOptions) {
			half := slices.Clone(data)
			clear(half[len(half)/2:])
			s, at := w.session(nil)
			w.add(s, mi, torrent.AddOptions{Storage: storage.NewMemoryOf(half)})
			opt.Peers = []netip.AddrPort{at}
		}, cause: stall.Unavailable, says: "1 peer is connected, but nobody has the last 50 % (10 pieces, availability 0.50)", hint: "has the rest"},
		{name: "choked", make: func(w *world, mi *metainfo.MetaInfo, _ []byte, opt *torrent.AddOptions) {
			opt.Peers = []netip.AddrPort{w.mute(mi.Hash(), all())}
		}, cause: stall.Choked, says: "1 peer with missing data chokes us, because it serves others first"},
		{name: "silent", make: func(w *world, mi *metainfo.MetaInfo, _ []byte, opt *torrent.AddOptions) {
			opt.Peers = []netip.AddrPort{w.mute(mi.Hash(), peerwire.AppendSimple(all(), peerwire.Unchoke))}
		}, cause: stall.Silent, says: "1 peer with missing data can be asked but sends nothing"},
		{name: "disk", make: func(w *world, mi *metainfo.MetaInfo, data []byte, opt *torrent.AddOptions) {
			s, at := w.session(nil)
			w.add(s, mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
			opt.Peers = []netip.AddrPort{at}
			opt.Storage = stuckDisk{opt.Storage, w.ctx.Done()}
		}, cause: stall.Disk, says: "the disk is slow: no write has ended for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				w := &world{T: t, net: simnet.New(simnet.Options{Seed: 1}), ctx: ctx}
				defer w.ran.Wait()
				defer cancel()
				data, mi := noise(t, c.named...)
				s, _ := w.session(c.track)
				opt := torrent.AddOptions{Storage: storage.NewMemoryLike(data)}
				if c.make != nil {
					plain := *mi
					plain.AnnounceList = nil
					c.make(w, &plain, data, &opt)
				}
				got := w.add(s, mi, opt)
				time.Sleep(30 * time.Second)
				facts, st := got.Stall(), got.Stats()
				if facts.Idle < 20*time.Second {
					t.Errorf("idle for %v", facts.Idle)
				}
				r := stall.Of(stall.FactsOf(facts, &st, mi, stall.Port(s), stall.DHT{}))
				if r.Cause != c.cause || !strings.Contains(r.Text, c.says) || !strings.Contains(r.Hint, c.hint) || r.Short == "" {
					t.Errorf("%+v\nfacts %+v", r, facts)
				}
				if len(r.Text) > 80 || len(r.Short) > 40 || len(r.Hint) > 100 {
					t.Errorf("too long: %+v", r)
				}
			})
		})
	}
}

// TestReasonsOfSearches makes the reasons for which a search for metadata finds nothing.
func TestReasonsOfSearches(t *testing.T) {
	t.Parallel()
	_, mi := noise(t)
	hash := mi.Hash()
	for _, c := range []struct {
		name  string
		named []string
		track torrent.Announcer
		peers func(w *world) []netip.AddrPort
		cause stall.Cause
		says  string
	}{
		{name: "no tracker", cause: stall.NoSource, says: "no tracker is named"},
		{name: "trackers fail", named: []string{"http://a.example/announce", "http://b.example/announce"}, track: answer{err: errors.New("silence")}, cause: stall.NoSource, says: "of 2 trackers none answers: silence"},
		{name: "no peers", named: []string{"http://a.example/announce"}, track: answer{resp: tracker.AnnounceResponse{Interval: time.Hour, Incomplete: 1}}, cause: stall.NoPeers, says: "no other peer is there"},
		{name: "unreachable", peers: func(w *world) []netip.AddrPort {
			_, at := w.host()
			return []netip.AddrPort{at}
		}, cause: stall.Unreachable, says: "1 known peer, none reached: 1 refused"},
		{name: "peer without metadata", peers: func(w *world) []netip.AddrPort {
			return []netip.AddrPort{w.mute(hash, all())} // its handshake has no extension bit
		}, cause: stall.Unreachable, says: "1 did not send the torrent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				w := &world{T: t, net: simnet.New(simnet.Options{Seed: 1}), ctx: ctx}
				defer w.ran.Wait()
				defer cancel()
				s, _ := w.session(c.track)
				opt := torrent.MetadataOptions{}
				if c.peers != nil {
					opt.Peers = c.peers(w)
				}
				var last torrent.MetadataStats
				opt.Watch = func(st torrent.MetadataStats) { last = st }
				search, stop := context.WithTimeout(ctx, 25*time.Second)
				defer stop()
				link := metainfo.Magnet{HashV1: hash, Trackers: c.named}
				if _, _, err := s.FetchMetadata(search, link, opt); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				r := stall.OfSearch(&stall.Search{MetadataStats: last, Named: len(c.named), Port: stall.Port(s)})
				if r.Cause != c.cause || !strings.Contains(r.Text, c.says) {
					t.Errorf("%+v\nfacts %+v", r, last)
				}
			})
		})
	}
}

// TestSourcesOfMagnet checks that a torrent from a magnet link says that the tracker, which the
// search asked, has named its peer.
func TestSourcesOfMagnet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w := &world{T: t, net: simnet.New(simnet.Options{Seed: 1}), ctx: ctx}
		defer w.ran.Wait()
		defer cancel()
		const url = "http://tracker.example/announce"
		data, mi := noise(t)
		seeder, at := w.session(nil)
		w.add(seeder, mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true})
		s, _ := w.session(answer{resp: tracker.AnnounceResponse{Interval: time.Hour, Peers: []netip.AddrPort{at}}})
		found, peers, err := s.FetchMetadata(ctx, metainfo.Magnet{HashV1: mi.Hash(), Trackers: []string{url}}, torrent.MetadataOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := w.add(s, found, torrent.AddOptions{Storage: storage.NewMemoryLike(data), Peers: peers})
		if err := got.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if sources := got.Sources(); !slices.Equal(sources, []torrent.SourceStats{{Source: "tracker", Found: 1}}) {
			t.Errorf("%+v", sources)
		}
		if words := stall.SourcesWords(got.Sources()); words != "1 tracker" {
			t.Errorf("%q", words)
		}
	})
}

// TestSourceOfIncomingMagnet checks that the peer that connected to a search for metadata, and sent
// it, is not said to be given by the user.
func TestSourceOfIncomingMagnet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w := &world{T: t, net: simnet.New(simnet.Options{Seed: 1}), ctx: ctx}
		defer w.ran.Wait()
		defer cancel()
		data, mi := noise(t)
		s, at := w.session(nil)
		seeder, _ := w.session(nil)
		w.add(seeder, mi, torrent.AddOptions{Storage: storage.NewMemoryOf(data), Verified: true, Peers: []netip.AddrPort{at}})
		found, peers, err := s.FetchMetadata(ctx, metainfo.Magnet{HashV1: mi.Hash()}, torrent.MetadataOptions{})
		if err != nil || len(peers) != 1 {
			t.Fatal(peers, err)
		}
		got := w.add(s, found, torrent.AddOptions{Storage: storage.NewMemoryLike(data), Peers: peers})
		if err := got.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if sources := got.Sources(); !slices.Equal(sources, []torrent.SourceStats{{Source: "incoming", Found: 1}}) {
			t.Errorf("%+v", sources)
		}
	})
}

// TestReasonsNameTheDHT checks what the reason says about the DHT in each state of the search, with
// and without trackers, for torrents and for magnet links.
func TestReasonsNameTheDHT(t *testing.T) {
	t.Parallel()
	const url = "http://tracker.example/announce"
	failed := []torrent.TrackerStats{{URL: url, Err: errors.New("silence")}}
	answered := []torrent.TrackerStats{{URL: url, LastAnnounce: time.Now(), Incomplete: 1}}
	for _, c := range []struct {
		name     string
		trackers []torrent.TrackerStats
		dht      stall.DHT
		cause    stall.Cause
		says     string
		hint     string
	}{
		{name: "off", cause: stall.NoSource, says: "no tracker is named that could know peers", hint: "--peer"},
		{name: "no nodes", dht: stall.DHT{On: true}, cause: stall.NoSource, says: "no tracker is named, and the DHT has not answered yet: 0 nodes", hint: "--dht-bootstrap"},
		{name: "searching", dht: stall.DHT{On: true, Nodes: 1}, cause: stall.NoSource, says: "no tracker is named, and the DHT is being searched: 1 node"},
		{name: "nobody", dht: stall.DHT{On: true, Nodes: 12, Searched: true}, cause: stall.NoPeers, says: "no tracker is named, and the DHT knows nobody who has it", hint: "is asked again"},
		{name: "off, nobody near", dht: stall.DHT{Local: true}, cause: stall.NoPeers, says: "no tracker is named, and nobody on the local network has it", hint: "--peer"},
		{name: "tracker fails, off", trackers: failed, cause: stall.NoSource, says: "silence"},
		{name: "tracker fails, no nodes", trackers: failed, dht: stall.DHT{On: true}, cause: stall.NoSource, says: "silence; the DHT has not answered yet: 0 nodes"},
		{name: "tracker fails, nobody", trackers: failed, dht: stall.DHT{On: true, Nodes: 12, Searched: true}, cause: stall.NoPeers, says: "silence; the DHT knows nobody who has it"},
		{
			name: "tracker answers, nobody", trackers: answered, dht: stall.DHT{On: true, Nodes: 12, Searched: true}, cause: stall.NoPeers,
			says: "no other peer is there: the tracker counts 0 seeds, 1 leecher; the DHT knows nobody who has it",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var named []string
			for _, tr := range c.trackers {
				named = append(named, tr.URL)
			}
			_, mi := noise(t, named...)
			st := torrent.Stats{Trackers: c.trackers}
			download := stall.Of(stall.FactsOf(torrent.Stall{}, &st, mi, 0, c.dht))
			search := stall.OfSearch(&stall.Search{MetadataStats: torrent.MetadataStats{Trackers: c.trackers}, DHT: c.dht, Named: len(named)})
			for _, r := range []stall.Reason{download, search} {
				if r.Cause != c.cause || r.Text != c.says || !strings.Contains(r.Hint, c.hint) || (c.hint == "") != (r.Hint == "") || r.Short == "" {
					t.Errorf("%+v", r)
				}
				if len(r.Text) > 100 || len(r.Short) > 40 || len(r.Hint) > 100 {
					t.Errorf("too long: %+v", r)
				}
			}
			mi.Info.Private = true
			if r := stall.Of(stall.FactsOf(torrent.Stall{}, &st, mi, 0, c.dht)); strings.Contains(r.Text, "DHT") {
				t.Errorf("the torrent is private: %+v", r)
			}
		})
	}
}

// TestReasonsNameHoles checks that a download says that routers let no hole through, and what helps,
// whether a peer is connected or not.
func TestReasonsNameHoles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]stall.Facts{
		"nobody connected": {Stall: torrent.Stall{Candidates: torrent.CandidateStats{Known: 2, TimedOut: 2, NoHole: 1}}},
		"a relay":          {Stall: torrent.Stall{Connected: 1, Candidates: torrent.CandidateStats{Known: 2, TimedOut: 1, NoHole: 1}}},
	} {
		r := stall.Of(&c)
		if !strings.Contains(r.Text, "let no hole through to 1 peer") || !strings.Contains(r.Hint, "symmetric") || !strings.Contains(r.Hint, "IPv6") {
			t.Errorf("%s: %q, %q", name, r.Text, r.Hint)
		}
		c.Candidates.NoHole = 0
		if r := stall.Of(&c); strings.Contains(r.Text+r.Hint, "hole") {
			t.Errorf("%s: without holes: %q, %q", name, r.Text, r.Hint)
		}
	}
}
