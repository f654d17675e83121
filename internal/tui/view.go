package tui

import (
	"fmt"
	"strings"

	"spate/internal/units"

	"charm.land/bubbles/v2/help"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// The styles use only the sixteen colours that the theme of the terminal defines.
// Nothing is shown by colour alone.
var (
	strong = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	chosen = lipgloss.NewStyle().Reverse(true)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	flow   = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red)
)

// The smallest size of a terminal that the screen supports.
const (
	leastWidth  = 40
	leastHeight = 10
)

// View implements [tea.Model].
func (m *model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	return v
}

// screen lays out the whole screen: exactly height lines of at most width columns.
func (m *model) screen() string {
	if m.width < leastWidth || m.height < leastHeight {
		return fit(fmt.Sprintf("%d×%d is too small", m.width, m.height), m.width)
	}
	lines := append(m.head(), m.list()...)
	lines = append(lines, m.tabs())
	foot := m.foot()
	avail := m.height - len(lines) - len(foot)
	body := m.body()
	m.scroll = max(0, min(m.scroll, len(body)-avail))
	body = body[m.scroll:]
	for i := range avail {
		if i < len(body) {
			lines = append(lines, " "+fit(body[i], m.inner())+" ")
		} else {
			lines = append(lines, "")
		}
	}
	return strings.Join(append(lines, foot...), "\n")
}

// inner returns the width between the margins.
func (m *model) inner() int { return m.width - 2 }

// bodyHeight returns the number of lines of the current view.
func (m *model) bodyHeight() int {
	return m.height - len(m.head()) - len(m.list()) - 1 - len(m.foot())
}

// head returns the title line and a horizontal line.
func (m *model) head() []string {
	var down, up float64
	peers := 0
	for _, t := range m.torrents {
		down += t.Down
		up += t.Up
		peers += t.Peers
	}
	sums := fmt.Sprintf("↓ %s  ↑ %s  %s", right(rate(down), 9), right(rate(up), 9), units.Plural(peers, "peer"))
	title := "spate " + clean(m.o.Title)
	return []string{
		" " + strong.Render(fit(title, m.inner()-lipgloss.Width(sums)-2)) + "  " + sums + " ",
		faint.Render(strings.Repeat("─", m.width)),
	}
}

// column is a column of the list beside the name.
type column int

const (
	stateColumn column = iota
	sizeColumn
	doneColumn
	downColumn
	upColumn
	peersColumn
	numColumns
)

// columnWidth holds the widths of the columns.
var columnWidth = [numColumns]int{11, 8, 7, 9, 9, 5}

// goodName is the width of names that the list keeps by leaving out columns.
const goodName = 30

// columns returns which columns the list shows beside the names, and the width of the names. A
// column without numbers is left out if the names need its place, and then those that matter least.
func (m *model) columns() (show [numColumns]bool, name int) {
	name = m.inner()
	need := ansi.StringWidth("torrent")
	var down float64
	for i := range m.torrents {
		need = max(need, ansi.StringWidth(clean(m.torrents[i].Name)))
		down += m.torrents[i].Down
	}
	for c := range numColumns {
		show[c] = true
		name -= 1 + columnWidth[c]
	}
	leave := []column{sizeColumn, peersColumn, downColumn, upColumn, doneColumn}
	if down < 1 {
		leave = []column{downColumn, sizeColumn, peersColumn, upColumn, doneColumn}
	}
	for _, c := range leave {
		if name >= min(need, goodName) {
			break
		}
		show[c] = false
		name += 1 + columnWidth[c]
	}
	return show, name
}

// list returns the rows of the list of torrents. It is empty if there is only one
// torrent.
func (m *model) list() []string {
	if len(m.torrents) < 2 {
		return nil
	}
	rows := min(len(m.torrents), max(1, (m.height-8)/2))
	m.top = max(0, min(m.top, len(m.torrents)-rows))
	m.top = max(min(m.top, m.selected), m.selected-rows+1)
	columns, name := m.columns()
	line := func(title, state, size, done, down, up, peers string) string {
		s := fitMiddle(title, name) // the end tells versions and variants apart
		for i, text := range []string{state, size, done, down, up, peers} {
			switch c := column(i); {
			case !columns[c]:
			case c == stateColumn:
				s += " " + fit(text, columnWidth[c])
			default:
				s += " " + right(text, columnWidth[c])
			}
		}
		return s
	}
	out := []string{" " + faint.Render(line("torrent", "", "size", "done", "down", "up", "peers")) + " "}
	for i := m.top; i < m.top+rows; i++ {
		t := &m.torrents[i]
		row := line(clean(t.Name), clean(t.State), units.Bytes(t.Size), percent(t.Fraction), rate(t.Down), rate(t.Up), fmt.Sprint(t.Peers))
		switch {
		case i == m.selected:
			row = ">" + chosen.Render(row) + " "
		case t.Err != "":
			row = " " + bad.Render(row) + " "
		default:
			row = " " + row + " "
		}
		out = append(out, row)
	}
	return append(out, faint.Render(strings.Repeat("─", m.width)))
}

// tabs returns the line with the names of the views.
func (m *model) tabs() string {
	var parts []string
	width := 0
	for _, v := range m.availableViews() {
		label := fmt.Sprintf("%d %s", int(v)+1, v)
		if v == m.view {
			label = chosen.Render(" " + label + " ")
		} else {
			label = faint.Render(" " + label + " ")
		}
		width += lipgloss.Width(label)
		if width > m.inner() {
			break
		}
		parts = append(parts, label)
	}
	return " " + strings.Join(parts, "")
}

// foot returns the error, a horizontal line, and the keys.
func (m *model) foot() []string {
	h := help.New()
	h.ShowAll = m.help && m.height >= 16
	h.ShortSeparator = "   "
	h.Styles = help.Styles{ShortKey: strong, ShortDesc: faint, FullKey: strong, FullDesc: faint, ShortSeparator: faint, FullSeparator: faint, Ellipsis: faint}
	var out []string
	if m.err != nil {
		out = append(out, " "+bad.Render(fit(clean(m.err.Error()), m.inner())))
	}
	out = append(out, faint.Render(strings.Repeat("─", m.width)))
	for line := range strings.SplitSeq(h.View(m.keys), "\n") {
		out = append(out, " "+ansi.Truncate(line, m.inner(), "…"))
	}
	return out
}
