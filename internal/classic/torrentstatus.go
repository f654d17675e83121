package classic

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/torrent"
)

// spew returns a line for each peer if --spew is set.
func (r *run) spew(t *torrent.Torrent) string {
	if r.v.Int("spew") == 0 {
		return ""
	}
	var b strings.Builder
	for _, p := range t.PeerStats() {
		b.WriteString(PeerLine(p.Key.String(), termsafe.Line(p.Client), p.Incoming, p.DownRate, p.UpRate, p.Have, p.Downloaded, p.Uploaded))
	}
	return b.String()
}

// statusOf returns the status of a torrent as the old tools showed it. seeded reports
// whether the torrent was complete when it was added.
func statusOf(t *torrent.Torrent, path string, seeded bool) *Status {
	st := t.Stats()
	s := &Status{
		Name: termsafe.Line(st.Name), Path: termsafe.Line(path), Size: st.BytesTotal, Left: Unknown, Fraction: 1,
		Down: st.DownRate, Up: st.UpRate, Downloaded: st.Downloaded, Uploaded: st.Uploaded, Seeds: st.Seeds, Peers: st.Leechers,
	}
	if abs, err := filepath.Abs(path); err == nil {
		s.Path = termsafe.Line(abs)
	}
	if st.BytesTotal > 0 {
		s.Fraction = float64(st.BytesDone) / float64(st.BytesTotal)
	}
	for _, p := range t.PeerStats() {
		s.Copies += p.Have
	}
	switch st.State {
	case torrent.StateChecking:
		s.Activity = "checking existing file"
		s.Fraction = float64(st.Checked) / float64(max(st.Pieces, 1))
	case torrent.StateSeeding:
		s.Finished = !seeded
		if seeded {
			s.Activity = "seeding"
		}
	case torrent.StateFailed:
		s.Activity = "stopped"
		s.Errors = append(s.Errors, termsafe.Line(fault.Message(st.Err)))
	case torrent.StateDownloading:
		if st.Peers == 0 {
			s.Activity = "connecting to peers"
		} else if st.DownRate >= 1 {
			s.Left = time.Duration(float64(st.BytesTotal-st.BytesDone) / st.DownRate * float64(time.Second))
		}
	}
	for _, tr := range st.Trackers {
		if tr.Err != nil && !errors.Is(tr.Err, context.Canceled) {
			s.Errors = append(s.Errors, "Problem connecting to tracker - "+termsafe.Line(termsafe.Clip(fault.Message(tr.Err), 300)))
		}
	}
	return s
}
