package running

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/reach"
	"spate/internal/stall"
	"spate/internal/tui"
	"spate/internal/uplink"
	"spate/torrent"
)

// Source returns a source with the torrents of a session of this process. up returns what the
// process knows about its uplink, reached whether others can connect, and dht the state of the
// search for a torrent in the DHT.
func Source(s *torrent.Session, up func() uplink.Status, reached func() reach.Status, dht func(spate.InfoHash) stall.DHT) tui.Source {
	return source{s, up, reached, dht}
}

type source struct {
	session *torrent.Session
	up      func() uplink.Status
	reached func() reach.Status
	dht     func(spate.InfoHash) stall.DHT
}

// Uplink implements [Uplinker].
func (s source) Uplink(context.Context) (uplink.Status, error) { return s.up(), nil }

// Reach implements [Reacher].
func (s source) Reach(context.Context) (reach.Status, error) { return s.reached(), nil }

// List implements [tui.Source].
func (s source) List(context.Context) ([]tui.Torrent, error) {
	var list []tui.Torrent
	for _, t := range s.session.Torrents() {
		list = append(list, rowOf(t))
	}
	for _, f := range s.session.Searches() {
		list = append(list, searchRow(&f))
	}
	slices.SortFunc(list, func(a, b tui.Torrent) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// Detail implements [tui.Source].
func (s source) Detail(_ context.Context, id string) (*tui.Detail, error) {
	for _, t := range s.session.Torrents() {
		if t.InfoHash().String() == id {
			d := detailOf(t)
			d.Stall = stallLines(s.stallOf(t))
			d.Facts = append(d.Facts, [2]string{"uplink", s.up().String()}, [2]string{"reachable", s.reached().String()})
			return d, nil
		}
	}
	for _, f := range s.session.Searches() {
		if f.InfoHash.String() == id {
			why := stall.OfSearch(&stall.Search{MetadataStats: f.MetadataStats, DHT: s.dht(f.InfoHash), Named: f.Named, Port: stall.Port(s.session)})
			return &tui.Detail{Hash: id, Trackers: trackerRows(f.Trackers), Stall: stallLines(why)}, nil
		}
	}
	return nil, nil
}

// searchRow is the row of a search for the metadata of a magnet link.
func searchRow(f *torrent.Search) tui.Torrent {
	id := f.InfoHash.String()
	return tui.Torrent{
		ID: id, Name: cmp.Or(f.Name, id), State: "metadata", TrackerErr: trackerError(f.Trackers),
		Peers: f.Peers, Known: f.Known, Left: -1,
	}
}

// trackerError returns the error of the first tracker whose last announce failed.
func trackerError(trackers []torrent.TrackerStats) string {
	for _, t := range trackers {
		if t.Err != nil {
			return fault.Message(t.Err)
		}
	}
	return ""
}

func rowOf(t *torrent.Torrent) tui.Torrent {
	st := t.Stats()
	row := tui.Torrent{
		ID: st.InfoHash.String(), Name: st.Name, State: st.State.String(), Size: st.BytesTotal, Done: st.BytesDone, Fraction: 1,
		Down: st.DownRate, Up: st.UpRate, Downloaded: st.Downloaded, Uploaded: st.Uploaded,
		Peers: st.Peers, Seeds: st.Seeds, Known: st.Known, Left: -1, TrackerErr: trackerError(st.Trackers),
	}
	if st.BytesTotal > 0 {
		row.Fraction = float64(st.BytesDone) / float64(st.BytesTotal)
	}
	switch {
	case st.State == torrent.StateChecking:
		row.Fraction = float64(st.Checked) / float64(max(st.Pieces, 1))
	case st.State == torrent.StateDownloading && st.DownRate >= 1:
		row.Left = time.Duration(float64(st.BytesTotal-st.BytesDone) / st.DownRate * float64(time.Second))
	}
	if st.Err != nil {
		row.Err = fault.Message(st.Err)
	}
	return row
}

func detailOf(t *torrent.Torrent) *tui.Detail {
	st := t.Stats()
	d := &tui.Detail{Path: t.Path(), Hash: st.InfoHash.String(), Files: []tui.File{}, Peers: []tui.Peer{}, Trackers: trackerRows(st.Trackers)}
	for _, p := range t.Pieces() {
		d.Pieces = append(d.Pieces, map[torrent.PieceState]tui.Piece{
			torrent.PieceOpen: tui.Open, torrent.PieceHave: tui.Have, torrent.PieceSkipped: tui.Skipped,
		}[p])
	}
	for _, f := range t.Files() {
		if !f.Pad {
			d.Files = append(d.Files, tui.File{Path: cmp.Or(f.Path, st.Name), Length: f.Length, Done: f.Done, Skipped: f.Priority == torrent.PrioritySkip})
		}
	}
	for _, p := range t.PeerStats() {
		d.Peers = append(d.Peers, tui.Peer{
			Addr: p.Key.String(), Client: p.Client, UTP: p.Transport == torrent.UTP, Incoming: p.Incoming, Holepunched: p.Holepunched, Have: p.Have, Down: p.DownRate, Up: p.UpRate,
			Downloaded: p.Downloaded, Uploaded: p.Uploaded, Unchoked: p.Unchoked, Choked: p.Choked,
		})
	}
	slices.SortFunc(d.Peers, func(a, b tui.Peer) int {
		return cmp.Or(cmp.Compare(b.Down+b.Up, a.Down+a.Up), strings.Compare(a.Addr, b.Addr))
	})
	return d
}

// stallOf returns why a torrent receives nothing, or nothing if it receives data.
func (s source) stallOf(t *torrent.Torrent) stall.Reason {
	facts, st := t.Stall(), t.Stats()
	r := stall.Of(stall.FactsOf(facts, &st, t.MetaInfo(), stall.Port(s.session), s.dht(t.InfoHash())))
	if st.State != torrent.StateDownloading || facts.Idle < r.After() {
		return stall.Reason{}
	}
	return r
}

// stallLines returns the lines that say why a torrent receives nothing.
func stallLines(r stall.Reason) []string {
	return slices.DeleteFunc([]string{r.Text, r.Hint}, func(s string) bool { return s == "" })
}

// trackerRows returns the last answers of trackers.
func trackerRows(trackers []torrent.TrackerStats) []tui.Tracker {
	rows := []tui.Tracker{}
	for _, tr := range trackers {
		row := tui.Tracker{URL: tr.URL, Says: tr.Warning, Next: tr.NextAnnounce}
		if tr.Err == nil {
			row.Counts = stall.TrackerWords(&tr)
		} else {
			row.Says, row.Bad = fault.Message(tr.Err), true
		}
		rows = append(rows, row)
	}
	return rows
}
