package onevent

import (
	"strconv"
	"strings"
	"time"
)

// Kind is the kind of an [Event], by its name in the settings.
type Kind string

// The kinds of events.
const (
	Published     Kind = "published"       // a release was published
	Withdrawn     Kind = "withdrawn"       // a release was withdrawn
	Added         Kind = "added"           // a download was added
	Metadata      Kind = "metadata"        // the metadata of a magnet link has arrived
	Completed     Kind = "completed"       // a download is complete
	Stalled       Kind = "stalled"         // a download makes no progress
	Failed        Kind = "error"           // a torrent halted
	DiskFull      Kind = "disk-full"       // a torrent halted because the disk is full
	FirstFullCopy Kind = "first-full-copy" // the downloaders of a release have all of it together
	MappingLost   Kind = "mapping-lost"    // the router does not let others in any more
	VolumeWarning Kind = "volume-warning"  // 80 % of the monthly volume is used
	VolumeReached Kind = "volume-reached"  // the monthly volume is used up
)

// Kinds lists all kinds.
var Kinds = [...]Kind{Published, Withdrawn, Added, Metadata, Completed, Stalled, Failed, DiskFull, FirstFullCopy, MappingLost, VolumeWarning, VolumeReached}

// Event is something that has happened. A field that does not apply is empty. Name and Message can
// contain any text, because strangers choose the names of torrents.
type Event struct {
	Kind     Kind      `json:"event"`
	Time     time.Time `json:"time"`
	Name     string    `json:"name,omitempty"`      // of the release or the torrent
	ID       string    `json:"id,omitempty"`        // of the release
	InfoHash string    `json:"info_hash,omitempty"` // in hex
	Path     string    `json:"path,omitempty"`      // of the data on this machine
	Size     int64     `json:"size,omitempty"`      // in bytes
	PageURL  string    `json:"page_url,omitempty"`  // of the release
	Label    string    `json:"label,omitempty"`
	Feed     string    `json:"feed,omitempty"`    // name of the feed that named the torrent
	Message  string    `json:"message,omitempty"` // what is wrong, or what else there is to say
}

// variablePrefix begins the names of the variables that programs get.
const variablePrefix = "SPATE_EVENT_"

// environ returns the environment base with the variables of e instead of those of another event.
func (e *Event) environ(base []string) []string {
	var env []string
	for _, v := range base {
		if !strings.HasPrefix(v, variablePrefix) {
			env = append(env, v)
		}
	}
	add := func(name, value string) {
		env = append(env, variablePrefix+name+"="+strings.ReplaceAll(value, "\x00", ""))
	}
	add("KIND", string(e.Kind))
	add("TIME", e.Time.UTC().Format(time.RFC3339))
	for _, v := range [...]struct{ name, value string }{
		{"NAME", e.Name}, {"ID", e.ID}, {"INFO_HASH", e.InfoHash}, {"PATH", e.Path},
		{"PAGE_URL", e.PageURL}, {"LABEL", e.Label}, {"FEED", e.Feed}, {"MESSAGE", e.Message},
	} {
		if v.value != "" {
			add(v.name, v.value)
		}
	}
	if e.Size > 0 {
		add("SIZE", strconv.FormatInt(e.Size, 10))
	}
	return env
}
