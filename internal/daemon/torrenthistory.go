package daemon

import (
	"sync"
	"time"

	"spate"
)

const (
	historyStep = 10 * time.Second
	historyLen  = int(time.Hour / historyStep)
)

// TorrentHistory are the rates of a torrent in the last hour: means of equal steps, the oldest
// first. A torrent that has transferred nothing in that time has none.
type TorrentHistory struct {
	Step  int       `json:"step"`  // seconds
	Until time.Time `json:"until"` // end of the last step
	Down  []float64 `json:"down"`  // bytes a second
	Up    []float64 `json:"up"`
}

// rateHistory keeps the bytes that torrents transferred in each step of the last hour. A torrent
// takes 3 KiB from its first byte until an hour after its last one. It is safe for concurrent use.
type rateHistory struct {
	mu   sync.Mutex
	of   map[spate.InfoHash]*rateRing
	step int64 // the newest step of all torrents, in steps since 1970
}

// rateRing has the bytes of the last steps. The bytes of step n are at n modulo historyLen.
type rateRing struct {
	newest   int64 // step of the last bytes
	down, up [historyLen]float32
}

// add counts bytes that a torrent has transferred.
func (h *rateHistory) add(ih spate.InfoHash, now time.Time, down, up int64) {
	step := now.UnixNano() / int64(historyStep)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[spate.InfoHash]*rateRing{}
	}
	if step != h.step {
		h.step = step
		for other, r := range h.of {
			if step-r.newest >= int64(historyLen) {
				delete(h.of, other)
			}
		}
	}
	r := h.of[ih]
	if r == nil {
		r = &rateRing{newest: step}
		h.of[ih] = r
	}
	for ; r.newest < step; r.newest++ {
		r.down[(r.newest+1)%int64(historyLen)], r.up[(r.newest+1)%int64(historyLen)] = 0, 0
	}
	at := step % int64(historyLen)
	r.down[at] += float32(max(down, 0))
	r.up[at] += float32(max(up, 0))
}

// last returns the rates of the complete steps before now.
func (h *rateHistory) last(ih spate.InfoHash, now time.Time) TorrentHistory {
	step := now.UnixNano() / int64(historyStep)
	all := TorrentHistory{Step: int(historyStep / time.Second), Until: time.Unix(0, step*int64(historyStep)).UTC(), Down: []float64{}, Up: []float64{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.of[ih]
	if r == nil || step-r.newest >= int64(historyLen) {
		return all
	}
	for n := step - int64(historyLen) + 1; n < step; n++ { // the place of the first one is taken by the step that runs
		down, up := float32(0), float32(0)
		if n <= r.newest && n > r.newest-int64(historyLen) {
			down, up = r.down[n%int64(historyLen)], r.up[n%int64(historyLen)]
		}
		all.Down = append(all.Down, float64(down)/historyStep.Seconds())
		all.Up = append(all.Up, float64(up)/historyStep.Seconds())
	}
	return all
}

// History returns the rates of the torrent that ref names in the last hour.
func (t *Torrents) History(ref string) (TorrentHistory, error) {
	e, err := t.find(ref)
	if err != nil {
		return TorrentHistory{}, err
	}
	t.mu.Lock()
	ih := e.rec.InfoHash
	t.mu.Unlock()
	return t.history.last(ih, t.env.Now()), nil
}
