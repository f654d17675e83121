package transmission

import (
	"math"
	"net/url"
	"time"

	"spate/internal/daemon"
	"spate/torrent"
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
	"seed_idle_limit":                func(v *view) any { return v.i.SeedIdle / secondsOfIdle },
	"seed_idle_mode":                 func(v *view) any { return goalMode(float64(v.i.SeedIdle)) },
	"seed_ratio_limit":               func(v *view) any { return v.i.Ratio },
	"seed_ratio_mode":                func(v *view) any { return goalMode(v.i.Ratio) },
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

// goalMode returns the mode of a goal, which is 0 if there is none.
func goalMode(goal float64) int {
	if goal > 0 {
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
