package tui

import (
	"fmt"
	"strings"
	"time"

	"spate/internal/units"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// body returns the lines of the current view. The caller cuts them to the screen.
func (m *model) body() []string {
	if m.view == logView {
		return m.logBody()
	}
	t := m.current()
	switch {
	case t == nil && !m.loaded:
		return []string{"", "loading ..."}
	case t == nil:
		return []string{"", "no torrents"}
	}
	d := m.detail
	if d == nil || m.detailOf != t.ID {
		d = &Detail{}
	}
	switch m.view {
	case filesView:
		return m.filesBody(d)
	case piecesView:
		return m.piecesBody(d)
	case peersView:
		return m.peersBody(d)
	case trackersView:
		return m.trackersBody(d)
	}
	return m.overviewBody(t, d)
}

// labelWidth is the width of the labels in the overview.
const labelWidth = 11

func (m *model) labelled(label, value string) string {
	return faint.Render(fit(label, labelWidth)) + fit(value, m.inner()-labelWidth)
}

func (m *model) overviewBody(t *Torrent, d *Detail) []string {
	avail := m.inner() - labelWidth
	out := []string{
		faint.Render(fit("name", labelWidth)) + strong.Render(fitMiddle(clean(t.Name), avail)),
	}
	if d.Path != "" {
		out = append(out, faint.Render(fit("path", labelWidth))+fitMiddle(clean(d.Path), avail))
	}
	if d.Hash != "" {
		out = append(out, m.labelled("info-hash", clean(d.Hash)))
	}
	state := clean(t.State)
	if t.Left >= 0 && t.Done < t.Size {
		state += ", " + duration(t.Left) + " left"
	}
	out = append(out, m.labelled("state", state))
	if t.Err != "" {
		out = append(out, faint.Render(fit("", labelWidth))+bad.Render(fit(clean(t.Err), avail)))
	}
	for i, line := range d.Stall {
		label := "stalled"
		if i > 0 {
			label = ""
		}
		for part := range strings.SplitSeq(ansi.Wordwrap(clean(line), avail, ""), "\n") {
			out = append(out, m.labelled(label, part))
			label = ""
		}
	}
	done := " " + right(percent(t.Fraction), 7) + "  " + units.Bytes(t.Done) + " of " + units.Bytes(t.Size)
	gauge := min(60, max(10, avail-lipgloss.Width(done)))
	paint := flow
	if t.Fraction >= 1 {
		paint = good
	}
	out = append(out, faint.Render(fit("done", labelWidth))+paint.Render(bar(t.Fraction, gauge))+done)
	h := m.rates[t.ID]
	if h == nil {
		h = &history{}
	}
	width := min(historyLen, avail-28)
	if width >= 8 {
		out = append(out, m.ratesLine("down", h.down, t.Down, width), m.ratesLine("up", h.up, t.Up, width))
	}
	ratio := "·"
	if t.Downloaded > 0 {
		ratio = fmt.Sprintf("%.2f", float64(t.Uploaded)/float64(t.Downloaded))
	}
	out = append(out,
		m.labelled("total", fmt.Sprintf("%s received, %s sent, ratio %s", units.Bytes(t.Downloaded), units.Bytes(t.Uploaded), ratio)),
		m.labelled("peers", fmt.Sprintf("%d connected, %d of them %s; %d more known", t.Peers, t.Seeds, units.Agree(t.Seeds, "a seed", "seeds"), t.Known)))
	if d.Pieces != nil {
		out = append(out, m.labelled("pieces", pieceCounts(d.Pieces)))
	}
	for _, f := range d.Facts {
		out = append(out, m.labelled(clean(f[0]), clean(f[1])))
	}
	for _, tr := range d.Trackers {
		if tr.Bad {
			out = append(out, faint.Render(fit("tracker", labelWidth))+bad.Render(fit(clean(tr.Says), avail)))
		}
	}
	return out
}

// ratesLine shows a rate, its history and its maximum.
func (m *model) ratesLine(label string, values []float64, now float64, width int) string {
	line, top := sparkline(values, width)
	s := faint.Render(fit(label, labelWidth)) + fit(right(rate(now), 11), 12) + flow.Render(line)
	if top >= 1 {
		s += faint.Render(" max " + rate(top))
	}
	return s
}

func (m *model) filesBody(d *Detail) []string {
	name := m.inner() - 32
	if name < 10 {
		name = m.inner() - 18
	}
	wide := m.inner()-name > 20
	out := []string{faint.Render(m.fileLine("file", "size", "done", "", name, wide))}
	for _, f := range d.Files {
		share := 1.0
		if f.Length > 0 {
			share = float64(f.Done) / float64(f.Length)
		}
		done, gauge := percent(share), bar(share, 12)
		if f.Skipped && share < 1 {
			done, gauge = "skipped", ""
		}
		out = append(out, m.fileLine(clean(f.Path), units.Bytes(f.Length), done, gauge, name, wide))
	}
	return out
}

func (m *model) fileLine(path, size, done, gauge string, name int, wide bool) string {
	s := fitMiddle(path, name) + " " + right(size, 8) + " " + right(done, 8)
	if wide {
		s += "  " + flow.Render(fit(gauge, 12))
	}
	return s
}

func (m *model) piecesBody(d *Detail) []string {
	if len(d.Pieces) == 0 {
		return []string{"the pieces are not known yet"}
	}
	rows, each := pieceMap(d.Pieces, m.inner(), max(1, m.bodyHeight()-2))
	what := "a mark is a piece"
	if each > 1 {
		what = fmt.Sprintf("a mark is %s", units.Plural(each, "piece"))
	}
	out := []string{fit(pieceCounts(d.Pieces)+"; "+what, m.inner()), faint.Render("█ complete  ▓▒░ partly complete  ◦ downloading  · missing")}
	for _, r := range rows {
		out = append(out, flow.Render(r))
	}
	return out
}

func (m *model) peersBody(d *Detail) []string {
	client := m.inner() - 64
	line := func(addr, program, have, down, up, flags string) string {
		return fit(addr, 22) + " " + right(have, 7) + " " + right(down, 11) + " " + right(up, 11) + "  " + fit(flags, 8) + fit(program, client)
	}
	out := []string{faint.Render(line("peer", "client", "has", "down", "up", "flags"))}
	for _, p := range d.Peers {
		flags := "→"
		if p.Incoming {
			flags = "←"
		}
		if p.Unchoked {
			flags += " u"
		}
		if !p.Choked {
			flags += " d"
		}
		switch {
		case p.Holepunched:
			flags += " h"
		case p.UTP:
			flags += " µ"
		}
		out = append(out, line(clean(p.Addr), clean(p.Client), percent(p.Have), rate(p.Down), rate(p.Up), flags))
	}
	if len(d.Peers) == 0 {
		return []string{"no peers are connected"}
	}
	return append(out, "", faint.Render("→ outgoing  ← incoming  u we upload to it  d it uploads to us  µ uTP  h uTP through a punched hole"))
}

func (m *model) trackersBody(d *Detail) []string {
	if len(d.Trackers) == 0 {
		return []string{"no tracker was contacted yet"}
	}
	var out []string
	now := m.o.Now()
	for _, t := range d.Trackers {
		out = append(out, fitMiddle(clean(t.URL), m.inner()))
		says := t.Counts
		if t.Says != "" {
			says = t.Says
		}
		if !t.Next.IsZero() && t.Next.After(now) {
			says += "; next announce in " + duration(t.Next.Sub(now).Truncate(time.Second))
		}
		says = "  " + fit(clean(says), m.inner()-2)
		if t.Bad {
			says = bad.Render(says)
		}
		out = append(out, says)
	}
	return out
}

// logBody returns the lines of the log, the newest first.
func (m *model) logBody() []string {
	lines := m.o.Log.Lines()
	if len(lines) == 0 {
		return []string{"the log is empty"}
	}
	out := make([]string, 0, len(lines))
	for i := len(lines) - 1; i >= 0; i-- {
		out = append(out, clean(lines[i]))
	}
	return out
}
