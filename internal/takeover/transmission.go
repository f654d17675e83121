package takeover

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"spate"
	"spate/bencode"
	"spate/bitfield"
	"spate/internal/folder"
	"spate/metainfo"
)

// readTransmission reads the directory of the settings of Transmission 2.20 and later. torrents/ has
// the .torrent files and magnet links, and resume/ a file of the same name for each.
func readTransmission(dir string) (*State, error) {
	top, err := folder.Open(dir, folder.Options{FollowLinks: true})
	if err != nil {
		return nil, err
	}
	defer top.Close()
	s := &State{Program: "transmission", Dir: dir}
	conf := readSettingsJSON(top, s)
	torrents, err := top.Sub("torrents")
	if err != nil {
		return nil, err
	}
	defer torrents.Close()
	resumes, err := top.Sub("resume")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if resumes != nil {
		defer resumes.Close()
	}
	entries, err := torrents.ReadSome(maxTorrents)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if ext != ".torrent" && ext != ".magnet" {
			continue
		}
		t := Torrent{File: torrents.Path(e.Name()), Name: e.Name()}
		t.Err = t.readTransmission(torrents, resumes, e.Name(), conf)
		s.Torrents = append(s.Torrents, t)
	}
	slices.SortStableFunc(s.Torrents, func(a, b Torrent) int { return a.Kept.Added.Compare(b.Kept.Added) })
	return s, nil
}

// readTransmission reads the torrent name.
func (t *Torrent) readTransmission(torrents, resumes *folder.Folder, name string, conf dict) error {
	b, err := torrents.ReadFile(name, metainfo.MaxSize)
	if err != nil {
		return err
	}
	if filepath.Ext(name) == ".magnet" {
		t.Magnet = strings.TrimSpace(string(b))
	} else if t.Magnet, err = placeholder(b); err != nil {
		return err
	}
	if t.Magnet != "" {
		link, err := metainfo.ParseMagnet(t.Magnet)
		if err != nil {
			return err
		}
		t.Name = cmp.Or(link.Name, link.Hash().String())
	} else {
		if t.info, err = metainfo.Parse(b); err != nil {
			return err
		}
		t.Torrent, t.Name = b, t.info.Info.Name
	}
	t.Dir = conf.string("download_dir")
	if resumes == nil {
		return t.withoutResume(conf)
	}
	resume := strings.TrimSuffix(name, filepath.Ext(name)) + ".resume"
	fi, err := resumes.Stat(resume)
	if errors.Is(err, fs.ErrNotExist) {
		return t.withoutResume(conf)
	}
	if err == nil {
		t.modified = fi.ModTime().Unix()
		b, err = resumes.ReadFile(resume, maxResume)
	}
	if err != nil {
		return err
	}
	r, err := decode(b, true)
	if err != nil {
		t.Notes = append(t.Notes, "its state cannot be read ("+err.Error()+"): all data is checked")
		return t.withoutResume(conf)
	}
	return t.applyTransmission(r, conf)
}

// withoutResume is for a torrent of which the program knows no more than the .torrent.
func (t *Torrent) withoutResume(conf dict) error {
	if t.Dir == "" {
		return errors.New("nothing says where its data is")
	}
	t.Dir = filepath.Clean(t.Dir)
	if conf.int("rename_partial_files") != 0 {
		t.Kept.Partial = ".part"
	}
	return nil
}

// placeholder returns the magnet link of a .torrent of Transmission 3 that has no metadata yet, or "".
func placeholder(b []byte) (string, error) {
	info, _, err := bencode.Find(b, "info")
	if err != nil || info != nil {
		return "", nil // metainfo reports errors better
	}
	d, err := decode(b, true)
	if err != nil {
		return "", err
	}
	m := d.dict("magnet_info")
	hash := m.string("info_hash")
	if m == nil || len(hash) != len(spate.InfoHash{}) {
		return "", nil
	}
	link := metainfo.Magnet{HashV1: spate.InfoHash([]byte(hash)), Name: m.string("display_name")}
	add := func(u any) {
		if s, ok := u.(string); ok && s != "" {
			link.Trackers = append(link.Trackers, s)
		}
	}
	add(d["announce"])
	for _, tier := range d.list("announce_list") {
		urls, _ := tier.([]any)
		for _, u := range urls {
			add(u)
		}
	}
	for _, u := range d.list("url_list") {
		if s, ok := u.(string); ok && s != "" {
			link.WebSeeds = append(link.WebSeeds, s)
		}
	}
	return link.String(), nil
}

// applyTransmission applies the resume file of a torrent.
func (t *Torrent) applyTransmission(r, conf dict) error {
	t.Dir = filepath.Clean(cmp.Or(r.string("destination"), t.Dir))
	if !filepath.IsAbs(t.Dir) {
		return errors.New("nothing says where its data is")
	}
	k := &t.Kept
	t.Paused = r.int("paused") != 0
	k.Added, k.Completed = r.time("added_date"), r.time("done_date")
	k.Uploaded, k.Downloaded, k.Seeded = positive(r.int("uploaded")), positive(r.int("downloaded")), positive(r.int("seeding_time_seconds"))
	t.Order = r.int("sequential_download") != 0
	var labels []string
	for _, l := range r.list("labels") {
		if s, ok := l.(string); ok {
			labels = append(labels, s)
		}
	}
	t.setLabel(labels...)
	limit := func(key string) int64 {
		if l := r.dict(key); l.int("use_speed_limit") != 0 {
			return max(l.int("speed_Bps"), 1)
		}
		return 0
	}
	t.Up, t.Down = limit("speed_limit_up"), limit("speed_limit_down")
	t.transmissionGoals(r, conf)
	if r.int("bandwidth_priority") != 0 {
		t.Notes = append(t.Notes, "its priority among torrents is not kept")
	}
	if t.info == nil {
		return nil
	}
	t.transmissionPriorities(r)
	at := make([]string, len(t.info.Info.Files))
	if names := r.list("files"); len(names) == len(at) {
		for i, n := range names {
			at[i], _ = n.(string)
		}
	}
	if err := t.setPaths(at, ".part"); err != nil {
		return err
	}
	have := t.transmissionPieces(r.dict("progress"))
	if inc := r.string("incomplete_dir"); filepath.IsAbs(inc) && !have.All() && exists(filepath.Join(inc, cmp.Or(k.Name, t.info.Info.Name)), ".part") {
		t.Dir = filepath.Clean(inc)
		t.Notes = append(t.Notes, "its data is in the folder for incomplete downloads, and stays there")
	}
	t.setHave(have)
	return nil
}

func (t *Torrent) transmissionGoals(r, conf dict) {
	ratio := r.dict("ratio_limit")
	limit, limited := ratio.real("ratio_limit"), false
	switch ratio.int("ratio_mode") {
	case 0: // the global one
		limit, limited = conf.real("ratio_limit"), conf.int("ratio_limit_enabled") != 0
	case 1:
		limited = true
	}
	t.setRatio(limit, limited)
	switch idle := r.dict("idle_limit"); idle.int("idle_mode") {
	case 0: // the global one
		if conf.int("idle_seeding_limit_enabled") != 0 {
			t.SeedIdle = seconds(conf.int("idle_seeding_limit") * 60)
		}
	case 1:
		t.SeedIdle = seconds(idle.int("idle_limit") * 60)
	}
}

// setRatio sets the goal of a ratio.
func (t *Torrent) setRatio(ratio float64, limited bool) {
	switch {
	case !limited || !(ratio >= 0) || ratio > 1e9:
	case ratio == 0:
		t.NoSeed = true
	default:
		t.Ratio = ratio
	}
}

func (t *Torrent) transmissionPriorities(r dict) {
	n := len(t.info.Info.Files)
	skip, priority := r.list("dnd"), r.list("priority")
	names := make([]string, n)
	for i := range names {
		names[i] = "normal"
		if len(priority) == n {
			switch priority[i] {
			case int64(-1):
				names[i] = "low"
			case int64(1):
				names[i] = "high"
			}
		}
		if len(skip) == n && skip[i] == int64(1) {
			names[i] = "skip"
		}
	}
	t.setPriorities(names)
}

// transmissionBlock is the largest block whose arrival Transmission records.
const transmissionBlock = 16 << 10

// transmissionPieces returns the pieces whose blocks Transmission has, and records until when the
// files vouch for them.
//
// Versions before 4 record when each piece was checked, later ones which pieces were checked and the
// modification time of each file then. Transmission trusts a complete file that was not modified
// since. It keeps no such time for a file that is not complete; the resume file was then written
// after the data.
func (t *Torrent) transmissionPieces(p dict) bitfield.Bitfield {
	info := &t.info.Info
	have := bitfield.New(info.NumPieces())
	checkedAt := p.list("time_checked")
	mtimes := p.list("mtimes")
	block := int64(transmissionBlock)
	if checkedAt != nil { // a version before 4
		for block = info.PieceLength; block > transmissionBlock; block /= 2 {
		}
	}
	if p.string("have") == "all" || p.string("blocks") == "all" {
		have.SetAll()
	} else if block > 0 {
		total := info.TotalLength()
		blocks, err := bitfield.FromBytes([]byte(p.string("blocks")), int((total+block-1)/block))
		if err != nil {
			return have
		}
		for i := range have.Len() {
			first := int64(i) * info.PieceLength
			last := (first + info.PieceSize(i) - 1) / block
			if next := blocks.NextClear(int(first / block)); next < 0 || int64(next) > last {
				have.Set(i)
			}
		}
	}
	until := make([]int64, len(info.Files))
	pieces, err := bitfield.FromBytes([]byte(p.string("pieces")), have.Len())
	if checked := p.string("pieces"); checked == "all" {
		pieces, err = bitfield.New(have.Len()), nil
		pieces.SetAll()
	}
	for i := range until {
		first, end := piecesOf(info, i)
		complete := allOf(info, have, i)
		switch {
		case len(checkedAt) == len(until):
			until[i] = t.modified
			if oldest := oldestCheck(checkedAt[i], have, first, end); oldest <= 0 || complete {
				until[i] = max(oldest, -1)
			}
		case len(mtimes) == len(until) && err == nil:
			until[i] = t.modified
			if next := pieces.NextClear(first); complete && next >= 0 && next < end {
				until[i] = -1 // some of it was never checked
			} else if n, ok := mtimes[i].(int64); complete && ok && n > 0 {
				until[i] = n
			}
		default:
			until[i] = -1
		}
	}
	t.Kept.Until = until
	return have
}

// oldestCheck returns when the pieces of a file that are there were checked, or the earliest of these
// times. v is a time, or a list of a base and of differences for each piece.
func oldestCheck(v any, have bitfield.Bitfield, first, end int) int64 {
	list, ok := v.([]any)
	if !ok {
		n, _ := v.(int64)
		return n
	}
	if len(list) < end-first+1 {
		return 0
	}
	base, _ := list[0].(int64)
	oldest := int64(1) << 40
	for i := first; i < end; i++ {
		if !have.Get(i) {
			continue
		}
		n, _ := list[i-first+1].(int64)
		if n == 0 {
			return 0
		}
		oldest = min(oldest, base+n)
	}
	return oldest
}
