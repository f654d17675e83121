package tui

import "charm.land/bubbles/v2/key"

// keyMap holds the key bindings of the screen.
type keyMap struct {
	Up, Down, Next, Prev, PageUp, PageDown, Views, Pause, Redraw, Help, Quit key.Binding
}

func newKeyMap(pauses bool) keyMap {
	bind := func(help, text string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, text))
	}
	k := keyMap{
		Up:       bind("↑", "up", "up", "k"),
		Down:     bind("↑↓", "torrent", "down", "j"),
		Next:     bind("tab", "view", "tab", "right", "l"),
		Prev:     bind("shift+tab", "back", "shift+tab", "left", "h"),
		PageUp:   bind("pgup", "scroll up", "pgup", "b"),
		PageDown: bind("pgdn", "scroll", "pgdown", "f"),
		Views:    bind("1-6", "views", "1", "2", "3", "4", "5", "6"),
		Pause:    bind("p", "pause", "p", "space"),
		Redraw:   bind("^L", "redraw", "ctrl+l"),
		Help:     bind("?", "more", "?"),
		Quit:     bind("q", "quit", "q", "Q", "ctrl+c"),
	}
	k.Pause.SetEnabled(pauses)
	return k
}

// ShortHelp implements [help.KeyMap].
func (k keyMap) ShortHelp() []key.Binding {
	return []key.Binding{k.Down, k.Next, k.Views, k.PageDown, k.Pause, k.Quit, k.Help}
}

// FullHelp implements [help.KeyMap].
func (k keyMap) FullHelp() [][]key.Binding {
	return [][]key.Binding{{k.Down, k.Next, k.Prev}, {k.Views, k.PageDown, k.Pause}, {k.Redraw, k.Quit, k.Help}}
}
