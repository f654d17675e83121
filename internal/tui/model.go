package tui

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// Options of a screen.
type Options struct {
	Title   string // in the corner, such as "get debian.iso"
	Input   io.Reader
	Output  io.Writer
	Environ []string      // KEY=value: TERM, NO_COLOR and such count
	Every   time.Duration // between two looks at the source; 0: half a second
	Log     *Log          // nil: there is no view of it
	Now     func() time.Time
}

// Run shows the source until the person quits or ctx ends, neither of which is an
// error. The terminal is as it was afterwards.
func Run(ctx context.Context, src Source, o Options) error {
	if o.Every == 0 {
		o.Every = 500 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newModel(ctx, src, o)
	p := tea.NewProgram(m, tea.WithInput(o.Input), tea.WithOutput(o.Output), tea.WithEnvironment(o.Environ), tea.WithoutSignalHandler())
	stop := context.AfterFunc(ctx, p.Quit)
	defer stop()
	_, err := p.Run()
	if errors.Is(err, tea.ErrInterrupted) {
		err = nil
	}
	return err
}

// view is one of the views on a torrent.
type view int

const (
	overview view = iota
	filesView
	piecesView
	peersView
	trackersView
	logView
	numViews
)

func (v view) String() string {
	return [...]string{"overview", "files", "pieces", "peers", "trackers", "log"}[v]
}

// historyLen is how many samples of the rates are kept: two minutes.
const historyLen = 240

// history is the rates of a torrent over time.
type history struct{ down, up []float64 }

func (h *history) add(down, up float64) {
	h.down, h.up = append(h.down, down), append(h.up, up)
	if n := len(h.down) - historyLen; n > 0 {
		h.down, h.up = slices.Delete(h.down, 0, n), slices.Delete(h.up, 0, n)
	}
}

// model is the screen. Bubble Tea calls its methods one at a time.
type model struct {
	ctx context.Context
	src Source
	o   Options

	width, height int
	keys          keyMap

	torrents []Torrent
	detail   *Detail
	detailOf string
	rates    map[string]*history
	loaded   bool
	err      error
	asking   bool // a look is under way

	selected int
	id       string // of the selected torrent, to find it again
	top      int    // first row of the list that is shown
	view     view
	scroll   int  // of the view
	help     bool // all keys are shown
}

func newModel(ctx context.Context, src Source, o Options) *model {
	_, pauses := src.(Pauser)
	return &model{ctx: ctx, src: src, o: o, keys: newKeyMap(pauses), rates: map[string]*history{}, width: 80, height: 24}
}

// looked is the message of one look at the source.
type looked struct {
	torrents []Torrent
	detail   *Detail
	of       string
	err      error
	timed    bool // a sample for the rates
}

type tickMsg struct{}

// Init implements [tea.Model].
func (m *model) Init() tea.Cmd { return tea.Batch(m.look(true), m.tick()) }

func (m *model) tick() tea.Cmd {
	return tea.Tick(m.o.Every, func(time.Time) tea.Msg { return tickMsg{} })
}

// look asks the source, unless it is being asked.
func (m *model) look(timed bool) tea.Cmd {
	if m.asking {
		return nil
	}
	m.asking = true
	id := m.id
	return func() tea.Msg {
		l := looked{of: id, timed: timed}
		if l.torrents, l.err = m.src.List(m.ctx); l.err != nil {
			return l
		}
		if !slices.ContainsFunc(l.torrents, func(t Torrent) bool { return t.ID == l.of }) && len(l.torrents) > 0 {
			l.of = l.torrents[min(m.selected, len(l.torrents)-1)].ID
		}
		l.detail, l.err = m.src.Detail(m.ctx, l.of)
		return l
	}
}

// Update implements [tea.Model].
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tickMsg:
		return m, tea.Batch(m.look(true), m.tick())
	case looked:
		m.asking = false
		m.take(&msg)
	case paused:
		if m.err = msg.err; m.err == nil {
			return m, m.look(false)
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	}
	return m, nil
}

// take keeps what a look found.
func (m *model) take(l *looked) {
	if m.err = l.err; l.err != nil {
		return
	}
	m.loaded = true
	m.torrents = l.torrents
	if i := slices.IndexFunc(m.torrents, func(t Torrent) bool { return t.ID == m.id }); i >= 0 {
		m.selected = i
	}
	m.selected = max(0, min(m.selected, len(m.torrents)-1))
	m.id = ""
	if len(m.torrents) > 0 {
		m.id = m.torrents[m.selected].ID
	}
	if l.of == m.id {
		m.detail, m.detailOf = l.detail, l.of
	}
	if !l.timed {
		return
	}
	alive := map[string]*history{}
	for _, t := range m.torrents {
		h := m.rates[t.ID]
		if h == nil {
			h = &history{}
		}
		h.add(t.Down, t.Up)
		alive[t.ID] = h
	}
	m.rates = alive
}

// current is the selected torrent, nil when there is none.
func (m *model) current() *Torrent {
	if m.selected >= len(m.torrents) {
		return nil
	}
	return &m.torrents[m.selected]
}

// seeable returns the views that there is something for.
func (m *model) seeable() []view {
	list := []view{overview}
	if d := m.detail; d != nil && m.detailOf == m.id {
		for v, there := range map[view]bool{filesView: d.Files != nil, piecesView: d.Pieces != nil, peersView: d.Peers != nil, trackersView: d.Trackers != nil} {
			if there || v == m.view {
				list = append(list, v)
			}
		}
	}
	if m.o.Log != nil {
		list = append(list, logView)
	}
	if !slices.Contains(list, m.view) {
		list = append(list, m.view)
	}
	slices.Sort(list)
	return list
}

type paused struct{ err error }

// press does what a key asks for.
func (m *model) press(msg tea.KeyPressMsg) tea.Cmd {
	k := &m.keys
	switch {
	case key.Matches(msg, k.Quit):
		return tea.Quit
	case key.Matches(msg, k.Redraw):
		return tea.ClearScreen
	case key.Matches(msg, k.Help):
		m.help = !m.help
	case key.Matches(msg, k.Up):
		return m.move(-1)
	case key.Matches(msg, k.Down):
		return m.move(1)
	case key.Matches(msg, k.Next):
		m.turn(1)
	case key.Matches(msg, k.Prev):
		m.turn(-1)
	case key.Matches(msg, k.PageDown):
		m.scroll += max(1, m.bodyHeight()-1)
	case key.Matches(msg, k.PageUp):
		m.scroll -= max(1, m.bodyHeight()-1)
	case key.Matches(msg, k.Views):
		// Of a torrent that was just selected, it is not known yet what there is.
		unknown := m.detailOf != m.id
		if v := view(msg.String()[0] - '1'); slices.Contains(m.seeable(), v) || unknown && v < logView {
			m.view, m.scroll = v, 0
		}
	case key.Matches(msg, k.Pause):
		t := m.current()
		if t == nil {
			return nil
		}
		id, pause := t.ID, !t.Paused
		return func() tea.Msg { return paused{m.src.(Pauser).Pause(m.ctx, id, pause)} }
	}
	return nil
}

// move selects another torrent, or scrolls where there is only one.
func (m *model) move(by int) tea.Cmd {
	if len(m.torrents) < 2 {
		m.scroll += by
		return nil
	}
	m.selected = max(0, min(m.selected+by, len(m.torrents)-1))
	if id := m.torrents[m.selected].ID; id != m.id {
		m.id, m.scroll = id, 0
	}
	return m.look(false)
}

// turn shows the next view, or that before.
func (m *model) turn(by int) {
	list := m.seeable()
	i := slices.Index(list, m.view) + by + len(list)
	m.view, m.scroll = list[i%len(list)], 0
}
