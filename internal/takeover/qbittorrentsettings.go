package takeover

import (
	"cmp"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"spate/internal/folder"
)

// qbSettings are the values of qBittorrent.conf, by SECTION/KEY.
type qbSettings map[string]string

func (c qbSettings) text(key string) string { return c[key] }

func (c qbSettings) real(key string, other float64) float64 {
	if f, err := strconv.ParseFloat(c[key], 64); err == nil {
		return f
	}
	return other
}

// parseConf reads an INI file as Qt writes it.
func parseConf(b []byte) qbSettings {
	conf, section := qbSettings{}, ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		if key, v, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, ";") {
			conf[section+"/"+key] = unquoteQt(strings.TrimSpace(v))
		}
	}
	return conf
}

// unquoteQt returns a value without its quotes and escapes.
func unquoteQt(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'x':
			end := i + 1
			for end < len(s) && end < i+5 && strings.IndexByte("0123456789abcdefABCDEF", s[end]) >= 0 {
				end++
			}
			n, err := strconv.ParseUint(s[i+1:end], 16, 16)
			if err == nil {
				b.WriteRune(rune(n))
			}
			i = end - 1
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// readQBittorrentConf reads the settings and categories in a directory, and translates what this
// program has too.
func readQBittorrentConf(dir string, s *State) qbSettings {
	if dir == "" {
		s.Notes = append(s.Notes, "the settings of qBittorrent were not found")
		return nil
	}
	in, err := folder.Open(dir, folder.Options{FollowLinks: true})
	if err != nil {
		s.Notes = append(s.Notes, "the settings of qBittorrent cannot be read: "+err.Error())
		return nil
	}
	defer in.Close()
	conf := qbSettings{}
	if b, err := in.ReadFile("qBittorrent.conf", maxSettings); err == nil {
		conf = parseConf(b)
	} else {
		s.Notes = append(s.Notes, "the settings of qBittorrent cannot be read: "+err.Error())
	}
	get := func(key string) string { return conf["BitTorrent/Session\\"+key] }
	var dirs []string
	if d := cmp.Or(get("DefaultSavePath"), conf["Preferences/Downloads\\SavePath"]); d != "" {
		dirs = append(dirs, d)
	}
	var categories map[string]struct {
		SavePath string `json:"save_path"`
	}
	if b, err := in.ReadFile("categories.json", maxSettings); err == nil && json.Unmarshal(b, &categories) == nil {
		for _, name := range slices.Sorted(maps.Keys(categories)) {
			if p := categories[name].SavePath; filepath.IsAbs(p) {
				dirs = append(dirs, labelOf(name)+"="+p)
			}
		}
	}
	if len(dirs) > 0 {
		s.set("download-dir", quotedList(dirs...))
	}
	for key, name := range map[string]string{"Port": "peer-port", "MaxActiveDownloads": "max-downloads", "MaxActiveUploads": "max-seeds"} {
		if n, err := strconv.Atoi(get(key)); err == nil && n > 0 && (key == "Port" || get("QueueingSystemEnabled") != "false") {
			s.set(name, strconv.Itoa(n))
		}
	}
	for key, name := range map[string]string{"GlobalUPSpeedLimit": "up", "GlobalDLSpeedLimit": "down"} {
		if n, err := strconv.ParseInt(get(key), 10, 32); err == nil && n > 0 {
			s.set(name, quoted(strconv.FormatInt(n*1024, 10)))
		}
	}
	s.setSwitches(map[string]bool{"no-dht": get("DHTEnabled") == "false", "no-pex": get("PeXEnabled") == "false", "no-lsd": get("LSDEnabled") == "false",
		"no-portmap": conf["Network/PortForwardingEnabled"] == "false", "no-utp": get("BTProtocol") == "TCP"})
	switch get("Encryption") {
	case "1":
		s.set("encryption", quoted("require"))
	case "2":
		s.set("encryption", quoted("off"))
	}
	for key, what := range map[string]string{"BitTorrent/Session\\IPFilteringEnabled": "its IP filter (see the setting ip-filter)", "AutoRun/enabled": "its program to run at the end of a download (see [[on]])",
		"BitTorrent/Session\\BandwidthSchedulerEnabled": "its times of other speed limits", "RSS/AutoDownloader\\EnableProcessing": "its rules of feeds"} {
		if conf[key] == "true" {
			s.Notes = append(s.Notes, what+" is not taken over")
		}
	}
	s.sort()
	return conf
}
