package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate"
	"spate/internal/atomicfile"
	"spate/internal/source"
	"spate/internal/torrentfile"
	"spate/metainfo"
)

// torrentRecord is what a daemon keeps of an added torrent across restarts, in a file
// INFO-HASH.json of the directory "torrents" of the state. INFO-HASH.torrent beside it is the
// torrent, and INFO-HASH.resume is what the engine knows about the data.
//
// A torrent exists if and only if its .json does. The .torrent is written before it, and removed
// after it. Operations that take several steps write first what they are about to do (MoveTo,
// Remove), so that the next start completes or undoes them.
type torrentRecord struct {
	InfoHash spate.InfoHash   `json:"-"` // the name of the file
	Magnet   string           `json:"magnet,omitempty"`
	Known    bool             `json:"known"` // the .torrent is there; otherwise peers are asked for it
	Name     string           `json:"name"`
	DataName string           `json:"data_name,omitempty"` // name of the data in Dir; empty: that of the torrent
	Paths    map[int]string   `json:"paths,omitempty"`     // of renamed files below DataName, by index
	Dir      string           `json:"dir"`
	Within   string           `json:"within,omitempty"` // see [torrent.AddOptions]
	Length   int64            `json:"length"`
	NumFiles int              `json:"num_files"`
	Private  bool             `json:"private,omitempty"`
	Trackers int              `json:"trackers,omitempty"` // number of trackers
	Direct   string           `json:"direct,omitempty"`   // URL of the data, a last resort
	Peers    []netip.AddrPort `json:"peers,omitempty"`

	Feed   string `json:"feed,omitempty"` // name of the feed that named it
	Paused bool   `json:"paused,omitempty"`
	Place  int    `json:"place"` // position in the queue; lower is earlier
	TorrentOptions

	Added     time.Time `json:"added"`
	Completed time.Time `json:"completed,omitzero"`
	Finished  bool      `json:"finished,omitempty"` // a goal is reached
	Seeded    int64     `json:"seeded,omitempty"`   // seconds of seeding

	// The state when the engine last had the torrent.
	Done       int64 `json:"done,omitempty"`
	Downloaded int64 `json:"downloaded,omitempty"`
	Uploaded   int64 `json:"uploaded,omitempty"`

	MoveTo string `json:"move_to,omitempty"` // the directory to which the data is being moved
	Remove string `json:"remove,omitempty"`  // "data": the data is being deleted
}

// Extensions of the files of an added torrent.
const (
	recordExt  = ".json"
	torrentExt = ".torrent"
)

// maxRecordFile limits the size of a record, in bytes.
const maxRecordFile = 1 << 20

func (s *torrentStore) path(ih spate.InfoHash, ext string) string {
	return filepath.Join(s.dir, ih.String()+ext)
}

// torrentStore is the directory of the records of added torrents.
type torrentStore struct {
	dir     string
	writing func() // called before each write; nil outside of tests
}

func (s *torrentStore) toWrite() {
	if s.writing != nil {
		s.writing()
	}
}

// save writes r, so that it survives a crash after save has returned.
func (s *torrentStore) save(r *torrentRecord) error {
	s.toWrite()
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return atomicfile.Replace(s.path(r.InfoHash, recordExt), b)
}

// saveTorrent writes the .torrent. The next save makes it durable.
func (s *torrentStore) saveTorrent(ih spate.InfoHash, b []byte) error {
	s.toWrite()
	return atomicfile.Write(s.path(ih, torrentExt), b)
}

// loadTorrent reads the torrent of r. It adds the trackers and web seeds of its magnet link.
func (s *torrentStore) loadTorrent(r *torrentRecord) (*metainfo.MetaInfo, error) {
	path := s.path(r.InfoHash, torrentExt)
	b, err := torrentfile.ReadLimited(path, torrentfile.MaxSize)
	if err != nil {
		return nil, err
	}
	mi, err := (&source.Source{Arg: path, Torrent: b, Magnet: r.Magnet}).Parse()
	if err == nil && mi.Hash() != r.InfoHash {
		err = fmt.Errorf("%s is the torrent %s", path, mi.Hash())
	}
	return mi, err
}

// remove removes the record and the torrent. The caller has removed the resume data.
func (s *torrentStore) remove(ih spate.InfoHash) error {
	s.toWrite()
	err := os.Remove(s.path(ih, recordExt))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = atomicfile.SyncDir(s.dir)
	}
	if err != nil {
		return err
	}
	if err = os.Remove(s.path(ih, torrentExt)); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// load returns the records in the order of the queue. It removes files without a record, which a
// crash has left. It calls warn for a damaged record, which it sets aside.
func (s *torrentStore) load(warn func(format string, args ...any)) (list []*torrentRecord, err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), recordExt)
		ih, hashErr := spate.ParseInfoHash(name)
		if !ok || hashErr != nil || ih.String() != name {
			continue
		}
		known[name] = true // a torrent whose record is damaged is kept
		r := &torrentRecord{InfoHash: ih}
		err := atomicfile.Load(s.path(ih, recordExt), maxRecordFile, func(b []byte) error {
			if err := json.Unmarshal(b, r); err != nil {
				return err
			}
			return r.check()
		})
		if err != nil {
			warn("the torrent %s was not loaded: %v", name, err)
			continue
		}
		list = append(list, r)
	}
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		_, err := spate.ParseInfoHash(name)
		if temporary := strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), atomicfile.Extension); temporary || err == nil && !known[name] && !atomicfile.IsAside(e.Name()) {
			os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
	slices.SortFunc(list, func(a, b *torrentRecord) int { return a.Place - b.Place })
	return list, nil
}

// check returns an error if r cannot be the record of a torrent.
func (r *torrentRecord) check() error {
	switch {
	case !filepath.IsAbs(r.Dir):
		return errors.New("it names no directory")
	case !r.Known && r.Magnet == "":
		return errors.New("it names no torrent")
	case r.Length < 0 || r.NumFiles < 0:
		return errors.New("a size is negative")
	}
	return r.TorrentOptions.Check()
}
