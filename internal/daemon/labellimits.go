package daemon

import (
	"slices"

	"spate/internal/schedule"
	"spate/torrent"
)

// limitLabels gives the torrents of each label that has limits now their shares of them, and takes the
// shares back of labels that have none any more.
func (t *Torrents) limitLabels() {
	type member struct {
		e   *addedTorrent
		tor *torrent.Torrent
		rec schedule.Limits
	}
	labels := map[string][]member{}
	limits := map[string]schedule.Limits{}
	t.mu.Lock()
	for _, e := range t.order {
		if e.phase != phaseRunning && e.phase != phaseDormant {
			continue
		}
		l, known := limits[e.rec.Label]
		if !known {
			l = t.timed(e.rec.Label).Limits
			limits[e.rec.Label] = l
		}
		if l == (schedule.Limits{}) && !e.limited {
			continue
		}
		if tor := t.session.Torrent(e.rec.InfoHash); tor != nil { // otherwise it is dormant, and sends nothing
			labels[e.rec.Label] = append(labels[e.rec.Label], member{e, tor, schedule.Limits{Up: e.rec.Up, Down: e.rec.Down}})
		}
	}
	t.mu.Unlock()
	for label, list := range labels {
		l := limits[label]
		up, down := make([]float64, len(list)), make([]float64, len(list))
		for i, m := range list {
			st := m.tor.Stats()
			up[i], down[i] = st.UpRate, st.DownRate
		}
		ups, downs := shares(l.Up, up), shares(l.Down, down)
		for i, m := range list {
			m.tor.SetRates(m.rec.And(schedule.Limits{Up: ups[i], Down: downs[i], Pause: l.Pause}).Rates())
			m.e.limited = l != schedule.Limits{}
		}
	}
}

// shares divides a limit of several torrents among them. rates are their present rates. Torrents that
// use little get half as much again as they use and a part of an equal share, so that they can use
// more; the others share the rest equally. No torrent gets 0, which is no limit; if limit is 0, all
// do.
func shares(limit int64, rates []float64) []int64 {
	out := make([]int64, len(rates))
	if limit == 0 || len(rates) == 0 {
		return out
	}
	order := make([]int, len(rates))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case rates[a] < rates[b]:
			return -1
		case rates[a] > rates[b]:
			return 1
		}
		return a - b
	})
	rest := float64(limit)
	reserve := rest / float64(4*len(rates))
	for k, i := range order {
		share := min(rates[i]*1.5+reserve, rest/float64(len(order)-k))
		if k == len(order)-1 {
			share = rest
		}
		out[i] = max(1, int64(share))
		rest = max(0, rest-share)
	}
	return out
}
