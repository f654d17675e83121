package transmission

import (
	"encoding/base64"
	"mime"
	"net/netip"
	"net/url"
	"path"

	"spate/internal/daemon"
	"spate/torrent"
	"spate/tracker"
)

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
