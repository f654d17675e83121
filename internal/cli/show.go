package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/metainfo"
)

func (a *app) showCmd() *cobra.Command {
	opt := sourceFlags{readOnly: true}
	cmd := &cobra.Command{
		Use:   "show SOURCE...",
		Short: "print what a .torrent or magnet link contains",
		Long: `Print the files, trackers, web seeds and hashes of a torrent, and what other
programs may refuse about it. A SOURCE is a .torrent file, its URL, the URL of a
page that links to it, a Metalink, a magnet link or an info-hash; - is standard
input.`,
		Example: "  spate show debian.torrent\n  spate show --json http://tracker.example.org:6969/r/debian.iso | jq .files",
		Args:    need(1, -1, "a SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for k, arg := range args {
				if k > 0 && !a.JSON {
					if err := a.Printf("\n"); err != nil {
						return err
					}
				}
				if err := a.show(cmd.Context(), arg, &opt); err != nil {
					return err
				}
			}
			return nil
		},
	}
	opt.add(cmd.Flags())
	return cmd
}

func (a *app) show(ctx context.Context, arg string, opt *sourceFlags) error {
	a.saveMemory()
	src, err := a.resolve(ctx, arg, opt)
	if err != nil {
		return err
	}
	if src.Torrent == nil {
		g, err := metainfo.ParseMagnet(src.Magnet)
		if err != nil {
			return err
		}
		return a.showMagnet(g)
	}
	m, err := src.Parse()
	if err != nil {
		return err
	}
	if a.JSON {
		j := torrentToJSON(m)
		j.Warnings = append(j.Warnings, advice(m, src.Torrent)...)
		return a.PrintJSON(j)
	}
	s := sheet{print: a.Print}
	s.torrent(m, src.Torrent)
	s.files(&m.Info)
	return s.flush()
}

// sheet writes the text output of show in parts, because the list of a million files is long.
// Its methods escape text from outside.
type sheet struct {
	b     strings.Builder // the next part
	print func(string) error
	err   error // the first error of print
}

// sheetPart is the length in bytes from which a part is written.
const sheetPart = 64 << 10

// flush writes what was added, and returns the first error.
func (s *sheet) flush() error {
	if s.err == nil && s.b.Len() > 0 {
		s.err = s.print(termsafe.Text(s.b.String()))
	}
	s.b.Reset()
	return s.err
}

// row adds a line with a label for the first value, and a line for each further value. It omits
// empty values.
func (s *sheet) row(label string, values ...string) {
	for _, v := range values {
		if v == "" {
			continue
		}
		fmt.Fprintf(&s.b, "%-14s %s\n", label, termsafe.Line(v))
		label = ""
	}
}

// torrent adds everything except the files. file is the .torrent file of m.
func (s *sheet) torrent(m *metainfo.MetaInfo, file []byte) {
	i := &m.Info
	s.row("name", i.Name)
	s.row("format", string(i.Format()))
	s.row("size", size(i.DataLength(), files(i)))
	s.row("pieces", fmt.Sprintf("%s of %s", units.Count(int64(i.NumPieces())), units.PieceLength(i.PieceLength)))
	if h, ok := m.HashV1(); ok {
		s.row("info-hash v1", h.String())
	}
	if h, ok := m.HashV2(); ok {
		s.row("info-hash v2", h.String())
		layers := "all there"
		if n := m.MissingLayers(); n > 0 {
			layers = fmt.Sprintf("missing for %s", units.Plural(n, "file"))
		}
		s.row("piece layers", layers)
	}
	if m.V2Hashes != nil {
		s.row("v2 hashes", "beside the info dictionary")
	}
	if i.Private {
		s.row("private", "yes: peers come from the trackers only")
	}
	s.row("comment", m.Comment)
	s.row("source", i.Source)
	s.row("created by", m.CreatedBy)
	if !m.CreationDate.IsZero() {
		s.row("created", m.CreationDate.UTC().Format(time.DateTime+" MST"))
	}
	s.tiers(m.AnnounceList)
	s.row("web seeds", m.WebSeeds...)
	s.row("http seeds", m.HTTPSeeds...)
	s.row("DHT nodes", m.Nodes...)
	for _, h := range append(i.Similar[:len(i.Similar):len(i.Similar)], m.Similar...) {
		s.row("similar to", h.String())
	}
	s.row("collections", append(i.Collections[:len(i.Collections):len(i.Collections)], m.Collections...)...)
	s.row("magnet", m.Magnet().String())
	var warnings []string
	for _, w := range m.Warnings {
		warnings = append(warnings, w.String())
	}
	s.row("warnings", append(warnings, advice(m, file)...)...)
}

// tiers adds the trackers, with numbers of their tiers if there are several.
func (s *sheet) tiers(tiers [][]string) {
	var lines []string
	for k, tier := range tiers {
		for n, u := range tier {
			switch {
			case len(tiers) == 1:
				lines = append(lines, u)
			case n == 0:
				lines = append(lines, fmt.Sprintf("%d  %s", k+1, u))
			default:
				lines = append(lines, "   "+u)
			}
		}
	}
	s.row("trackers", lines...)
}

// files adds the tree of files.
func (s *sheet) files(i *metainfo.Info) {
	if i.Single() {
		return
	}
	s.b.WriteString("files\n")
	var last []string
	for k := range i.Files {
		f := &i.Files[k]
		if f.Pad() {
			continue
		}
		if s.b.Len() >= sheetPart && s.flush() != nil {
			return
		}
		dirs := f.Path[:len(f.Path)-1]
		same := 0
		for same < len(dirs) && same < len(last) && dirs[same] == last[same] {
			same++
		}
		for d := same; d < len(dirs); d++ {
			fmt.Fprintf(&s.b, "  %s%s/\n", strings.Repeat("  ", d), termsafe.Line(dirs[d]))
		}
		last = dirs
		name := strings.Repeat("  ", len(dirs)) + termsafe.Line(f.Path[len(f.Path)-1])
		switch {
		case f.Symlink != nil:
			fmt.Fprintf(&s.b, "  %s -> %s\n", name, termsafe.Line(strings.Join(f.Symlink.Target, "/")))
		default:
			fmt.Fprintf(&s.b, "  %-44s %9s%s\n", name, units.Bytes(f.Length), marks(f))
		}
	}
}

func marks(f *metainfo.File) string {
	s := ""
	if f.Executable() {
		s += "  program"
	}
	if f.Hidden() {
		s += "  hidden"
	}
	return s
}

// files returns the number of files without pad files.
func files(i *metainfo.Info) int {
	n := 0
	for k := range i.Files {
		if !i.Files[k].Pad() {
			n++
		}
	}
	return n
}

func size(n int64, files int) string {
	s := fmt.Sprintf("%s (%s)", units.Bytes(n), units.Plural(n, "byte"))
	if files != 1 {
		s += " in " + units.Plural(files, "file")
	}
	return s
}

// showMagnet prints a magnet link.
func (a *app) showMagnet(g metainfo.Magnet) error {
	if a.JSON {
		return a.PrintJSON(magnetToJSON(g))
	}
	s := sheet{print: a.Print}
	s.row("name", g.Name)
	if g.Length > 0 {
		s.row("size", size(g.Length, 1))
	}
	if !g.HashV1.IsZero() {
		s.row("info-hash v1", g.HashV1.String())
	}
	if !g.HashV2.IsZero() {
		s.row("info-hash v2", g.HashV2.String())
	}
	s.row("trackers", g.Trackers...)
	s.row("web seeds", g.WebSeeds...)
	s.row("torrent at", g.Torrents...)
	s.row("peers", g.Peers...)
	s.row("files", selection(g))
	s.row("magnet", g.String())
	return s.flush()
}

// magnetToJSON returns the JSON output of show for a magnet link. Each tracker is a tier of its
// own, because a link has no tiers.
func magnetToJSON(g metainfo.Magnet) *torrentJSON {
	t := &torrentJSON{
		Name: g.Name, TotalLength: g.Length, WebSeeds: g.WebSeeds, TorrentURLs: g.Torrents, Peers: g.Peers, Select: selection(g), Magnet: g.String(),
	}
	if !g.HashV1.IsZero() {
		t.InfoHashV1 = g.HashV1.String()
	}
	if !g.HashV2.IsZero() {
		t.InfoHashV2 = g.HashV2.String()
	}
	for _, u := range g.Trackers {
		t.AnnounceList = append(t.AnnounceList, []string{u})
	}
	t.lists()
	return t
}

// selection returns the file selection of a magnet link, in the syntax of the link.
func selection(g metainfo.Magnet) string {
	var s []string
	for _, r := range g.Select {
		if r.First == r.Last {
			s = append(s, fmt.Sprint(r.First))
		} else {
			s = append(s, fmt.Sprintf("%d-%d", r.First, r.Last))
		}
	}
	return strings.Join(s, ",")
}
