package trackerstats

import (
	"bytes"
	"slices"
	"time"

	"spate"
	"spate/tracker"
	"spate/tracker/swarm"
)

// release is a torrent with several swarms: those of the two info-hashes of a hybrid, which most
// clients announce both, and those of other torrents with the same data.
type release struct {
	own    []spate.InfoHash // the info-hashes of the torrent, the main one first
	others []spate.InfoHash // the info-hashes of other torrents with the same data
}

// releasesOf returns the allowed torrents that have several swarms, by each of their info-hashes.
func releasesOf(t Tracker) map[spate.InfoHash]*release {
	all := map[spate.InfoHash]*release{}
	for ih, note := range t.Allowed() {
		main := note.Release
		switch {
		case main.IsZero() && note.Pair.IsZero():
			continue
		case main.IsZero():
			main = ih
			if bytes.Compare(ih[:], note.Pair[:]) > 0 {
				main = note.Pair
			}
		}
		r := all[main]
		if r == nil {
			r = &release{own: []spate.InfoHash{main}}
			all[main] = r
		}
		switch {
		case ih == main:
		case note.Pair == main:
			r.own = append(r.own, ih)
		default:
			r.others = append(r.others, ih)
		}
		all[ih] = r
	}
	for _, r := range all {
		slices.SortFunc(r.others, func(a, b spate.InfoHash) int { return bytes.Compare(a[:], b[:]) })
	}
	return all
}

// commoner is a store that knows which peers are in two swarms. [swarm.Table] is one.
type commoner interface {
	Common(now time.Time, a, b spate.InfoHash) (seeders, leechers uint32)
	Origins(ih spate.InfoHash) int
}

// count returns the counts of a release, in which each peer and each download counts once, and what
// the counts of its swarms together have beyond that. Of the swarms of a hybrid it takes the greater
// counts, because most clients are in both.
func (r *release) count(t Tracker, now time.Time) (once swarm.Stats, twice swarm.Totals) {
	store := t.Store()
	common, _ := store.(commoner)
	all := swarm.Stats{}
	add := func(ih spate.InfoHash) (s, l, c uint32) {
		s, l, c, _ = store.Scrape(now, ih)
		all.Seeders, all.Leechers, all.Completed = all.Seeders+s, all.Leechers+l, all.Completed+c
		return s, l, c
	}
	once.InfoHash = r.own[0]
	for _, ih := range r.own {
		s, l, c := add(ih)
		once.Seeders, once.Leechers, once.Completed = max(once.Seeders, s), max(once.Leechers, l), max(once.Completed, c)
	}
	for _, ih := range r.others {
		s, l, c := add(ih)
		var both swarm.Stats
		if common != nil {
			both.Seeders, both.Leechers = common.Common(now, ih, r.own[0])
		}
		once.Seeders += s - min(s, both.Seeders)
		once.Leechers += l - min(l, both.Leechers)
		once.Completed += c
	}
	twice = swarm.Totals{SeedersTwice: int(all.Seeders - once.Seeders), LeechersTwice: int(all.Leechers - once.Leechers), Completed: uint64(all.Completed - once.Completed)}
	if common != nil {
		most := 0
		for _, ih := range slices.Concat(r.own, r.others) {
			n := common.Origins(ih)
			twice.Pinned += n
			most = max(most, n)
		}
		twice.Pinned -= most
	}
	return once, twice
}

// totals returns the totals of t, in which the swarms of a release count as one.
func totals(t Tracker, releases map[spate.InfoHash]*release, now time.Time) (tot swarm.Totals, origins int) {
	var twice swarm.Totals
	for ih, r := range releases {
		if ih != r.own[0] {
			continue
		}
		_, more := r.count(t, now)
		twice.SeedersTwice += more.SeedersTwice
		twice.LeechersTwice += more.LeechersTwice
		twice.Completed += more.Completed
		twice.Pinned += more.Pinned
	}
	tot = t.Store().Totals()
	return withoutTwice(tot, twice), max(0, tot.Pinned-twice.Pinned)
}

// withoutTwice returns totals without what is in twice. The two are not of the same moment, because
// peers leave and swarms are removed meanwhile, so no difference becomes negative.
func withoutTwice(tot, twice swarm.Totals) swarm.Totals {
	tot.SeedersTwice += max(0, min(twice.SeedersTwice, tot.Seeders()))
	tot.LeechersTwice += max(0, min(twice.LeechersTwice, tot.Leechers()))
	tot.Completed -= min(twice.Completed, tot.Completed)
	return tot
}

// statsOf returns the entry of a release in a report, without name and size.
func (r *release) statsOf(t Tracker, now time.Time) TorrentStats {
	n, _ := r.count(t, now)
	ts := TorrentStats{InfoHash: n.InfoHash, Hash: n.InfoHash.String(), Complete: n.Seeders, Downloading: n.Leechers, Downloaded: n.Completed}
	if len(r.own) > 1 {
		ts.Pair = r.own[1].String()
	}
	return ts
}

// statsOf returns the entry of a torrent with one swarm.
func statsOf(b swarm.Stats) TorrentStats {
	return TorrentStats{InfoHash: b.InfoHash, Hash: b.InfoHash.String(), Complete: b.Seeders, Downloading: b.Leechers, Downloaded: b.Completed}
}

var _ commoner = (*swarm.Table)(nil)

// noteOf returns the note of a release or, if its main swarm is not allowed any more, that of the
// swarm b.
func (r *release) noteOf(t Tracker, b tracker.Note) tracker.Note {
	if note, ok := t.Note(r.own[0]); ok {
		return note
	}
	return b
}
