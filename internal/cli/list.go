package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/publish"
)

func (a *app) listCmd() *cobra.Command {
	var l api.List
	var label string
	cmd := a.daemonCmd(&cobra.Command{
		Use:   "list [WORD...]",
		Short: "list the releases and torrents of a spate serve",
		Long: `List the releases of a running spate serve, newest first, and then the torrents that
were added, in the order of the queue. With WORDs list only those whose names contain
all of them. In a terminal that is too narrow, long names are cut in the middle.

What was published is withdrawn, what was added is removed. The other verbs take both.`,
	}, 0, -1, "", func(ctx context.Context, c *api.Client, words []string) error {
		l.Text = strings.Join(words, " ")
		list, err := listBoth(ctx, c, l, label)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.PrintJSON(list)
		}
		a.noteLimits(ctx, c)
		return a.Printf("%s", listTable(list.Releases.Releases, list.Torrents, a.StdoutWidth()))
	})
	cmd.Flags().StringVar(&l.Group, "group", "", "list only releases of this `GROUP`")
	cmd.Flags().BoolVar(&l.Latest, "latest", false, "list only the newest versions")
	cmd.Flags().StringVar(&label, "label", "", "list only torrents with this `LABEL`")
	return cmd
}

// minListName is the width to which a terminal that is too narrow shortens the names of releases.
const minListName = 12

// listed is the JSON output of list.
type listed struct {
	api.Releases
	Torrents []daemon.TorrentInfo `json:"torrents"`
}

// listBoth returns the releases and the added torrents that the flags of list select. Torrents have
// no group and no version, releases have no label.
func listBoth(ctx context.Context, c *api.Client, l api.List, label string) (list listed, err error) {
	list.Torrents = []daemon.TorrentInfo{}
	list.Releases.Releases = []publish.ReleaseInfo{}
	if label == "" {
		if list.Releases, err = c.Releases(ctx, l); err != nil {
			return list, err
		}
	}
	if l.Group != "" || l.Latest {
		return list, nil
	}
	added, err := c.Torrents(ctx, daemon.TorrentList{Text: l.Text, Label: label})
	list.Torrents = added.Torrents
	return list, err
}

// listTable returns a line for each release and each torrent, and a heading. Columns are as wide as
// their widest value. If the lines are wider than width, the names are cut in the middle. A width of 0
// is no limit.
func listTable(list []publish.ReleaseInfo, torrents []daemon.TorrentInfo, width int) string {
	if len(list)+len(torrents) == 0 {
		return ""
	}
	heading := "RELEASE"
	if len(torrents) > 0 {
		heading = "NAME"
	}
	rows := [][]string{{heading, "STATE", "SIZE", "SEEDS", "PEERS", "DOWNLOADS", "SENT"}}
	for _, r := range list {
		rows = append(rows, []string{
			termsafe.Line(r.Ref), r.Live.State, units.Bytes(r.TotalLength), strconv.Itoa(r.Live.Seeders), strconv.Itoa(r.Live.Leechers),
			strconv.FormatInt(r.Completed+r.Direct, 10), units.Bytes(r.SeedBytes + r.HTTPBytes),
		})
	}
	for i := range torrents {
		t := &torrents[i]
		rows = append(rows, []string{
			termsafe.Line(t.Name), torrentState(t), units.Bytes(t.TotalLength), strconv.Itoa(t.Seeders), strconv.Itoa(t.Leechers), "-", units.Bytes(t.Uploaded),
		})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	rest := 0
	for _, w := range widths[1:] {
		rest += 2 + w
	}
	if width > 0 {
		widths[0] = min(widths[0], max(minListName, width-rest))
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i == 0 {
				cell = term.ClipMiddle(cell, widths[0])
			}
			space := strings.Repeat(" ", widths[i]-ansi.StringWidth(cell))
			switch {
			case i == 0:
				b.WriteString(cell + space)
			case i == 1: // a word
				b.WriteString("  " + cell + space)
			default:
				b.WriteString("  " + space + cell)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
