package transmission

import (
	"encoding/base64"
	"math"
	"mime"
	"net/netip"
	"net/url"
	"path"
	"time"

	"spate/internal/daemon"
	"spate/torrent"
	"spate/tracker"
)

// The values of status.
const (
	statusStopped = iota
	statusCheckWait
	statusCheck
	statusDownloadWait
	statusDownload
	statusSeedWait
	statusSeed
)

// Values of eta.
const (
	etaNone    = -1
	etaUnknown = -2
)

// view is what a reply needs to know of one torrent. What only some fields need is fetched for them.
type view struct {
	s       *Server
	i       *daemon.TorrentInfo
	details *daemon.TorrentDetails // nil: not fetched
	engine  *torrent.Torrent       // nil: not fetched, or it does not run
	asked   bool                   // engine was asked for
}

func (v *view) detail() *daemon.TorrentDetails {
	if v.details == nil {
		d, err := v.s.torrents.Details(v.i.InfoHash)
		if err != nil {
			d = daemon.TorrentDetails{TorrentInfo: *v.i}
		}
		v.details = &d
	}
	return v.details
}

func (v *view) running() *torrent.Torrent {
	if !v.asked {
		v.engine, _ = v.s.torrents.Engine(v.i.InfoHash)
		v.asked = true
	}
	return v.engine
}

// unix returns the Unix time of t, or 0.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// status returns the status of a torrent.
func status(i *daemon.TorrentInfo) int {
	switch i.State {
	case daemon.TorrentQueued:
		if !i.Completed.IsZero() {
			return statusSeedWait
		}
		return statusDownloadWait
	case daemon.TorrentChecking, daemon.TorrentMoving:
		return statusCheck
	case daemon.TorrentMetadata, daemon.TorrentDownloading, daemon.TorrentStalled:
		return statusDownload
	case daemon.TorrentSeeding:
		return statusSeed
	}
	return statusStopped
}

// eta returns the seconds until a download is complete.
func eta(i *daemon.TorrentInfo) int64 {
	left := i.TotalLength - i.Done
	switch {
	case left <= 0 && i.TotalLength > 0 || status(i) != statusDownload:
		return etaNone
	case i.DownRate < 1 || i.TotalLength == 0:
		return etaUnknown
	}
	return int64(math.Ceil(float64(left) / i.DownRate))
}

// ratio returns what was sent over what was received, or -1 if nothing was received.
func ratio(i *daemon.TorrentInfo) float64 {
	if i.Downloaded == 0 {
		return -1
	}
	return float64(i.Uploaded) / float64(i.Downloaded)
}

// known reports whether the metadata of a torrent is there.
func known(i *daemon.TorrentInfo) bool { return i.Path != "" }

// fieldOf maps each field of a torrent to its value.
var fieldOf = map[string]func(*view) any{
	"activity_date":         func(v *view) any { return unix(v.s.ids.activity(v.i.InfoHash)) },
	"added_date":            func(v *view) any { return unix(v.i.Added) },
	"availability":          func(v *view) any { return []int{} },
	"bandwidth_priority":    func(v *view) any { return 0 },
	"bytes_completed":       (*view).bytesCompleted,
	"comment":               func(v *view) any { return v.meta().Comment },
	"corrupt_ever":          func(v *view) any { return 0 },
	"creator":               func(v *view) any { return v.meta().Creator },
	"date_created":          func(v *view) any { return v.meta().Created },
	"desired_available":     func(v *view) any { return v.desired() },
	"done_date":             func(v *view) any { return unix(v.i.Completed) },
	"download_dir":          func(v *view) any { return v.i.Dir },
	"downloaded_ever":       func(v *view) any { return v.i.Downloaded },
	"download_limit":        func(v *view) any { return v.i.Down / kilo },
	"download_limited":      func(v *view) any { return v.i.Down > 0 },
	"edit_date":             func(v *view) any { return 0 },
	"error":                 func(v *view) any { return errorKind(v.i) },
	"error_string":          func(v *view) any { return v.i.Error },
	"eta":                   func(v *view) any { return eta(v.i) },
	"eta_idle":              func(v *view) any { return etaNone },
	"file_count":            func(v *view) any { return v.i.NumFiles },
	"files":                 (*view).files,
	"file_stats":            (*view).fileStats,
	"group":                 func(v *view) any { return "" },
	"hash_string":           func(v *view) any { return v.i.InfoHash },
	"have_unchecked":        func(v *view) any { return 0 },
	"have_valid":            func(v *view) any { return v.i.Done },
	"honors_session_limits": func(v *view) any { return true },
	"id":                    func(v *view) any { return v.s.ids.id(v.i.InfoHash) },
	"is_finished":           func(v *view) any { return v.i.Finished },
	"is_private":            func(v *view) any { return v.i.Private },
	"is_stalled":            func(v *view) any { return v.i.State == daemon.TorrentStalled },
	"labels":                func(v *view) any { return labels(v.i) },
	"left_until_done":       func(v *view) any { return max(0, v.i.TotalLength-v.i.Done) },
	"magnet_link":           func(v *view) any { return v.magnet() },
	"manual_announce_time":  func(v *view) any { return etaNone },
	"max_connected_peers":   func(v *view) any { return 0 },
	"metadata_percent_complete": func(v *view) any {
		if known(v.i) {
			return 1
		}
		return 0
	},
	"name":                  func(v *view) any { return v.i.Name },
	"peer_limit":            func(v *view) any { return 0 },
	"peers":                 (*view).peers,
	"peers_connected":       func(v *view) any { return v.i.Peers },
	"peers_from":            func(v *view) any { return peersFrom(v.i) },
	"peers_getting_from_us": func(v *view) any { n, _ := v.exchanging(); return n },
	"peers_sending_to_us":   func(v *view) any { _, n := v.exchanging(); return n },
	"percent_complete":      func(v *view) any { return v.percent() },
	"percent_done":          func(v *view) any { return v.percent() },
	"pieces":                (*view).pieces,
	"piece_count":           func(v *view) any { return v.meta().Pieces },
	"piece_size":            func(v *view) any { return v.meta().PieceLength },
	"priorities":            (*view).priorities,
	"primary_mime_type":     (*view).mimeType,
	"queue_position":        func(v *view) any { return v.i.Place },
	"rate_download":         func(v *view) any { return int64(v.i.DownRate) },
	"rate_upload":           func(v *view) any { return int64(v.i.UpRate) },
	"recheck_progress": func(v *view) any {
		if v.i.State == daemon.TorrentChecking {
			return v.i.Progress
		}
		return 0
	},
	"seconds_downloading":            func(v *view) any { return v.downloading() },
	"seconds_seeding":                func(v *view) any { return v.i.Seeded },
	"seed_idle_limit":                func(v *view) any { return 0 },
	"seed_idle_mode":                 func(v *view) any { return modeUnlimited },
	"seed_ratio_limit":               func(v *view) any { return v.i.Ratio },
	"seed_ratio_mode":                func(v *view) any { return ratioMode(v.i) },
	"sequential_download":            func(v *view) any { return v.i.Sequential },
	"sequential_download_from_piece": func(v *view) any { return 0 },
	"size_when_done":                 func(v *view) any { return v.i.TotalLength },
	"start_date":                     func(v *view) any { return unix(v.i.Added) },
	"status":                         func(v *view) any { return status(v.i) },
	"torrent_file":                   func(v *view) any { return "" },
	"total_size":                     func(v *view) any { return v.totalSize() },
	"trackers":                       (*view).trackers,
	"tracker_list":                   (*view).trackerList,
	"tracker_stats":                  (*view).trackerStats,
	"uploaded_ever":                  func(v *view) any { return v.i.Uploaded },
	"upload_limit":                   func(v *view) any { return v.i.Up / kilo },
	"upload_limited":                 func(v *view) any { return v.i.Up > 0 },
	"upload_ratio":                   func(v *view) any { return ratio(v.i) },
	"wanted":                         (*view).wanted,
	"webseeds":                       (*view).webSeeds,
	"webseeds_ex":                    (*view).webSeedsEx,
	"webseeds_sending_to_us":         func(v *view) any { return v.webSeedsSending() },
}

// kilo is the number of bytes of a kilobyte in limits.
const kilo = 1000

// The modes of goals: that of the session, that of the torrent, or none.
const (
	modeGlobal    = 0
	modeSingle    = 1
	modeUnlimited = 2
)

func ratioMode(i *daemon.TorrentInfo) int {
	if i.Ratio > 0 {
		return modeSingle
	}
	return modeUnlimited
}

// errorKind returns 3 for an error of this machine, and otherwise 0.
func errorKind(i *daemon.TorrentInfo) int {
	if i.Error != "" {
		return 3
	}
	return 0
}

func labels(i *daemon.TorrentInfo) []string {
	if i.Label == "" {
		return []string{}
	}
	return []string{i.Label}
}

// facts are those of the metainfo of a torrent that runs.
type facts struct {
	Comment, Creator string
	Created          int64
	Pieces           int
	PieceLength      int64
}

func (v *view) meta() facts {
	t := v.running()
	if t == nil {
		return facts{}
	}
	mi := t.MetaInfo()
	return facts{mi.Comment, mi.CreatedBy, unix(mi.CreationDate), mi.Info.NumPieces(), mi.Info.PieceLength}
}

func (v *view) percent() float64 {
	if v.i.TotalLength == 0 {
		return 0
	}
	return float64(v.i.Done) / float64(v.i.TotalLength)
}

func (v *view) totalSize() int64 {
	if t := v.running(); t != nil {
		return t.MetaInfo().Info.TotalLength()
	}
	return v.i.TotalLength
}

// desired returns the bytes that are missing and that a connected peer has.
func (v *view) desired() int64 {
	if v.i.State == daemon.TorrentDownloading {
		return max(0, v.i.TotalLength-v.i.Done)
	}
	return 0
}

// downloading returns the seconds until the download was complete, or until now.
func (v *view) downloading() int64 {
	end := v.i.Completed
	if end.IsZero() {
		end = v.s.opt.Now()
	}
	return max(0, int64(end.Sub(v.i.Added)/time.Second))
}

func (v *view) magnet() string {
	if t := v.running(); t != nil {
		return t.MetaInfo().Magnet().String()
	}
	if v.i.Magnet != "" {
		return v.i.Magnet
	}
	return "magnet:?xt=urn:btih:" + v.i.InfoHash + "&dn=" + url.QueryEscape(v.i.Name)
}

// The fields of files.

func (v *view) files() any {
	list := []object{}
	for _, f := range v.detail().Files {
		list = append(list, object{"name": v.fileName(&f), "length": f.Length, "bytes_completed": f.Done})
	}
	return list
}

// fileName returns the path of a file from the directory of the torrent's data.
func (v *view) fileName(f *daemon.TorrentFile) string {
	if len(v.detail().Files) == 1 && (f.Path == "" || f.Path == v.i.Name) {
		return v.i.Name
	}
	return path.Join(v.i.Name, f.Path)
}

func (v *view) fileStats() any {
	list := []object{}
	for _, f := range v.detail().Files {
		list = append(list, object{"bytes_completed": f.Done, "wanted": f.Priority != "skip", "priority": priorityNumber(f.Priority)})
	}
	return list
}

func (v *view) bytesCompleted() any {
	list := []int64{}
	for _, f := range v.detail().Files {
		list = append(list, f.Done)
	}
	return list
}

func (v *view) priorities() any {
	list := []int{}
	for _, f := range v.detail().Files {
		list = append(list, priorityNumber(f.Priority))
	}
	return list
}

func (v *view) wanted() any {
	list := []bool{}
	for _, f := range v.detail().Files {
		list = append(list, f.Priority != "skip")
	}
	return list
}

// priorityNumber returns the number of a priority: -1, 0 or 1.
func priorityNumber(name string) int {
	switch name {
	case "low":
		return -1
	case "high", "max":
		return 1
	}
	return 0
}

func (v *view) mimeType() any {
	best, kind := int64(-1), "application/octet-stream"
	for _, f := range v.detail().Files {
		if t := mime.TypeByExtension(path.Ext(f.Path)); t != "" && f.Length > best {
			best, kind = f.Length, t
		}
	}
	return kind
}

// pieces returns the bits of the verified pieces in base64.
func (v *view) pieces() any {
	t := v.running()
	if t == nil {
		return ""
	}
	states := t.Pieces()
	bits := make([]byte, (len(states)+7)/8)
	for i, s := range states {
		if s == torrent.PieceHave {
			bits[i/8] |= 0x80 >> (i % 8)
		}
	}
	return base64.StdEncoding.EncodeToString(bits)
}

// The fields of peers.

func (v *view) peers() any {
	list := []object{}
	t := v.running()
	if t == nil {
		return list
	}
	for _, p := range t.PeerStats() {
		addr, _ := netip.ParseAddrPort(p.Key.String())
		list = append(list, object{
			"address": addressOf(addr, p.Key.String()), "port": addr.Port(), "client_name": p.Client, "peer_id": string(p.ID[:]), "progress": p.Have,
			"rate_to_client": int64(p.DownRate), "rate_to_peer": int64(p.UpRate), "bytes_to_client": p.Downloaded, "bytes_to_peer": p.Uploaded,
			"client_is_choked": p.Choked, "client_is_interested": p.Outstanding > 0, "peer_is_choked": !p.Unchoked, "peer_is_interested": p.Interested,
			"is_downloading_from": p.DownRate > 0, "is_uploading_to": p.UpRate > 0, "is_incoming": p.Incoming, "is_encrypted": false,
			"is_utp": p.Transport == torrent.UTP, "flag_str": flags(&p),
		})
	}
	return list
}

// addressOf returns the address of a peer, or its name if it has none.
func addressOf(a netip.AddrPort, name string) string {
	if a.IsValid() {
		return a.Addr().String()
	}
	return name
}

// flags describes a connection in the letters of Transmission.
func flags(p *torrent.PeerStats) string {
	s := ""
	add := func(when bool, letter string) {
		if when {
			s += letter
		}
	}
	add(p.Transport == torrent.UTP, "T")
	add(p.DownRate > 0, "D")
	add(p.DownRate == 0 && !p.Choked && p.Outstanding > 0, "d")
	add(p.UpRate > 0, "U")
	add(p.UpRate == 0 && p.Unchoked && p.Interested, "u")
	add(p.Incoming, "I")
	return s
}

func (v *view) exchanging() (getting, sending int) {
	t := v.running()
	if t == nil {
		return 0, 0
	}
	for _, p := range t.PeerStats() {
		if p.UpRate > 0 {
			getting++
		}
		if p.DownRate > 0 {
			sending++
		}
	}
	return getting, sending
}

// peersFrom says that the sources of the peers are not known one by one.
func peersFrom(i *daemon.TorrentInfo) object {
	return object{"from_cache": 0, "from_dht": 0, "from_incoming": 0, "from_lpd": 0, "from_ltep": 0, "from_pex": 0, "from_tracker": i.Peers}
}

// The fields of trackers.

func (v *view) trackers() any {
	list := []object{}
	for n, t := range v.detail().Trackers {
		list = append(list, object{"id": n, "tier": n, "announce": t.URL, "scrape": "", "sitename": hostOf(t.URL)})
	}
	return list
}

func (v *view) trackerList() any {
	text := ""
	for n, t := range v.detail().Trackers {
		if n > 0 {
			text += "\n\n"
		}
		text += t.URL
	}
	return text
}

func (v *view) trackerStats() any {
	list := []object{}
	for n, t := range v.detail().Trackers {
		announced := !t.LastAnnounce.IsZero()
		result := t.Error
		if result == "" && announced {
			result = "Success"
		}
		count := func(n int) int {
			if n == tracker.Unknown {
				return -1
			}
			return n
		}
		list = append(list, object{
			"id": n, "tier": n, "announce": t.URL, "scrape": "", "host": hostOf(t.URL), "sitename": hostOf(t.URL), "is_backup": false,
			"announce_state": 1, "scrape_state": 0, "has_announced": announced, "has_scraped": false,
			"last_announce_time": unix(t.LastAnnounce), "last_announce_start_time": unix(t.LastAnnounce), "next_announce_time": unix(t.NextAnnounce),
			"last_announce_result": result, "last_announce_succeeded": announced && t.Error == "", "last_announce_timed_out": false, "last_announce_peer_count": 0,
			"last_scrape_result": "", "last_scrape_start_time": 0, "last_scrape_succeeded": false, "last_scrape_time": 0, "last_scrape_timed_out": false, "next_scrape_time": 0,
			"seeder_count": count(t.Seeders), "leecher_count": count(t.Leechers), "download_count": -1, "downloader_count": -1,
		})
	}
	return list
}

// hostOf returns the host of a URL.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// The fields of web seeds.

func (v *view) webSeeds() any {
	list := []string{}
	if t := v.running(); t != nil {
		list = append(list, t.MetaInfo().WebSeeds...)
	}
	return list
}

func (v *view) webSeedsEx() any {
	list := []object{}
	t := v.running()
	if t == nil {
		return list
	}
	for _, w := range t.Stats().WebSeeds {
		list = append(list, object{"url": w.URL, "is_downloading": w.DownRate > 0, "download_bytes_per_second": int64(w.DownRate)})
	}
	return list
}

func (v *view) webSeedsSending() int {
	n := 0
	if t := v.running(); t != nil {
		for _, w := range t.Stats().WebSeeds {
			if w.DownRate > 0 {
				n++
			}
		}
	}
	return n
}
