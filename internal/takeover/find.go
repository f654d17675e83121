package takeover

import (
	"os"
	"path/filepath"
	"strings"

	"spate/internal/fault"
)

// Read reads the torrents of a program from the directory dir, or from where the program keeps them
// if dir is empty. environ looks up environment variables.
func Read(program, dir string, environ func(string) string) (*State, error) {
	find, ok := map[string]func(string) (data, conf string){"transmission": transmissionIn, "qbittorrent": qBittorrentIn}[program]
	if !ok {
		return nil, fault.UsageHint("write "+strings.Join(Programs, " or "), "spate cannot import from %q", program)
	}
	dirs := []string{dir}
	if dir == "" {
		dirs = usual(program, environ)
	}
	var data, conf string
	for _, d := range dirs {
		if d, err := filepath.Abs(d); err == nil {
			if in, settings := find(d); in != "" {
				if data != "" && data != in {
					return nil, fault.UsageHint("name the directory", "torrents of %s are in %s and in %s", program, data, in)
				}
				data, conf = in, settings
			}
		}
	}
	if data == "" {
		return nil, fault.New(fault.NotFound, "name the directory of its settings", "no torrents of %s were found in %s", program, strings.Join(dirs, ", "))
	}
	var s *State
	var err error
	if program == "transmission" {
		s, err = readTransmission(data)
	} else {
		s, err = readQBittorrent(data, conf)
	}
	if err != nil {
		return nil, err
	}
	for _, d := range usual(program, environ) {
		in, _ := find(d)
		s.usual = s.usual || in == data
	}
	return s, nil
}

// usual returns the directories in which a program keeps its torrents.
func usual(program string, environ func(string) string) []string {
	home := environ("HOME")
	base := func(variable, below string) string {
		if v := environ(variable); filepath.IsAbs(v) {
			return v
		}
		return filepath.Join(home, below)
	}
	conf, data := base("XDG_CONFIG_HOME", ".config"), base("XDG_DATA_HOME", ".local/share")
	if program == "qbittorrent" {
		return []string{filepath.Join(data, "qBittorrent"), filepath.Join(data, "data", "qBittorrent"), filepath.Join(home, "Library/Application Support/qBittorrent"),
			filepath.Join(environ("LOCALAPPDATA"), "qBittorrent")}
	}
	dirs := []string{filepath.Join(conf, "transmission-daemon"), filepath.Join(conf, "transmission"), "/var/lib/transmission-daemon/.config/transmission-daemon",
		"/var/lib/transmission/.config/transmission-daemon", filepath.Join(home, "Library/Application Support/Transmission")}
	if d := environ("TRANSMISSION_HOME"); d != "" {
		dirs = append([]string{d}, dirs...)
	}
	return dirs
}

// transmissionIn returns dir if it is a directory of Transmission.
func transmissionIn(dir string) (data, conf string) {
	if isDir(dir, "torrents") {
		return dir, dir
	}
	return "", ""
}

// qBittorrentIn returns the directories of the torrents and of the settings of qBittorrent. dir is
// one of the torrents, the one above it, or a profile.
func qBittorrentIn(dir string) (data, conf string) {
	for _, at := range [][2]string{
		{"BT_backup", "."}, {"BT_backup", "../config"}, {"data/BT_backup", "config"}, {"qBittorrent/data/BT_backup", "qBittorrent/config"}, {"BT_backup", "../../../.config/qBittorrent"},
	} {
		if isDir(dir, at[0]) {
			data = filepath.Join(dir, at[0])
			if isFile(dir, at[1], "qBittorrent.conf") {
				return data, filepath.Join(dir, at[1])
			}
		}
	}
	if data == "" && filepath.Base(dir) == "BT_backup" && isDir(dir) {
		return qBittorrentIn(filepath.Dir(dir))
	}
	return data, ""
}

func isDir(path ...string) bool {
	fi, err := os.Stat(filepath.Join(path...))
	return err == nil && fi.IsDir()
}

func isFile(path ...string) bool {
	fi, err := os.Stat(filepath.Join(path...))
	return err == nil && fi.Mode().IsRegular()
}

// exists reports whether there is an entry at path, or at path with an ending.
func exists(path, ending string) bool {
	if _, err := os.Lstat(path); err == nil {
		return true
	}
	_, err := os.Lstat(path + ending)
	return err == nil
}
