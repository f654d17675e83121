package cli

import (
	"fmt"
	"strings"
	"time"

	"spate/internal/daemon"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/publish"
)

// storyWords describes downloads: "3 downloading, 12 finished, sent 1.1 copies, saved 4.2 GB". It
// omits numbers that are zero, and returns "" if all are.
func storyWords(s daemon.Story) string {
	var parts []string
	if s.Downloading > 0 {
		parts = append(parts, units.Count(int64(s.Downloading))+" downloading")
	}
	if s.Finished > 0 {
		parts = append(parts, units.Count(s.Finished)+" finished")
	}
	switch {
	case s.Copies >= 0.1:
		parts = append(parts, fmt.Sprintf("sent %.1f copies", s.Copies))
	case s.Sent > 0:
		parts = append(parts, "sent "+units.Bytes(s.Sent))
	}
	if s.Saved > 0 {
		parts = append(parts, "saved "+units.Bytes(s.Saved))
	}
	return strings.Join(parts, ", ")
}

// storyOf returns the story of one release.
func storyOf(r *publish.ReleaseInfo) daemon.Story {
	return daemon.Story{Downloading: r.Live.Leechers, Sent: r.OriginBytes(), Delivery: r.Delivery(r.TotalLength, r.NumFiles)}
}

// storyLine is the status line of a publisher. rate is the upload rate in bytes a second. The
// line says nothing about sending while nobody is connected and nobody downloads.
func storyLine(s daemon.Story, peers int, rate float64) string {
	line := storyWords(s)
	if line == "" {
		line = "waiting for the first download"
	}
	if rate >= 1 && (peers > 0 || s.Downloading > 0) {
		line += ", " + units.Rate(rate) + " up"
	}
	return line
}

// finishEvent is the event that publish and serve print with --json after downloads of a release
// have finished.
type finishEvent struct {
	Event     string `json:"event"` // "finished"
	Ref       string `json:"ref"`
	Name      string `json:"name"`
	Downloads int64  `json:"downloads"` // that have finished since the last event
	publish.Delivery
	FirstCopy float64 `json:"first_copy_seconds,omitempty"` // of the first complete copy: time since the first download began
}

// finished prints that downloads of a release have finished. With --json it prints an event, but
// only after the event "ready".
func (n *reachNews) finished(f publish.Finish) {
	d := f.Total.Delivery(f.Release.Size, f.Release.NumFiles)
	if n.app.JSON {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.ready {
			n.app.PrintJSON(finishEvent{"finished", f.Release.Ref(), f.Release.StoredName(), f.Downloads, d, f.FirstCopy.Seconds()})
		}
		return
	}
	n.app.Notef("%s", finishLine(f, d))
}

// finishLine says that downloads of a release have finished.
func finishLine(f publish.Finish, d publish.Delivery) string {
	words := storyWords(daemon.Story{Sent: f.Total.OriginBytes(), Delivery: d})
	if f.FirstCopy > 0 {
		return fmt.Sprintf("%s: the first copy is complete, %s after its download began; %s", f.Release.Ref(), units.LongDuration(f.FirstCopy.Round(time.Second)), words)
	}
	return fmt.Sprintf("%s: %s more %s complete; %s", f.Release.Ref(), units.Count(f.Downloads), units.Agree(f.Downloads, "copy is", "copies are"), words)
}

// hashingWords describes the progress of hashing: "hashing a.iso, 45 %, 12s left".
func hashingWords(name string, done, total int64, rate float64) string {
	s := "hashing " + termsafe.Clip(name, 40)
	if total > 0 {
		s += fmt.Sprintf(", %d %%", int(float64(done)/float64(total)*100))
	}
	if rate >= 1 && done < total {
		s += ", " + units.Duration(time.Duration(float64(total-done)/rate*float64(time.Second))) + " left"
	}
	return s
}

// hashingNow describes the entry of a watched folder that is hashed now, or returns "".
func hashingNow(folders []*publish.Folder) string {
	for _, f := range folders {
		if h := f.Status().Hashing; h != nil {
			return hashingWords(h.Name, h.Done, h.Total, h.Rate)
		}
	}
	return ""
}
