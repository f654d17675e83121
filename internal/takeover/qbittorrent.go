package takeover

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"spate"
	"spate/bitfield"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/metainfo"
)

// readQBittorrent reads the directory BT_backup of qBittorrent 4.2 and later, with HASH.fastresume
// and HASH.torrent for each torrent. conf is the directory of its settings, or "".
func readQBittorrent(dir, conf string) (*State, error) {
	s := &State{Program: "qbittorrent", Dir: dir}
	in, err := folder.Open(dir, folder.Options{FollowLinks: true})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	settings := readQBittorrentConf(conf, s)
	entries, err := in.ReadSome(maxTorrents)
	if err != nil {
		return nil, err
	}
	queue := readQueue(in)
	for _, e := range entries {
		hash, ok := strings.CutSuffix(e.Name(), ".fastresume")
		if !ok {
			continue
		}
		t := Torrent{File: in.Path(e.Name()), Name: hash}
		t.Err = t.readQBittorrent(in, hash, settings)
		t.place = len(queue)
		if at, ok := queue[hash]; ok {
			t.place = at
		}
		s.Torrents = append(s.Torrents, t)
	}
	slices.SortStableFunc(s.Torrents, func(a, b Torrent) int {
		return cmp.Or(a.place-b.place, a.Kept.Added.Compare(b.Kept.Added))
	})
	if len(s.Torrents) == 0 && isFile(dir, "../torrents.db") {
		return nil, fault.New(fault.Unset, "choose fastresume files in its advanced settings, and start it once", "qBittorrent keeps its torrents in the database %s", filepath.Join(dir, "../torrents.db"))
	}
	s.refuseMixed()
	return s, nil
}

// readQueue returns the places of torrents in the queue.
func readQueue(in *folder.Folder) map[string]int {
	queue := map[string]int{}
	b, err := in.ReadFile("queue", maxSettings)
	if err != nil {
		return queue
	}
	for line := range strings.Lines(string(b)) {
		queue[strings.TrimSpace(line)] = len(queue)
	}
	return queue
}

// refuseMixed refuses torrents whose files lie in one directory without one of their own, if other
// torrents have data there: a torrent owns its directory here.
func (s *State) refuseMixed() {
	count := map[string]int{}
	at := func(t *Torrent) string {
		if t.mixed {
			return filepath.Join(t.Dir, t.Kept.Name)
		}
		return t.Dir
	}
	for i := range s.Torrents {
		count[at(&s.Torrents[i])]++
	}
	for i := range s.Torrents {
		if t := &s.Torrents[i]; t.mixed && t.Err == nil && count[at(t)] > 1 {
			t.Err = errors.New("its files lie among those of other torrents in " + at(t) + ": give it a folder of its own first")
		}
	}
}

// readQBittorrent reads the torrent with an info-hash.
func (t *Torrent) readQBittorrent(in *folder.Folder, hash string, conf qbSettings) error {
	name := hash + ".fastresume"
	fi, err := in.Stat(name)
	if err != nil {
		return err
	}
	t.modified = fi.ModTime().Unix()
	b, err := in.ReadFile(name, maxResume)
	if err != nil {
		return err
	}
	r, err := decode(b, false)
	if err != nil {
		return err
	}
	t.Name = cmp.Or(r.string("qBt-name"), r.string("name"), t.Name)
	b, err = in.ReadFile(hash+".torrent", metainfo.MaxSize)
	switch {
	case err == nil:
		if t.info, err = metainfo.Parse(b); err != nil {
			return err
		}
		if r.string("name") == "" && r.string("qBt-name") == "" {
			t.Name = t.info.Info.Name
		}
		if err := t.addTrackers(r); err != nil {
			return err
		}
	case errors.Is(err, fs.ErrNotExist):
		if err := t.qBittorrentLink(r); err != nil {
			return err
		}
	default:
		return err
	}
	return t.applyQBittorrent(r, conf)
}

// addTrackers adds the trackers and web seeds of a fastresume file to the .torrent, which has none.
func (t *Torrent) addTrackers(r dict) (err error) {
	if tiers := r.list("trackers"); tiers != nil {
		t.info.AnnounceList = nil
		for _, tier := range tiers {
			urls, _ := tier.([]any)
			if list := texts(urls); len(list) > 0 {
				t.info.AnnounceList = append(t.info.AnnounceList, list)
			}
		}
	}
	if seeds := texts(r.list("url-list")); len(seeds) > 0 {
		t.info.WebSeeds = seeds
	}
	t.Torrent, err = t.info.Bytes()
	return err
}

func texts(list []any) (out []string) {
	for _, v := range list {
		if s, ok := v.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	return out
}

// qBittorrentLink makes the magnet link of a torrent whose metadata is not known.
func (t *Torrent) qBittorrentLink(r dict) error {
	link := metainfo.Magnet{Name: r.string("name"), WebSeeds: texts(r.list("url-list"))}
	if h := r.string("info-hash"); len(h) == len(link.HashV1) {
		link.HashV1 = spate.InfoHash([]byte(h))
	}
	if h := r.string("info-hash2"); len(h) == len(link.HashV2) {
		link.HashV2 = spate.InfoHashV2([]byte(h))
	}
	if link.HashV1.IsZero() && link.HashV2.IsZero() {
		return errors.New("neither its .torrent nor its info-hash is there")
	}
	for _, tier := range r.list("trackers") {
		urls, _ := tier.([]any)
		link.Trackers = append(link.Trackers, texts(urls)...)
	}
	t.Magnet = link.String()
	return nil
}

func (t *Torrent) applyQBittorrent(r dict, conf qbSettings) error {
	t.Dir = filepath.Clean(cmp.Or(r.string("save_path"), r.string("qBt-savePath"), conf.text("BitTorrent/Session\\DefaultSavePath")))
	if !filepath.IsAbs(t.Dir) {
		return errors.New("nothing says where its data is")
	}
	k := &t.Kept
	k.Added, k.Completed = r.time("added_time"), r.time("completed_time")
	k.Uploaded, k.Downloaded, k.Seeded = positive(r.int("total_uploaded")), positive(r.int("total_downloaded")), positive(r.int("seeding_time"))
	t.Paused = r.int("paused") != 0 && r.int("auto_managed") == 0
	t.Order = r.int("sequential_download") != 0
	t.Up, t.Down = positive(r.int("upload_rate_limit")), positive(r.int("download_rate_limit"))
	t.setLabel(append([]string{r.string("qBt-category")}, texts(r.list("qBt-tags"))...)...)
	t.qBittorrentGoals(r, conf)
	if t.info == nil {
		return nil
	}
	files := t.info.Info.Files
	if p := r.list("file_priority"); len(p) > 0 {
		names := make([]string, len(files))
		for i := range names {
			names[i] = "normal"
			if i < len(p) {
				names[i] = libtorrentPriority(p[i])
			}
		}
		t.setPriorities(names)
	}
	at := make([]string, len(files))
	for i, p := range r.list("mapped_files") {
		if s, ok := p.(string); ok && i < len(at) {
			at[i] = filepath.ToSlash(s)
		}
	}
	if err := t.setPaths(at, ".!qB"); err != nil {
		return err
	}
	have := bitfield.New(t.info.Info.NumPieces())
	pieces := r.string("pieces")
	if len(pieces) == have.Len() && r.int("seed_mode") == 0 { // seed_mode means that nothing was checked
		for i := range len(pieces) {
			if pieces[i]&1 != 0 {
				have.Set(i)
			}
		}
	}
	k.Until = make([]int64, len(files))
	for i := range k.Until {
		k.Until[i] = t.modified // it keeps no times of files, but writes this file after the data
	}
	t.setHave(have)
	return nil
}

// libtorrentPriority returns the name of a priority of libtorrent.
func libtorrentPriority(v any) string {
	switch n, ok := v.(int64); {
	case !ok:
		return "normal"
	case n == 0:
		return "skip"
	case n < 4 && n != 1: // 1 was the normal priority of old versions
		return "low"
	case n == 6:
		return "high"
	case n >= 7:
		return "max"
	}
	return "normal"
}

// Values of limits that stand for the global limit.
const (
	qbGlobalRatio = -2000
	qbGlobalTime  = -2
)

func (t *Torrent) qBittorrentGoals(r dict, conf qbSettings) {
	ratio := float64(r.intOr("qBt-ratioLimit", qbGlobalRatio)) / 1000
	if s := r.string("qBt-ratioLimit"); s != "" {
		ratio = r.real("qBt-ratioLimit")
	}
	if ratio <= float64(qbGlobalRatio)/1000 {
		ratio = conf.real("BitTorrent/Session\\GlobalMaxRatio", -1)
	}
	t.setRatio(ratio, ratio >= 0)
	minutes := r.intOr("qBt-seedingTimeLimit", qbGlobalTime)
	if minutes == qbGlobalTime {
		minutes = int64(conf.real("BitTorrent/Session\\GlobalMaxSeedingMinutes", -1))
	}
	switch {
	case minutes == 0:
		t.NoSeed = true
	case minutes > 0:
		t.SeedTime = seconds(min(minutes, 1<<30) * 60)
	}
	idle := r.intOr("qBt-inactiveSeedingTimeLimit", qbGlobalTime)
	if idle == qbGlobalTime {
		idle = int64(conf.real("BitTorrent/Session\\GlobalMaxInactiveSeedingMinutes", -1))
	}
	t.SeedIdle = seconds(min(idle, 1<<30) * 60)
}
