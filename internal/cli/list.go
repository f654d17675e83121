package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/publish"
)

func (a *app) listCmd() *cobra.Command {
	var l api.List
	cmd := a.daemonCmd(&cobra.Command{
		Use:   "list [WORD...]",
		Short: "list what a spate serve publishes",
		Long:  "List the releases of a running spate serve, newest first. With WORDs list only\nreleases whose names contain all of them. In a terminal that is too narrow, long names\nare cut in the middle.",
	}, 0, -1, "", func(ctx context.Context, c *api.Client, words []string) error {
		l.Text = strings.Join(words, " ")
		list, err := c.Releases(ctx, l)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.PrintJSON(list)
		}
		return a.Printf("%s", releaseTable(list.Releases, a.StdoutWidth()))
	})
	cmd.Flags().StringVar(&l.Group, "group", "", "list only releases of this `GROUP`")
	cmd.Flags().BoolVar(&l.Latest, "latest", false, "list only the newest versions")
	return cmd
}

// minListName is the width to which a terminal that is too narrow shortens the names of releases.
const minListName = 12

// releaseTable returns a line for each release and a heading. Columns are as wide as their widest
// value. If the lines are wider than width, the names are cut in the middle. A width of 0 is no limit.
func releaseTable(list []publish.ReleaseInfo, width int) string {
	if len(list) == 0 {
		return ""
	}
	rows := [][]string{{"RELEASE", "STATE", "SIZE", "SEEDS", "PEERS", "DOWNLOADS", "SENT"}}
	for _, r := range list {
		rows = append(rows, []string{
			termsafe.Line(r.Ref), r.Live.State, units.Bytes(r.TotalLength), strconv.Itoa(r.Live.Seeders), strconv.Itoa(r.Live.Leechers),
			strconv.FormatInt(r.Completed+r.Direct, 10), units.Bytes(r.SeedBytes + r.HTTPBytes),
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
