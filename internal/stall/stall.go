// Package stall says in words why a download makes no progress, from the facts that the engine
// counts.
package stall

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"spate/internal/fault"
	"spate/internal/units"
	"spate/metainfo"
	"spate/torrent"
	"spate/tracker"
)

// Cause is the cause of a stall, as a word for JSON.
type Cause string

// The causes, from the nearest to the data to the furthest.
const (
	None        Cause = ""
	Disk        Cause = "disk"        // the disk takes no more data
	Silent      Cause = "silent"      // peers have missing data and may be asked, but send nothing
	Choked      Cause = "choked"      // all peers that have missing data choke us
	Unavailable Cause = "unavailable" // no connected peer has missing data
	Trying      Cause = "trying"      // all known peers are being dialled for the first time
	Unreachable Cause = "unreachable" // no known peer can be connected to
	NoPeers     Cause = "no_peers"    // a source answers, but names no peer
	NoSource    Cause = "no_source"   // no source of peers answers, or there is none
	Proxy       Cause = "proxy"       // the proxy that carries all connections fails, or has no way to peers
)

// Reason is why a download makes no progress.
type Reason struct {
	Cause Cause
	Short string // a few words for a status line
	Text  string // the facts, without the name of the torrent
	Hint  string // what the user can do; empty if nothing
}

// Facts are what a reason is made from.
type Facts struct {
	torrent.Stall
	Trackers []torrent.TrackerStats
	WebSeeds []torrent.WebSeedStats
	DHT      DHT
	Named    int    // number of trackers that the torrent names
	WebNamed int    // number of web seeds that the torrent names
	Port     uint16 // port at which peers can connect to this side; 0: none
}

// Search are the facts about a search for the metadata of a magnet link.
type Search struct {
	torrent.MetadataStats
	DHT   DHT
	Named int    // number of trackers that the link names
	Port  uint16 // port at which peers can connect to this side; 0: none
}

// DHT are the facts about the search for the peers of a torrent without trackers.
type DHT struct {
	Local    bool // the local network is searched too (BEP 14)
	On       bool // the DHT is asked for peers of the torrent
	Nodes    int  // nodes that answer
	Searched bool // nodes have answered a search for the torrent

	Proxy   string // the proxy that carries all connections; "": none
	OnlyWeb bool   // this proxy carries no connections to peers
}

// Times without data after which a stall is shown.
const (
	noSourceAfter = 2 * time.Second
	silentAfter   = 20 * time.Second // a peer on a slow line sends a block every few seconds
	otherAfter    = 5 * time.Second
)

// After returns the time without data after which the reason is shown.
func (r *Reason) After() time.Duration {
	switch r.Cause {
	case NoSource:
		return noSourceAfter
	case Silent:
		return silentAfter
	}
	return otherAfter
}

// FactsOf returns the facts about a torrent whose metainfo is mi. port is the port at which peers
// can connect to this side; 0: none. A private torrent is not in the DHT (BEP 27), whatever dht
// says.
func FactsOf(s torrent.Stall, st *torrent.Stats, mi *metainfo.MetaInfo, port uint16, dht DHT) *Facts {
	f := &Facts{Stall: s, Trackers: st.Trackers, WebSeeds: st.WebSeeds, WebNamed: len(mi.WebSeeds) + len(mi.HTTPSeeds), Port: port}
	f.DHT = DHT{Proxy: dht.Proxy, OnlyWeb: dht.OnlyWeb}
	if !mi.Info.Private {
		f.DHT = dht
	}
	for _, tier := range mi.AnnounceList {
		f.Named += len(tier)
	}
	return f
}

// Port returns the port at which peers outside this machine can connect to a session, or 0.
func Port(s *torrent.Session) uint16 {
	if s.Addr().Addr().IsLoopback() {
		return 0
	}
	return s.AdvertisedPort()
}

// slowWrite is the time without the end of a write after which the disk counts as slow.
const slowWrite = 3 * time.Second

// Of returns why a torrent that downloads receives nothing. It does not look at Facts.Idle: the
// caller decides after which time it asks.
func Of(f *Facts) Reason {
	switch {
	case f.WriteWait >= slowWrite:
		return Reason{Cause: Disk, Short: "slow disk", Text: fmt.Sprintf("the disk is slow: no write has ended for %s", units.Duration(f.WriteWait.Truncate(time.Second)))}
	case f.Useful > f.Choking:
		return Reason{Cause: Silent, Short: "peers send nothing", Text: units.Plural(f.Useful-f.Choking, "peer") + " with missing data can be asked but " + units.Agree(f.Useful-f.Choking, "sends", "send") + " nothing"}
	case f.Useful > 0:
		return Reason{
			Cause: Choked, Short: "all peers choke us",
			Text: units.Plural(f.Useful, "peer") + " with missing data " + units.Agree(f.Useful, "chokes", "choke") + " us, because " + units.Agree(f.Useful, "it serves", "they serve") + " others first",
		}
	case f.Connected > 0:
		return unavailable(f)
	}
	if r, ok := atProxy(&f.Candidates, f.Trackers, f.WebSeeds, f.WebNamed > 0, f.DHT); ok {
		return r
	}
	if r, ok := candidates(&f.Candidates, f.Port); ok {
		return r
	}
	return withoutPeers(f)
}

// unavailable returns the reason if the connected peers have nothing that is missing.
func unavailable(f *Facts) Reason {
	peers := units.Plural(f.Connected, "peer") + " " + units.Agree(f.Connected, "is", "are") + " connected, but"
	r := Reason{
		Cause: Unavailable, Short: "peers lack the rest",
		Text: peers + " " + units.Agree(f.Connected, "it does not have", "none has") + " the missing data",
		Hint: "it goes on as soon as a peer that has the rest is online",
	}
	if f.Missing > 0 && f.Nowhere == f.Missing && f.Pieces > 0 {
		last := "any of the data"
		if f.Missing < f.Pieces {
			last = "the last " + share(f.Missing, f.Pieces)
		}
		r.Short = "nobody has " + last
		r.Text = fmt.Sprintf("%s nobody has %s (%s, availability %.2f)", peers, last, units.Plural(f.Missing, "piece"), float64(f.Pieces-f.Nowhere)/float64(f.Pieces))
	}
	if n := failed(&f.Candidates); n > 0 {
		r.Text += fmt.Sprintf("; %d more known %s not be reached", n, units.Agree(n, "peer can", "peers can"))
	}
	r.addHoles(&f.Candidates)
	return r
}

// addHoles adds that no hole could be punched through the routers to some peers, and what helps.
func (r *Reason) addHoles(c *torrent.CandidateStats) {
	if c.NoHole == 0 {
		return
	}
	r.Text += fmt.Sprintf("; the routers let no hole through to %s", units.Plural(c.NoHole, "peer"))
	r.Hint += "; routers that give each destination another port (symmetric) let no hole through, but IPv6 on both sides connects, or a port that one router forwards"
}

// share returns n of total in percent, at least 1 %.
func share(n, total int) string { return fmt.Sprintf("%d %%", max(1, n*100/total)) }

// failed returns the number of candidates whose last connection failed.
func failed(c *torrent.CandidateStats) int {
	return c.TimedOut + c.Refused + c.NoRoute + c.Unanswered + c.NoMetadata + c.NoProxy + c.Otherwise
}

// candidates returns the reason if there are candidates, none of which is connected.
func candidates(c *torrent.CandidateStats, port uint16) (Reason, bool) {
	if c.Known == 0 {
		return Reason{}, false
	}
	if failed(c) == 0 {
		return Reason{Cause: Trying, Short: "trying peers", Text: "trying to connect to " + units.Plural(c.Known, "peer")}, true
	}
	var parts []string
	for _, k := range []struct {
		n    int
		says string
	}{
		{c.TimedOut, "timed out"}, {c.Refused, "refused"}, {c.NoRoute, "without a route"}, {c.Unanswered, "closed without a handshake"},
		{c.NoMetadata, "did not send the torrent"}, {c.NoProxy, "not tried, because the proxy failed"}, {c.Otherwise, "failed otherwise"}, {c.Trying + c.Untried, "still to try"},
	} {
		if k.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", k.n, k.says))
		}
	}
	known := units.Plural(c.Known, "known peer")
	r := Reason{
		Cause: Unreachable, Short: "no peer reachable",
		Text: fmt.Sprintf("%s, none reached: %s", known, strings.Join(parts, ", ")),
		Hint: "they are offline or behind routers",
	}
	r.addHoles(c)
	if port != 0 {
		r.Hint += fmt.Sprintf("; those can connect to you if your router forwards TCP port %d", port)
	}
	return r, true
}

// withoutPeers returns the reason if no peer is known.
func withoutPeers(f *Facts) Reason {
	r := sources(f.Trackers, f.Named, f.DHT)
	if words := webSeeds(f.WebSeeds, f.WebNamed); words != "" {
		switch {
		case f.Named > 0:
			r.Text += "; " + words
		case f.DHT.On:
			r.Text = f.DHT.String() + "; " + words
		default:
			r.Text = words
		}
	}
	return r
}

// maxErrors bounds the errors of trackers in a reason.
const maxErrors = 2

// sources returns the reason for which the trackers and the DHT name no peers. named is the number
// of trackers that the torrent names.
func sources(trackers []torrent.TrackerStats, named int, dht DHT) Reason {
	if named == 0 {
		return withoutTrackers(dht)
	}
	r := failedTrackers(trackers, named)
	if dht.On {
		r.Text += "; " + dht.String()
		if dht.Searched {
			r.Cause = NoPeers
		}
	}
	return r
}

// withoutTrackers returns the reason for which no peer of a torrent without trackers is known.
func withoutTrackers(dht DHT) Reason {
	const name = "name a peer with --peer IP:PORT"
	if !dht.On && dht.Local {
		return Reason{Cause: NoPeers, Short: "not on the local network", Text: "no tracker is named, and nobody on the local network has it", Hint: "it goes on as soon as a peer there has it; or " + name}
	}
	if !dht.On {
		return Reason{Cause: NoSource, Short: "no tracker", Text: "no tracker is named that could know peers", Hint: name}
	}
	r := Reason{Cause: NoSource, Short: "searching the DHT", Text: "no tracker is named, and " + dht.String()}
	switch {
	case dht.Searched:
		r.Cause, r.Short, r.Hint = NoPeers, "not in the DHT", "the DHT is asked again, at first every few seconds; or "+name
	case dht.Nodes == 0:
		r.Short, r.Hint = "no DHT node answers", "let UDP through the firewall, name a node with --dht-bootstrap, or a peer with --peer"
	}
	return r
}

// String describes the search in the DHT.
func (d DHT) String() string {
	switch {
	case d.Searched:
		return "the DHT knows nobody who has it"
	case d.Nodes == 0:
		return "the DHT has not answered yet: 0 nodes"
	}
	return "the DHT is being searched: " + units.Plural(d.Nodes, "node")
}

// failedTrackers returns the reason for which trackers name no peers.
func failedTrackers(trackers []torrent.TrackerStats, named int) Reason {
	var errs []string
	var answers []string
	for i := range trackers {
		words := TrackerWords(&trackers[i])
		list := &answers
		if trackers[i].Err != nil {
			list = &errs
		}
		if !slices.Contains(*list, words) {
			*list = append(*list, words)
		}
	}
	switch {
	case len(answers) > 0:
		return Reason{Cause: NoPeers, Short: "no peers", Text: "no other peer is there: " + strings.Join(append(answers[:min(len(answers), maxErrors)], errs[:min(len(errs), 1)]...), "; ")}
	case len(errs) > 0:
		text := strings.Join(errs[:min(len(errs), maxErrors)], "; ")
		if named > 1 {
			text = "of " + units.Plural(named, "tracker") + " none answers: " + text
		}
		return Reason{Cause: NoSource, Short: "no tracker answers", Text: text}
	}
	return Reason{Cause: NoSource, Short: "no tracker has answered", Text: "no tracker has answered yet"}
}

// webSeeds describes the first web seed that failed, or "".
func webSeeds(all []torrent.WebSeedStats, named int) string {
	for _, w := range all {
		if w.Err != nil {
			return "web seed " + w.URL + ": " + strings.TrimPrefix(fault.Message(w.Err), w.URL+": ")
		}
	}
	if named > 0 {
		return "no web seed has answered"
	}
	return ""
}

// OfSearch returns why a search for metadata has found nothing yet.
func OfSearch(s *Search) Reason {
	if s.Asked > 0 {
		return Reason{Cause: Silent, Short: "peers do not send the torrent", Text: fmt.Sprintf("%s connected, but no torrent from %s yet", units.Plural(s.Asked, "peer"), units.Agree(s.Asked, "it", "them"))}
	}
	if r, ok := atProxy(&s.Candidates, s.Trackers, nil, false, s.DHT); ok {
		return r
	}
	if r, ok := candidates(&s.Candidates, s.Port); ok {
		return r
	}
	return sources(s.Trackers, s.Named, s.DHT)
}

// TrackerWords describes the last answer of a tracker.
func TrackerWords(t *torrent.TrackerStats) string {
	switch {
	case t.Err != nil:
		return fault.Message(t.Err)
	case t.LastAnnounce.IsZero():
		return "the tracker has not answered"
	case t.Complete == tracker.Unknown:
		return "the tracker answered"
	}
	return fmt.Sprintf("the tracker counts %s, %s", units.Plural(t.Complete, "seed"), units.Plural(t.Incomplete, "leecher"))
}

// sourceNames are the names of sources for people.
var sourceNames = map[string]string{
	"pex": "peer exchange", "dht": "DHT", "lsd": "local network", "link": "magnet link", "incoming": "incoming", "caller": "given", "manual": "given",
}

// SourcesWords says which sources named how many peers, or "".
func SourcesWords(all []torrent.SourceStats) string {
	var parts []string
	for _, s := range all {
		name := s.Source
		if n, ok := sourceNames[name]; ok {
			name = n
		}
		parts = append(parts, fmt.Sprintf("%d %s", s.Found, name))
	}
	return strings.Join(parts, ", ")
}
