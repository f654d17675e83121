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

// Options configures a screen.
type Options struct {
	Title   string // shown in the top left corner, such as "get debian.iso"
	Input   io.Reader
	Output  io.Writer
	Environ []string      // environment as KEY=value, for TERM, NO_COLOR and similar variables
	Every   time.Duration // time between two refreshes; 0 selects half a second
	Log     *Log          // shown in the log view; nil omits the view
	Now     func() time.Time
}

// Run shows the source until the user quits or ctx is done, and returns nil then. It
// restores the terminal.
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

// view is one of the views of a torrent.
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

// historyLen is the number of samples of the rates that are kept: two minutes at the
// default interval.
const historyLen = 240

// history holds the rates of a torrent over time.
type history struct{ down, up []float64 }

func (h *history) add(down, up float64) {
	h.down, h.up = append(h.down, down), append(h.up, up)
	if n := len(h.down) - historyLen; n > 0 {
		h.down, h.up = slices.Delete(h.down, 0, n), slices.Delete(h.up, 0, n)
	}
}

// model is the state of the screen. Bubble Tea calls its methods one at a time.
type model struct {
	ctx context.Context
	src Source
	o   Options

	width, height int
	keys          keyMap

	torrents   []Torrent
	detail     *Detail
	detailOf   string
	rates      map[string]*history
	loaded     bool
	err        error
	refreshing bool // a refresh is in progress

	selected int
	id       string // ID of the selected torrent; the selection follows it when the list changes
	top      int    // first visible row of the list
	view     view
	scroll   int  // first visible line of the view
	help     bool // show all keys
}

func newModel(ctx context.Context, src Source, o Options) *model {
	_, pauses := src.(Pauser)
	return &model{ctx: ctx, src: src, o: o, keys: newKeyMap(pauses), rates: map[string]*history{}, width: 80, height: 24}
}

// refreshed is the message with the result of a refresh.
type refreshed struct {
	torrents []Torrent
	detail   *Detail
	of       string
	err      error
	sample   bool // the rates are a new sample for the history
}

type tickMsg struct{}

// Init implements [tea.Model].
func (m *model) Init() tea.Cmd { return tea.Batch(m.refresh(true), m.tick()) }

func (m *model) tick() tea.Cmd {
	return tea.Tick(m.o.Every, func(time.Time) tea.Msg { return tickMsg{} })
}

// refresh queries the source, unless a query is in progress.
func (m *model) refresh(sample bool) tea.Cmd {
	if m.refreshing {
		return nil
	}
	m.refreshing = true
	id := m.id
	return func() tea.Msg {
		l := refreshed{of: id, sample: sample}
		l.torrents, l.err = m.src.List(m.ctx)
		if l.err != nil {
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
		return m, tea.Batch(m.refresh(true), m.tick())
	case refreshed:
		m.refreshing = false
		m.apply(&msg)
	case pauseDone:
		m.err = msg.err
		if m.err == nil {
			return m, m.refresh(false)
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	}
	return m, nil
}

// apply stores the result of a refresh.
func (m *model) apply(l *refreshed) {
	m.err = l.err
	if l.err != nil {
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
	if !l.sample {
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

// current returns the selected torrent, or nil if there is none.
func (m *model) current() *Torrent {
	if m.selected >= len(m.torrents) {
		return nil
	}
	return &m.torrents[m.selected]
}

// availableViews returns the views that have content, and the current view.
func (m *model) availableViews() []view {
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

// pauseDone is the message with the result of a pause.
type pauseDone struct{ err error }

// press handles a key.
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
		m.switchView(1)
	case key.Matches(msg, k.Prev):
		m.switchView(-1)
	case key.Matches(msg, k.PageDown):
		m.scroll += max(1, m.bodyHeight()-1)
	case key.Matches(msg, k.PageUp):
		m.scroll -= max(1, m.bodyHeight()-1)
	case key.Matches(msg, k.Views):
		// The detail of a torrent that was just selected is not loaded yet, so allow
		// all views.
		unknown := m.detailOf != m.id
		if v := view(msg.String()[0] - '1'); slices.Contains(m.availableViews(), v) || unknown && v < logView {
			m.view, m.scroll = v, 0
		}
	case key.Matches(msg, k.Pause):
		t := m.current()
		if t == nil {
			return nil
		}
		id, pause := t.ID, !t.Paused
		return func() tea.Msg { return pauseDone{m.src.(Pauser).Pause(m.ctx, id, pause)} }
	}
	return nil
}

// move selects another torrent. If there is only one it scrolls the view.
func (m *model) move(by int) tea.Cmd {
	if len(m.torrents) < 2 {
		m.scroll += by
		return nil
	}
	m.selected = max(0, min(m.selected+by, len(m.torrents)-1))
	if id := m.torrents[m.selected].ID; id != m.id {
		m.id, m.scroll = id, 0
	}
	return m.refresh(false)
}

// switchView shows the next or the previous view.
func (m *model) switchView(by int) {
	list := m.availableViews()
	i := slices.Index(list, m.view) + by + len(list)
	m.view, m.scroll = list[i%len(list)], 0
}
