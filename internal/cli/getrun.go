package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/running"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/metainfo"
	"spate/torrent"
)

// getRun runs the downloads of a get. Only one goroutine may use it.
type getRun struct {
	app    *app
	opt    *getOptions
	jobs   []*getJob
	search time.Duration // how long a torrent without trackers waits for peers that the session looks for
	nobody string        // end of the message after that time
	left   int           // number of jobs that have not ended
	bar    *term.Progress
	err    error     // the first error
	told   time.Time // time of the last progress events

	// stream writes the data of the job to standard output. If it is nil, the job waits until
	// the torrent is complete.
	stream func(context.Context) error
}

// statusEvery is the interval in which the state of torrents is read for display.
const statusEvery = 250 * time.Millisecond

// Times after which get prints a message or ends.
const (
	tellFailure  = 2 * time.Second  // before get gives up if no tracker works
	tellNoPeers  = 15 * time.Second // before the message that there are no peers
	hopelessTime = 30 * time.Second // before get gives up if no tracker works and no peer is known
	directTime   = 20 * time.Second // without data and peers before get asks the page's server for it
	directLate   = time.Minute      // the same, if peers are connected
	eventEvery   = time.Second
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
	note := units.Plural(sum.Peers, "peer")
	if sum.UpRate >= 1 {
		note += ", " + units.Rate(sum.UpRate) + " up"
	}
	g.bar.UpdateWith(sum.BytesDone, sum.BytesTotal, -1, note)
}

func (g *getRun) seededEnough(j *getJob, st *torrent.Stats, now time.Time) bool {
	w := g.opt.seed
	return w.ratio > 0 && float64(st.Uploaded) >= w.ratio*float64(st.BytesTotal) ||
		w.time > 0 && now.Sub(j.complete) >= w.time
}

// lastResort lets j fetch from the server of its page if the swarm sends nothing: after
// the time of [directWait] without data. It reports whether it has just done so.
func (g *getRun) lastResort(j *getJob, st *torrent.Stats, now time.Time) bool {
	if j.direct == "" || st.State != torrent.StateDownloading {
		return false
	}
	if now.Sub(j.active) < directWait(st, len(j.MetaInfo.AnnounceList) > 0, g.opt.timeout) {
		return false
	}
	g.app.Notef("%s: the swarm sends nothing; asking the server of the page for the data", j.MetaInfo.Info.Name)
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
	idle := now.Sub(j.active)
	search, also := g.search, g.nobody
	if j.MetaInfo.Info.Private {
		search, also = 0, ""
	}
	nobody := st.Peers == 0 && st.Known == 0 && len(g.opt.peers) == 0
	webless := nobody && webSeedsFail(st) && len(j.MetaInfo.AnnounceList) == 0
	switch {
	case nobody && len(j.MetaInfo.AnnounceList)+len(j.MetaInfo.WebSeeds)+len(st.WebSeeds) == 0 && j.direct == "" && idle >= search:
		return fault.New(fault.NoPeers, "name one with --peer IP:PORT", "%s: the torrent names no tracker to ask for peers%s", j.MetaInfo.Info.Name, also)
	case g.opt.timeout > 0 && webless && idle >= search:
		return fault.New(fault.NoPeers, "name a peer with --peer IP:PORT", "%s: the torrent names no tracker to ask for peers; %s", j.MetaInfo.Info.Name, sourceWords(j.MetaInfo, st))
	case g.opt.timeout > 0 && nobody && trackersFail(st) && (len(st.WebSeeds) == 0 || webSeedsFail(st)) && idle >= min(hopelessTime, g.opt.timeout):
		return fault.New(fault.NoPeers, "try again later, or name a peer with --peer IP:PORT", "%s: no peers: %s", j.MetaInfo.Info.Name, sourceWords(j.MetaInfo, st))
	case g.opt.timeout > 0 && idle >= g.opt.timeout:
		return fault.New(fault.NoPeers, "run the same command again to resume; --timeout 0 waits without a limit",
			"%s: no data for %s (%s; %s)", j.MetaInfo.Info.Name, units.Duration(idle.Truncate(time.Second)), units.Plural(st.Peers, "peer"), sourceWords(j.MetaInfo, st))
	case st.Peers == 0 && !j.told && (idle >= tellNoPeers || idle >= tellFailure && trackersFail(st)):
		j.told = true
		g.app.Notef("%s: no peers yet; %s; still trying", j.MetaInfo.Info.Name, sourceWords(j.MetaInfo, st))
		g.app.waitingEvent(j.MetaInfo.Hash().String(), j.MetaInfo.Info.Name, sourceWords(j.MetaInfo, st))
	}
	return nil
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

// sourceWords describes the last answers of the trackers and the error of the first web seed
// that failed.
func sourceWords(mi *metainfo.MetaInfo, st *torrent.Stats) string {
	var words []string
	if len(mi.AnnounceList) > 0 {
		words = append(words, trackerWords(st))
	}
	for _, w := range st.WebSeeds {
		if w.Err != nil {
			words = append(words, "web seed "+w.URL+": "+strings.TrimPrefix(fault.Message(w.Err), w.URL+": "))
			break
		}
	}
	switch {
	case len(words) > 0:
		return strings.Join(words, "; ")
	case len(st.WebSeeds)+len(mi.WebSeeds) > 0:
		return "no web seed has answered"
	}
	return "it names no tracker"
}

// trackerWords describes the last answers of the trackers without duplicates, because both
// swarms of a hybrid often get the same answer.
func trackerWords(st *torrent.Stats) string {
	var words []string
	for _, t := range st.Trackers {
		if w := running.TrackerWords(&t); !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return "no tracker has answered"
	}
	return strings.Join(words[:min(2, len(words))], "; ")
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

// waitingEvent prints the event "waiting" of get --json: there are no peers yet, and why.
func (a *app) waitingEvent(hash, name, reason string) {
	if a.JSON {
		a.PrintJSON(getEvent{Event: "waiting", InfoHash: hash, Name: name, Error: reason})
	}
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
}

// getFailed prints the event of err, and returns err.
func (a *app) getFailed(j *getJob, err error) error {
	a.getEvent(j, "error", err)
	return err
}
