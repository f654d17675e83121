package cli

import (
	"cmp"
	"context"
	"time"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/stall"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/torrent"
)

// getRun runs the downloads of a get. Only one goroutine may use it.
type getRun struct {
	app     *app
	opt     *getOptions
	session *daemon.Session
	jobs    []*getJob
	left    int // number of jobs that have not ended
	bar     *term.Progress
	err     error     // the first error
	told    time.Time // time of the last progress events

	// stream writes the data of the job to standard output. If it is nil, the job waits until
	// the torrent is complete.
	stream func(context.Context) error
}

// statusEvery is the interval in which the state of torrents is read for display.
const statusEvery = 250 * time.Millisecond

// Times after which get prints a message or ends.
const (
	tellFailure = 2 * time.Second  // before get gives up if no tracker works
	tellStall   = 15 * time.Second // without data before the message that says why
	directTime  = 20 * time.Second // without data and peers before get asks the page's server for it
	directLate  = time.Minute      // the same, if peers are connected
	eventEvery  = time.Second
)

type jobResult struct {
	job *getJob
	err error
}

func (g *getRun) run(ctx context.Context) error {
	defer g.bar.Finish()
	results := make(chan jobResult, len(g.jobs))
	for _, j := range g.jobs {
		wait := j.Torrent.Wait
		if g.stream != nil {
			wait = g.stream
		}
		go func() { results <- jobResult{j, wait(ctx)} }()
	}
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for g.left > 0 {
		select {
		case <-ctx.Done():
			return g.interrupted(ctx)
		case r := <-results:
			if ctx.Err() != nil {
				return g.interrupted(ctx)
			}
			if r.err != nil {
				g.end(r.job, daemon.TransferError(r.err))
				break
			}
			if err := g.completed(r.job); err != nil {
				return err
			}
		case <-tick.C:
			g.look(g.app.Now())
		}
	}
	return g.err
}

// interrupted ends the run after a signal. A job that only seeds counts as done.
func (g *getRun) interrupted(ctx context.Context) error {
	g.bar.Finish()
	for _, j := range g.jobs {
		if j.complete.IsZero() && !j.ended {
			g.app.getFailed(j, &fault.Error{Code: fault.Interrupted, Err: context.Cause(ctx)})
			if g.err == nil {
				g.err = context.Canceled
			}
		}
	}
	return g.err
}

// completed prints the result of j, and ends j unless it seeds.
func (g *getRun) completed(j *getJob) error {
	j.complete = g.app.Now()
	st := j.Torrent.Stats()
	if g.app.JSON {
		if err := g.app.getEvent(j, "done", nil); err != nil {
			return err
		}
	} else {
		took := j.complete.Sub(j.began)
		if n := st.Downloaded - j.Before; n > 0 && took > 0 {
			g.app.Notef("%s: complete, %s in %s (%s)", j.MetaInfo.Info.Name, units.Bytes(n),
				units.Elapsed(took), units.Rate(float64(n)/took.Seconds()))
		} else {
			g.app.Notef("%s: complete already", j.MetaInfo.Info.Name)
		}
		if found := stall.SourcesWords(j.Torrent.Sources()); found != "" {
			g.app.Notef("%s: peers found: %s", j.MetaInfo.Info.Name, found)
		}
		if g.stream == nil {
			if err := g.app.Printf("%s\n", termsafe.Line(j.Path)); err != nil {
				return err
			}
		}
	}
	if g.opt.seed.none() {
		g.end(j, nil)
	} else {
		g.app.Notef("seeding %s (%s); Ctrl-C stops", j.MetaInfo.Info.Name, g.opt.seed.String())
	}
	return nil
}

// end ends j. err is the reason of a failure, or nil.
func (g *getRun) end(j *getJob, err error) {
	j.ended = true
	g.left--
	if err == nil {
		return
	}
	err = g.app.getFailed(j, err)
	if g.err == nil {
		g.err = err
	} else {
		g.app.Warnf("%v", err)
	}
}

// look shows the progress, and ends the jobs that cannot get data or have seeded enough.
func (g *getRun) look(now time.Time) {
	var sum torrent.Stats
	why := ""
	events := g.app.JSON && now.Sub(g.told) >= eventEvery
	for _, j := range g.jobs {
		st := j.Torrent.Stats()
		sum.BytesTotal += st.BytesTotal
		sum.BytesDone += st.BytesDone
		sum.UpRate += st.UpRate
		sum.Peers += st.Peers
		if st.Downloaded > j.received || st.State == torrent.StateChecking {
			j.received, j.active = st.Downloaded, now
		}
		g.explain(j, &st)
		if j.stalled {
			why = cmp.Or(why, j.why.Short)
		}
		if j.ended {
			continue
		}
		if events {
			g.told = now
			g.app.getEvent(j, "progress", nil)
		}
		if !j.complete.IsZero() {
			if g.seededEnough(j, &st, now) {
				g.end(j, nil)
			}
		} else if g.lastResort(j, &st, now) {
			continue
		} else if err := g.hopeless(j, &st, now); err != nil {
			g.end(j, err)
		}
	}
	if g.left == 0 || g.app.JSON {
		return // events already show the progress
	}
	note := cmp.Or(why, units.Plural(sum.Peers, "peer"))
	if sum.UpRate >= 1 {
		note += ", " + units.Rate(sum.UpRate) + " up"
	}
	g.bar.UpdateWith(sum.BytesDone, sum.BytesTotal, -1, note)
}

// explain finds out why j receives nothing, and whether that has lasted for some time.
func (g *getRun) explain(j *getJob, st *torrent.Stats) {
	j.stalled = false
	if st.State != torrent.StateDownloading || j.ended {
		return
	}
	facts := j.Torrent.Stall()
	j.why = stall.Of(stall.FactsOf(facts, st, j.MetaInfo, stall.Port(g.session.Session), g.session.SearchInDHT(j.MetaInfo.Hash())))
	j.stalled = facts.Idle >= j.why.After()
}

func (g *getRun) seededEnough(j *getJob, st *torrent.Stats, now time.Time) bool {
	w := g.opt.seed
	return w.ratio > 0 && float64(st.Uploaded) >= w.ratio*float64(st.BytesTotal) ||
		w.time > 0 && now.Sub(j.complete) >= w.time
}

// lastResort lets j fetch from the server of its page if the swarm sends nothing: after
// the time of [directWait] without data, or at once if no peers can be reached. It reports whether it has just done so.
func (g *getRun) lastResort(j *getJob, st *torrent.Stats, now time.Time) bool {
	if j.direct == "" || st.State != torrent.StateDownloading {
		return false
	}
	onlyWeb := g.app.daemonEnv().OnlyWeb()
	if !onlyWeb && now.Sub(j.active) < directWait(st, len(j.MetaInfo.AnnounceList) > 0, g.opt.timeout) {
		return false
	}
	why := "the swarm sends nothing"
	if onlyWeb {
		why = "the proxy has no way to peers"
	}
	g.app.Notef("%s: %s; asking the server of the page for the data", j.MetaInfo.Info.Name, why)
	j.Torrent.AddWebSeeds([]string{j.direct})
	j.direct, j.active = "", now
	return true
}

// directWait returns the time without data after which the server of the page is asked: half of
// timeout at most, unless timeout is 0. tracked means that the torrent has trackers.
func directWait(st *torrent.Stats, tracked bool, timeout time.Duration) time.Duration {
	wait := directTime
	switch {
	case st.Peers > 0:
		wait = directLate
	case st.Known == 0 && (!tracked || trackersFail(st)):
		wait = tellFailure
	}
	if timeout > 0 {
		wait = min(wait, timeout/2)
	}
	return wait
}

// hopeless returns an error if j cannot get any data. It prints a message once if there are no
// peers.
func (g *getRun) hopeless(j *getJob, st *torrent.Stats, now time.Time) error {
	if st.State != torrent.StateDownloading {
		return nil
	}
	idle, why := now.Sub(j.active), j.why
	nobody := st.Peers == 0 && st.Known == 0 && len(g.opt.peers.addrs) == 0 && (j.MetaInfo.Info.Private || !g.session.Searches())
	webless := nobody && webSeedsFail(st) && len(j.MetaInfo.AnnounceList) == 0
	switch {
	case nobody && len(j.MetaInfo.AnnounceList)+len(j.MetaInfo.WebSeeds)+len(st.WebSeeds) == 0 && j.direct == "":
		return fault.New(fault.NoPeers, "name one with --peer IP:PORT", "%s: the torrent names no tracker to ask for peers", j.MetaInfo.Info.Name)
	case g.opt.timeout > 0 && webless:
		return fault.New(fault.NoPeers, "name a peer with --peer IP:PORT", "%s: the torrent names no tracker to ask for peers; %s", j.MetaInfo.Info.Name, why.Text)
	case g.opt.timeout > 0 && nobody && trackersFail(st) && (len(st.WebSeeds) == 0 || webSeedsFail(st)) && idle >= min(daemon.HopelessTime, g.opt.timeout):
		return fault.New(fault.NoPeers, "try again later, or name a peer with --peer IP:PORT", "%s: no peers: %s", j.MetaInfo.Info.Name, why.Text)
	case g.opt.timeout > 0 && idle >= g.opt.timeout:
		return fault.New(fault.NoPeers, "run the same command again to resume; --timeout 0 waits without a limit",
			"%s: no data for %s: %s", j.MetaInfo.Info.Name, units.Duration(idle.Truncate(time.Second)), why.Text)
	case j.stalled && !j.told[why.Cause] && why.Cause != stall.Trying && (idle >= tellStall || idle >= tellFailure && why.Cause == stall.NoSource && trackersFail(st)):
		if j.told == nil {
			j.told = map[stall.Cause]bool{}
		}
		j.told[why.Cause] = true
		g.app.tellStall(j.MetaInfo.Hash().String(), j.MetaInfo.Info.Name, "no data for "+units.Duration(idle.Truncate(time.Second)), why)
	}
	return nil
}

// tellStall prints why a download receives nothing, as a note and as the event "waiting" of
// get --json. missing says what has not arrived.
func (a *app) tellStall(hash, name, missing string, why stall.Reason) {
	a.Notef("%s: %s: %s; still trying", name, missing, why.Text)
	if why.Hint != "" {
		a.Notef("  %s", why.Hint)
	}
	if a.JSON {
		a.PrintJSON(getEvent{Event: "waiting", InfoHash: hash, Name: name, Error: why.Text, Stall: why.Cause, Hint: why.Hint})
	}
}

// trackersFail reports whether all trackers fail. It returns false if there are no trackers.
func trackersFail(st *torrent.Stats) bool {
	for _, t := range st.Trackers {
		if t.Err == nil {
			return false
		}
	}
	return len(st.Trackers) > 0
}

// webSeedsFail reports whether all web seeds have failed for a long time. It returns false if
// there are no web seeds.
func webSeedsFail(st *torrent.Stats) bool {
	for _, w := range st.WebSeeds {
		if !w.Stopped {
			return false
		}
	}
	return len(st.WebSeeds) > 0
}

// getEvent prints one event of get --json.
func (a *app) getEvent(j *getJob, kind string, err error) error {
	if !a.JSON {
		return nil
	}
	e := getEvent{Event: kind}
	if j != nil {
		e.InfoHash, e.Name, e.BytesTotal = j.MetaInfo.Hash().String(), j.MetaInfo.Info.Name, j.MetaInfo.Info.DataLength()
		if j.Torrent != nil {
			st := j.Torrent.Stats()
			e.BytesDone, e.BytesTotal, e.Peers = st.BytesDone, st.BytesTotal, st.Peers
			e.DownRate, e.UpRate = int64(st.DownRate), int64(st.UpRate)
			e.Downloaded, e.Uploaded, e.State = st.Downloaded, st.Uploaded, st.State.String()
			if j.stalled {
				e.Stall, e.StallReason = j.why.Cause, j.why.Text
			}
			if kind != "progress" {
				e.Sources = foundBy(j.Torrent.Sources())
			}
		}
		switch kind {
		case "metadata":
			e.Renamed = renamed(j.MetaInfo)
		case "done":
			e.Path, e.Renamed = j.Path, renamed(j.MetaInfo)
		}
	}
	if err != nil {
		e.Error, e.Code, e.Hint = err.Error(), exitCode(err), hintFor(err)
	}
	return a.PrintJSON(e)
}

// foundBy returns how many peers each source has named, or nil.
func foundBy(sources []torrent.SourceStats) map[string]int {
	var by map[string]int
	for _, s := range sources {
		if by == nil {
			by = map[string]int{}
		}
		by[s.Source] = s.Found
	}
	return by
}

// getEvent is one line of get --json.
type getEvent struct {
	Event      string `json:"event"`
	InfoHash   string `json:"info_hash,omitempty"`
	Name       string `json:"name,omitempty"`
	State      string `json:"state,omitempty"`
	BytesDone  int64  `json:"bytes_done"`
	BytesTotal int64  `json:"bytes_total"`
	DownRate   int64  `json:"down_rate"`
	UpRate     int64  `json:"up_rate"`
	Peers      int    `json:"peers"`
	Downloaded int64  `json:"downloaded"`
	Uploaded   int64  `json:"uploaded"`
	Path       string `json:"path,omitempty"`
	Renamed    int    `json:"renamed,omitempty"` // number of changed names, in metadata and done
	Error      string `json:"error,omitempty"`
	Code       int    `json:"code,omitempty"`
	Hint       string `json:"hint,omitempty"`
	// Stall is the cause of a download that receives nothing, and StallReason the facts in words.
	Stall       stall.Cause    `json:"stall,omitempty"`
	StallReason string         `json:"stall_reason,omitempty"`
	Sources     map[string]int `json:"sources,omitempty"` // number of peers that each source named first; not in progress
}

// getFailed prints the event of err, and returns err.
func (a *app) getFailed(j *getJob, err error) error {
	a.getEvent(j, "error", err)
	return err
}
