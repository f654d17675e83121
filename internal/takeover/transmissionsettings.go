package takeover

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"spate/internal/folder"
)

// readSettingsJSON reads settings.json, and translates what this program has too.
func readSettingsJSON(top *folder.Folder, s *State) dict {
	b, err := top.ReadFile("settings.json", maxSettings)
	if err != nil {
		s.Notes = append(s.Notes, "the settings of Transmission cannot be read: "+err.Error())
		return dict{}
	}
	var raw map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		s.Notes = append(s.Notes, "the settings of Transmission cannot be read: "+err.Error())
		return dict{}
	}
	conf := dict{}
	for k, v := range raw {
		k = strings.ReplaceAll(k, "-", "_")
		switch v := v.(type) {
		case bool:
			conf[k] = int64(0)
			if v {
				conf[k] = int64(1)
			}
		case float64:
			if v == float64(int64(v)) {
				conf[k] = int64(v)
			} else {
				conf[k] = strconv.FormatFloat(v, 'g', -1, 64)
			}
		case string:
			conf[k] = v
		}
	}
	on := func(key string) bool { return conf.int(key) != 0 }
	if dir := conf.string("download_dir"); dir != "" {
		s.set("download-dir", quotedList(dir))
	}
	if on("watch_dir_enabled") && conf.string("watch_dir") != "" {
		s.set("add-from", quotedList(conf.string("watch_dir")))
	}
	if p := conf.int("peer_port"); p > 0 && !on("peer_port_random_on_start") {
		s.set("peer-port", strconv.FormatInt(p, 10))
	}
	for key, name := range map[string]string{"speed_limit_up": "up", "speed_limit_down": "down"} {
		if on(key + "_enabled") {
			s.set(name, quoted(strconv.FormatInt(conf.int(key), 10)+"k"))
		}
	}
	for key, name := range map[string]string{"download_queue": "max-downloads", "seed_queue": "max-seeds"} {
		if on(key+"_enabled") && conf.int(key+"_size") > 0 {
			s.set(name, strconv.FormatInt(conf.int(key+"_size"), 10))
		}
	}
	s.setSwitches(map[string]bool{"no-dht": conf.intOr("dht_enabled", 1) == 0, "no-pex": conf.intOr("pex_enabled", 1) == 0, "no-lsd": conf.intOr("lpd_enabled", 1) == 0,
		"no-utp": conf.intOr("utp_enabled", 1) == 0, "no-portmap": conf.intOr("port_forwarding_enabled", 1) == 0})
	switch conf.intOr("encryption", -1) {
	case 1:
		s.set("encryption", quoted("prefer"))
	case 2:
		s.set("encryption", quoted("require"))
	}
	if on("rpc_enabled") {
		s.Notes = append(s.Notes, "remotes connect with the setting transmission-rpc = \"ADDR:"+strconv.FormatInt(conf.intOr("rpc_port", 9091), 10)+"\" and a token of spate serve token")
	}
	for key, what := range map[string]string{"alt_speed_time_enabled": "its times of other speed limits", "blocklist_enabled": "its blocklist (see the setting ip-filter)",
		"script_torrent_done_enabled": "its program to run at the end of a download (see [[on]])"} {
		if on(key) {
			s.Notes = append(s.Notes, what+" is not taken over")
		}
	}
	s.sort()
	return conf
}

// quoted returns s as a TOML string.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a JSON string is a TOML basic string
	return string(b)
}

func quotedList(s ...string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (s *State) set(name, value string) { s.Settings = append(s.Settings, Setting{name, value}) }

func (s *State) setSwitches(off map[string]bool) {
	for name, set := range off {
		if set {
			s.set(name, "true")
		}
	}
}

func (s *State) sort() {
	slices.SortFunc(s.Settings, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(s.Notes)
}

// seconds returns n seconds, within what a duration holds.
func seconds(n int64) time.Duration { return time.Duration(min(max(n, 0), 1<<32)) * time.Second }
