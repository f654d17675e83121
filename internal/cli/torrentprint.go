package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"spate/internal/daemon"
	"spate/internal/units"
)

// torrentState returns the state of an added torrent with its progress.
func torrentState(t *daemon.TorrentInfo) string {
	if t.Held != "" {
		return "held (" + t.Held + ")"
	}
	switch t.State {
	case daemon.TorrentSeeding, daemon.TorrentFinished, daemon.TorrentMetadata, daemon.TorrentMoving, daemon.TorrentRemoving:
		return t.State
	}
	if t.Progress <= 0 || t.Progress >= 1 {
		return t.State
	}
	return fmt.Sprintf("%s %d%%", t.State, int(t.Progress*100))
}

// torrentTotalWords describes the added torrents of a daemon.
func torrentTotalWords(t *daemon.TorrentTotals) string {
	if t == nil || t.Count == 0 {
		return ""
	}
	var parts []string
	for _, s := range []string{
		daemon.TorrentDownloading, daemon.TorrentStalled, daemon.TorrentMetadata, daemon.TorrentChecking, daemon.TorrentSeeding,
		daemon.TorrentQueued, daemon.TorrentPaused, daemon.TorrentFinished, daemon.TorrentMoving, daemon.TorrentRemoving, daemon.TorrentFailed,
	} {
		if n := t.States[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(slices.Insert(parts, 0, fmt.Sprint(t.Count)), ", ")
}

// printTorrent prints the state of an added torrent.
func (a *app) printTorrent(t daemon.TorrentDetails) error {
	if a.JSON {
		return a.PrintJSON(t)
	}
	state := torrentState(&t.TorrentInfo)
	if why := t.Error + t.StallReason; why != "" {
		state += ": " + why
	}
	rates := ""
	if t.DownRate >= 1 || t.UpRate >= 1 {
		rates = units.Rate(t.DownRate) + " down, " + units.Rate(t.UpRate) + " up"
	}
	completed := ""
	if !t.Completed.IsZero() {
		completed = t.Completed.Local().Format(time.DateTime)
	}
	facts := [][2]string{
		{"torrent", t.Name}, {"info-hash", t.InfoHash}, {"state", state}, {"label", t.Label}, {"feed", t.Feed}, {"data", t.Path},
		{"size", fmt.Sprintf("%s of %s, %s", units.Bytes(t.Done), units.Bytes(t.TotalLength), units.Plural(t.NumFiles, "file"))},
		{"received", units.Bytes(t.Downloaded)}, {"sent", units.Bytes(t.Uploaded)}, {"rates", rates},
		{"swarm", fmt.Sprintf("%s, %s; %s connected", units.Plural(t.Seeders, "seed"), units.Plural(t.Leechers, "downloader"), units.Plural(t.Peers, "peer"))},
		{"limits", limitWords(&t.TorrentOptions)}, {"goal", goalWords(&t.TorrentOptions)},
		{"added", t.Added.Local().Format(time.DateTime)}, {"completed", completed},
	}
	for _, tr := range t.Trackers {
		text := tr.URL
		if why := tr.Error + tr.Warning; why != "" {
			text += ": " + why
		}
		facts = append(facts, [2]string{"tracker", text})
	}
	return a.facts(facts)
}

// limitWords describes the limits of a torrent, or returns "" if it has none.
func limitWords(o *daemon.TorrentOptions) string {
	var parts []string
	if o.Down > 0 {
		parts = append(parts, units.Rate(float64(o.Down))+" down")
	}
	if o.Up > 0 {
		parts = append(parts, units.Rate(float64(o.Up))+" up")
	}
	return strings.Join(parts, ", ")
}

// goalWords describes when a torrent ends to seed, or returns "" if it does not.
func goalWords(o *daemon.TorrentOptions) string {
	var parts []string
	if o.NoSeed {
		parts = append(parts, "do not seed")
	}
	if o.Ratio > 0 {
		parts = append(parts, fmt.Sprintf("ratio %g", o.Ratio))
	}
	if o.SeedTime > 0 {
		parts = append(parts, "seed for "+units.Duration(time.Duration(o.SeedTime)*time.Second))
	}
	return strings.Join(parts, ", ")
}

// printTorrentChange prints a change of an added torrent of this serve.
func (a *app) printTorrentChange(what string, i *daemon.TorrentInfo) {
	switch {
	case a.JSON:
		a.PrintJSON(torrentEvent{what, *i})
	case what == "failed":
		a.Warnf("%s failed: %s", i.Name, i.Error)
	case what == "stalled":
		a.Notef("%s", strings.TrimSuffix(i.Name+" receives nothing: "+i.StallReason, ": "))
	case what == "metadata":
		a.Notef("%s: a peer has sent the torrent", i.Name)
	default:
		a.Notef("%s %s", what, i.Name)
	}
}
