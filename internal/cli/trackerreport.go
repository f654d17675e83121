package cli

import (
	"bytes"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate/internal/fault"
	"spate/tracker/trackerlog"
)

func (a *app) trackerReportCmd() *cobra.Command {
	var csv bool
	var state string
	var most int
	cmd := &cobra.Command{
		Use:   "report [LOG...]",
		Short: "summarize the log of downloads",
		Long: `Summarize a tracker's log of downloads by torrent, day and client, as text, as CSV,
or with --json as JSON. Without LOG, read the log in the state directory and its
older files.`,
		Example: "  spate tracker report\n  spate tracker report --csv activity.log.1 activity.log",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = trackerlog.Files(filepath.Join(a.stateDir(state), activityLog))
			}
			return a.trackerReport(args, csv, most)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&csv, "csv", false, "print CSV")
	f.IntVar(&most, "most", 20, "print at most `N` lines of each part; 0: all")
	stateFlag(f, &state)
	return cmd
}

func (a *app) trackerReport(logs []string, csv bool, most int) error {
	if csv && a.JSON {
		return fault.Usagef("--csv and --json: choose one")
	}
	if most < 0 {
		return fault.Usagef("--most %d: the value must be 0 or more", most)
	}
	p := trackerlog.NewReporter()
	for _, log := range logs {
		if err := p.ReadFile(log); err != nil {
			return err
		}
	}
	r := p.Report()
	var b bytes.Buffer
	var err error
	switch {
	case a.JSON:
		return a.PrintJSON(r)
	case csv:
		err = r.WriteCSV(&b)
	default:
		err = r.WriteText(&b, most)
	}
	if err != nil {
		return err
	}
	return a.Printf("%s", b.String())
}
