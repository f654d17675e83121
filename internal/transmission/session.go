package transmission

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"spate/internal/daemon"
	"spate/internal/diskspace"
)

// The versions of the protocol that this package speaks.
const (
	rpcVersion       = 17 // of Transmission 4.0; 3.00 has 16
	rpcVersionLeast  = 14
	rpcVersionSemver = "6.0.0"
)

// sessionGet answers session_get.
func (s *Server) sessionGet(_ context.Context, p params) (object, error) {
	var asked []string
	if _, err := p.get("fields", &asked); err != nil {
		return nil, err
	}
	i := s.session.Info()
	_, free := diskspace.Of(i.DownloadDir)
	transports := []string{}
	if i.UTP {
		transports = append(transports, "utp")
	}
	if i.TCP {
		transports = append(transports, "tcp")
	}
	all := object{
		"anti_brute_force_enabled": false, "blocklist_enabled": i.BlockedRanges > 0, "blocklist_size": i.BlockedRanges, "blocklist_url": "", "cache_size_mib": 0, "config_dir": i.State,
		"default_trackers": "", "dht_enabled": i.DHT, "download_dir": i.DownloadDir, "download_dir_free_space": free,
		"download_queue_enabled": i.MaxDownloads > 0, "download_queue_size": i.MaxDownloads, "encryption": i.Encryption,
		"idle_seeding_limit": 0, "idle_seeding_limit_enabled": false, "incomplete_dir": "", "incomplete_dir_enabled": false, "lpd_enabled": i.LSD,
		"peer_limit_global": 0, "peer_limit_per_torrent": 0, "peer_port": i.PeerPort, "peer_port_random_on_start": false, "pex_enabled": i.PEX, "port_forwarding_enabled": i.PortMapped,
		"preferred_transports": transports, "queue_stalled_enabled": true, "queue_stalled_minutes": 1, "rename_partial_files": false, "reqq": 0,
		"rpc_version": rpcVersion, "rpc_version_minimum": rpcVersionLeast, "rpc_version_semver": rpcVersionSemver,
		"script_torrent_added_enabled": false, "script_torrent_added_filename": "", "script_torrent_done_enabled": false, "script_torrent_done_filename": "",
		"script_torrent_done_seeding_enabled": false, "script_torrent_done_seeding_filename": "",
		"seed_queue_enabled": i.MaxSeeds > 0, "seed_queue_size": i.MaxSeeds, "seed_ratio_limit": 0, "seed_ratio_limited": false, "sequential_download": false, "session_id": s.id,
		"speed_limit_down": i.Down / kilo, "speed_limit_down_enabled": i.Down > 0, "speed_limit_up": i.Up / kilo, "speed_limit_up_enabled": i.Up > 0,
		"start_added_torrents": !s.addPaused.Load(), "tcp_enabled": i.TCP, "trash_original_torrent_files": false, "utp_enabled": i.UTP, "version": "3.00 (spate " + i.Version + ")",
		"units": object{
			"speed_units": []string{"B/s", "kB/s", "MB/s", "GB/s", "TB/s"}, "speed_bytes": 1000,
			"size_units": []string{"B", "kB", "MB", "GB", "TB"}, "size_bytes": 1000,
			"memory_units": []string{"B", "KiB", "MiB", "GiB", "TiB"}, "memory_bytes": 1024,
		},
	}
	maps.Copy(all, altSpeed(&i))
	if asked == nil {
		return all, nil
	}
	out := object{}
	for _, name := range asked {
		if v, ok := all[snake(name)]; ok {
			out[snake(name)] = v
		}
	}
	return out, nil
}

// sessionSet answers session_set. Only the limits of the rates, and whether added torrents start, change
// while the daemon runs.
func (s *Server) sessionSet(_ context.Context, p params) (object, error) {
	for name, raw := range p {
		switch {
		case strings.HasPrefix(name, "script_") && !isZero(raw):
			return nil, unsupported(name, "no program can be set over the network; [[on]] in spate.toml runs programs")
		case name == "start_added_torrents":
		case strings.HasPrefix(name, "alt_speed_"):
			return nil, unsupported(name, "spate schedule sets limits by time, and so does the API")
		case strings.HasPrefix(name, "speed_limit_") || isZero(raw) && strings.HasPrefix(name, "script_"):
		default:
			return nil, unsupported(name, "it is a setting of spate.toml, and holds until the daemon is started again")
		}
	}
	i := s.session.Info()
	up, err := p.sessionLimit("up", i.Up)
	if err != nil {
		return nil, err
	}
	down, err := p.sessionLimit("down", i.Down)
	if err != nil {
		return nil, err
	}
	start := !s.addPaused.Load()
	if _, err := p.get("start_added_torrents", &start); err != nil {
		return nil, err
	}
	s.addPaused.Store(!start)
	s.session.SetRates(up, down)
	return nil, nil
}

// sessionLimit returns the limit of the session in bytes a second after a request. now is the present
// one.
func (p params) sessionLimit(way string, now int64) (int64, error) {
	var rate float64
	hasRate, err := p.get("speed_limit_"+way, &rate)
	if err != nil {
		return 0, err
	}
	on := now > 0
	hasOn, err := p.get("speed_limit_"+way+"_enabled", &on)
	switch {
	case err != nil:
		return 0, err
	case rate < 0:
		return 0, badParams("speed_limit_%s is negative", way)
	case hasOn && !on:
		return 0, nil
	case hasRate && on:
		return inBytes(rate), nil
	case on && now == 0:
		return 0, badParams("speed_limit_%s is missing", way)
	}
	return now, nil
}

// sessionStats answers session_stats. The sums are those of the torrents that are there.
func (s *Server) sessionStats(context.Context, params) (object, error) {
	all, _ := s.torrents.List(daemon.TorrentList{})
	var paused, active int
	var up, down, sent, got int64
	for n := range all {
		t := &all[n]
		up, down, sent, got = up+int64(t.UpRate), down+int64(t.DownRate), sent+t.Uploaded, got+t.Downloaded
		if status(t) == statusStopped {
			paused++
		} else if t.UpRate > 0 || t.DownRate > 0 {
			active++
		}
	}
	sums := func() object {
		return object{"uploaded_bytes": sent, "downloaded_bytes": got, "files_added": len(all), "seconds_active": max(0, s.opt.Now().Unix()-s.session.Info().Started), "session_count": 1}
	}
	return object{
		"active_torrent_count": active, "paused_torrent_count": paused, "torrent_count": len(all), "upload_speed": up, "download_speed": down,
		"cumulative_stats": sums(), "current_stats": sums(),
	}, nil
}

// freeSpace answers free_space for the directories in which torrents may be stored.
func (s *Server) freeSpace(_ context.Context, p params) (object, error) {
	var dir string
	if _, err := p.get("path", &dir); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(dir) {
		return nil, &rpcError{codePath, "path is not absolute"}
	}
	inside := func(folder string) bool {
		rel, err := filepath.Rel(folder, dir)
		return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	}
	if !slices.ContainsFunc(s.session.Info().Folders, inside) {
		return nil, badParams("%s is in none of the folders for downloads", dir)
	}
	total, free := diskspace.Of(dir)
	return object{"path": dir, "size_bytes": free, "total_size": total}, nil
}

// portTest answers port_test with what the daemon knows: it asks no service.
func (s *Server) portTest(context.Context, params) (object, error) {
	return object{"port_is_open": s.session.Info().PortOpen}, nil
}
