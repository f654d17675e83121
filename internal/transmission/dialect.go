package transmission

import (
	"encoding/json"
	"strings"
	"unicode"
)

// object is a JSON object with the keys of 4.1.
type object = map[string]any

// request is one request of either dialect.
type request struct {
	// 3.00
	Arguments json.RawMessage `json:"arguments"`
	Tag       json.RawMessage `json:"tag"`
	// 4.1
	Version string          `json:"jsonrpc"`
	Params  json.RawMessage `json:"params"`
	ID      json.RawMessage `json:"id"`

	Method string `json:"method"`
}

// modern reports whether a request is one of JSON-RPC 2.0.
func (r *request) modern() bool { return r.Version != "" }

// snake converts a key of 3.00 to that of 4.1: downloadDir and download-dir to download_dir.
func snake(key string) string {
	var b strings.Builder
	before := rune('_')
	for _, r := range key {
		switch {
		case r == '-':
			r = '_'
		case unicode.IsUpper(r):
			if unicode.IsLower(before) || unicode.IsDigit(before) {
				b.WriteByte('_')
			}
			before, r = r, unicode.ToLower(r)
			b.WriteRune(r)
			continue
		}
		before = r
		b.WriteRune(r)
	}
	return b.String()
}

// camel converts a key of 4.1 to the spelling that 3.00 has below torrents.
func camel(key string) string {
	if s, ok := oldTorrentKeys[key]; ok {
		return s
	}
	var b strings.Builder
	up := false
	for _, r := range key {
		if r == '_' {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}

// kebab converts a key of 4.1 to the spelling that 3.00 has elsewhere.
func kebab(key string) string {
	if s, ok := oldKeys[key]; ok {
		return s
	}
	return strings.ReplaceAll(key, "_", "-")
}

// oldTorrentKeys are the keys below torrents that 3.00 does not write in camelCase.
var oldTorrentKeys = map[string]string{
	"is_utp": "isUTP", "file_count": "file-count", "peer_limit": "peer-limit", "primary_mime_type": "primary-mime-type",
	"sequential_download": "sequential_download", "tracker_list": "trackerList",
}

// oldKeys are the keys elsewhere that 3.00 does not write with hyphens.
var oldKeys = map[string]string{
	"seed_ratio_limit": "seedRatioLimit", "seed_ratio_limited": "seedRatioLimited", "total_size": "total_size", "hash_string": "hashString",
	"active_torrent_count": "activeTorrentCount", "paused_torrent_count": "pausedTorrentCount", "torrent_count": "torrentCount",
	"download_speed": "downloadSpeed", "upload_speed": "uploadSpeed",
	"uploaded_bytes": "uploadedBytes", "downloaded_bytes": "downloadedBytes", "files_added": "filesAdded", "seconds_active": "secondsActive", "session_count": "sessionCount",
}

// renamed returns v with each key of its objects changed by f.
func renamed(v any, f func(string) string) any {
	switch v := v.(type) {
	case object:
		out := make(object, len(v))
		for k, one := range v {
			out[f(k)] = renamed(one, f)
		}
		return out
	case []object:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = renamed(one, f)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = renamed(one, f)
		}
		return out
	}
	return v
}

// oldTorrents returns the torrents of a reply in the spelling of 3.00. A field has the spelling in
// which it was asked for.
func oldTorrents(list []object, asked []string) []object {
	out := make([]object, len(list))
	for i, t := range list {
		o := make(object, len(asked))
		for _, name := range asked {
			v, ok := t[snake(name)]
			if !ok {
				continue
			}
			if flags, isWanted := v.([]bool); isWanted { // 3.00 writes numbers
				numbers := make([]int, len(flags))
				for i, f := range flags {
					if f {
						numbers[i] = 1
					}
				}
				v = numbers
			}
			o[name] = renamed(v, camel)
		}
		out[i] = o
	}
	return out
}

// table returns torrents in the format "table": the names of the fields, and then the values of each
// torrent.
func table(list []object, asked []string) []any {
	var names []any
	for _, name := range asked {
		names = append(names, name)
	}
	rows := []any{names}
	for _, t := range list {
		row := make([]any, len(asked))
		for i, name := range asked {
			row[i] = t[name]
		}
		rows = append(rows, row)
	}
	return rows
}
