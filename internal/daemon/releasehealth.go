package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"spate/internal/doctor"
	"spate/internal/units"
	"spate/publish"
	"spate/site"
	"spate/storage"
)

// ReleaseHealth says how well a release is served, and what to do.
type ReleaseHealth struct {
	publish.Delivery
	Uploaded bool             `json:"uploaded"` // the data was uploaded, and can be deleted with the release
	Trackers []TorrentTracker `json:"trackers"` // empty while the release is not seeded
	Findings []doctor.Finding `json:"findings"`
}

// ReleaseHealth returns the health of a release. It asks no server.
func (p *Publisher) ReleaseHealth(ctx context.Context, r *publish.Release) ReleaseHealth {
	h := ReleaseHealth{Delivery: p.Totals(r).Delivery(r.Size, r.NumFiles), Trackers: []TorrentTracker{}}
	swarm, _ := site.Peers(r, p.Swarm, p.Common)
	if t := p.session.Torrent(r.Hash()); t != nil {
		h.Trackers = trackersOf(t)
	}
	h.Findings = releaseFacts{
		state: p.ReleaseState(ctx, r), trackers: h.Trackers, shutOut: p.ShutOut(), swarm: swarm, finished: h.Finished, firstCopy: r.FirstCopy,
	}.findings()
	return h
}

// releaseFacts are the facts about a release from which findings are made.
type releaseFacts struct {
	state     publish.State
	trackers  []TorrentTracker
	shutOut   string // why peers cannot connect; "" if they can
	swarm     site.Swarm
	finished  int64
	firstCopy time.Duration
}

// findings judges the facts.
func (f releaseFacts) findings() []doctor.Finding {
	list := []doctor.Finding{f.data()}
	if f.state.Name == publish.StateSeeding {
		list = append(list, f.announces()...)
	}
	if f.shutOut != "" {
		list = append(list, doctor.Finding{Check: "reachable", Level: doctor.Warn, Text: f.shutOut, Advice: "forward the port of the peers (TCP and UDP) to this machine"})
	}
	return append(list, f.copies())
}

// data judges the data of the release.
func (f releaseFacts) data() doctor.Finding {
	out := doctor.Finding{Check: "data", Level: doctor.OK, Text: "all data is there, and this machine seeds it"}
	err := f.state.Err
	switch f.state.Name {
	case publish.StateChecking:
		out.Level, out.Text = doctor.Note, fmt.Sprintf("the data is being checked: %.0f %% so far", f.state.Progress*100)
	case publish.StatePaused:
		out.Level, out.Text, out.Advice = doctor.Note, "the release is paused: nobody gets it from this machine", "resume it"
	case publish.StateFailed:
		out.Level, out.Text = doctor.Fail, "this machine does not seed all of the data"
	}
	if err == nil {
		return out
	}
	if out.Level == doctor.Note {
		out.Level = doctor.Warn
	}
	out.Text = err.Error()
	switch {
	case errors.Is(err, publish.ErrGone), errors.Is(err, storage.ErrMissing):
		out.Advice = "put the data back at its path, or withdraw the release"
	case errors.Is(err, publish.ErrChanged), errors.Is(err, storage.ErrChanged):
		out.Advice = "put the old data back, or publish the new data as another version"
	default:
		out.Advice = "see that the user of the daemon can read the data"
	}
	return out
}

// announces judges what the trackers said last.
func (f releaseFacts) announces() (list []doctor.Finding) {
	failed := 0
	for _, t := range f.trackers {
		one := doctor.Finding{Check: "tracker", Subject: t.URL, Level: doctor.OK}
		switch {
		case t.Error != "":
			failed++
			one.Level, one.Text, one.Advice = doctor.Warn, "the tracker did not take the last announce: "+t.Error, "if it stays so, publish the next version without this tracker"
		case t.Warning != "":
			one.Level, one.Text = doctor.Note, "the tracker warns: "+t.Warning
		case t.LastAnnounce.IsZero():
			one.Level, one.Text = doctor.Note, "the tracker has not been asked yet"
		default:
			one.Text = "the tracker answers"
		}
		list = append(list, one)
	}
	if failed > 0 && failed == len(f.trackers) {
		for i := range list {
			list[i].Level, list[i].Advice = doctor.Fail, "no tracker answers, so that peers find each other by the DHT only: see that this machine reaches the tracker"
		}
	}
	slices.SortStableFunc(list, func(a, b doctor.Finding) int { return badness(b.Level) - badness(a.Level) })
	return list
}

// badness orders levels.
func badness(l doctor.Level) int {
	return slices.Index([]doctor.Level{doctor.OK, doctor.Note, doctor.Warn, doctor.Fail}, l)
}

// copies says how many others have the data.
func (f releaseFacts) copies() doctor.Finding {
	out := doctor.Finding{Check: "copies", Level: doctor.OK}
	others := f.swarm.Seeders
	if f.state.Name == publish.StateSeeding {
		others-- // this machine
	}
	switch {
	case f.finished == 0 && others <= 0:
		out.Level, out.Text = doctor.Note, "nobody else has a complete copy yet"
		if f.state.Name == publish.StateSeeding {
			out.Advice = "keep this machine on"
		}
	case others <= 0:
		out.Level, out.Text, out.Advice = doctor.Note, fmt.Sprintf("%s finished, but no other seed is there now", units.Plural(f.finished, "download")), "keep this machine on"
	default:
		out.Text = units.Plural(others, "other seed") + " beside this machine"
	}
	if f.firstCopy > 0 {
		out.Text += "; the first complete copy took " + units.LongDuration(f.firstCopy)
	}
	return out
}
