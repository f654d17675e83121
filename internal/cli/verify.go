package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"spate/internal/fault"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/maker"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	data string
	jobs int
	sourceFlags
}

// verifyJSON is the JSON output of verify.
type verifyJSON struct {
	Path    string           `json:"path"` // path of the data
	Pieces  int              `json:"pieces"`
	Good    int              `json:"good"`
	Bad     int              `json:"bad"`
	Missing int              `json:"missing"`
	Differ  int              `json:"differ,omitempty"` // pieces of a hybrid that are good by only one of v1 and v2
	Files   []verifyFileJSON `json:"files"`
}

// verifyFileJSON is a file of the result. Its state is whole, damaged, missing, too_long,
// unverified or unreadable.
type verifyFileJSON struct {
	Path       string      `json:"path"`
	State      string      `json:"state"`
	Length     int64       `json:"length"`
	Size       int64       `json:"size"`                 // size of the file on disk
	Damaged    []rangeJSON `json:"damaged,omitempty"`    // bytes in bad pieces
	Unverified []rangeJSON `json:"unverified,omitempty"` // bytes that share a piece with a missing file
	Error      string      `json:"error,omitempty"`
}

// rangeJSON is a range of bytes from From up to, but not including, To.
type rangeJSON struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

func (a *app) verifyCmd() *cobra.Command {
	var opt verifyOptions
	cmd := &cobra.Command{
		Use:   "verify TORRENT [PATH]",
		Short: "check data against a .torrent",
		Long: `Check data against a torrent: every piece by v1, v2, or both. TORRENT is a .torrent
file, its URL, the URL of its page, or - for standard input. Without PATH or --data,
verify looks for the data beside the .torrent and in the current directory. PATH is
the file or directory itself, or the directory that contains it. The exit code is 4
if anything is damaged, missing or too long.`,
		Example: "  spate verify debian.torrent\n  spate verify photos.torrent /mnt/backup/photos --json",
		Args:    need(1, 2, "a .torrent and a PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.verify(cmd.Context(), args, opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.data, "data", "", "look for the data in this `DIR`")
	f.IntVar(&opt.jobs, "jobs", 0, "hash with `N` processor cores (default: all)")
	opt.sourceFlags.add(f)
	return cmd
}

func (a *app) verify(ctx context.Context, args []string, opt verifyOptions) error {
	a.saveMemory()
	if opt.jobs < 0 {
		return fault.Usagef("--jobs %d: the value must be 1 or more", opt.jobs)
	}
	src, err := a.resolveTorrent(ctx, "spate verify", args[0], &opt.sourceFlags)
	if err != nil {
		return err
	}
	m, err := src.Parse()
	if err != nil {
		return err
	}
	a.sources(opt.bind.Addr).AddV2Hashes(ctx, src, m)
	var paths []string
	switch {
	case len(args) > 1:
		if paths, err = dataPaths("PATH of spate verify", args[1:]); err != nil {
			return err
		}
	case opt.data != "":
		paths = []string{opt.data}
	case src.Path != "":
		paths = []string{filepath.Dir(src.Path), "."}
	default:
		paths = []string{"."}
	}
	path, err := maker.FindData(m, paths...)
	if err != nil {
		return fault.WithHint(err, "name its directory with --data DIR, or give it as the second argument")
	}
	bar := a.NewProgress("checking " + m.Info.Name)
	r, err := maker.Verify(ctx, m, path, maker.VerifyOptions{
		Workers:  opt.jobs,
		Progress: hashing(bar),
	})
	bar.Finish()
	if err != nil {
		return err
	}
	if err := a.printReport(path, r); err != nil || r.Whole() {
		return err
	}
	return dataError(path, args[0], r)
}

// dataError returns the error about the data at path, which does not match the torrent in file.
func dataError(path, file string, r *maker.Report) error {
	if r.Incomplete() {
		return fault.New(fault.BadData, "spate get fetches the rest", "%s is not complete: %s missing", path, units.PartIs(r.Missing, r.Pieces, "piece", "is", "are"))
	}
	hint := ""
	if r.Differ > 0 {
		hint = "the v1 and v2 hashes of the torrent are for different data: do not trust it"
	}
	return fault.New(fault.BadData, hint, "%s does not match %s", path, file)
}

func (a *app) printReport(path string, r *maker.Report) error {
	if a.JSON {
		return a.PrintJSON(reportToJSON(path, r))
	}
	var s strings.Builder
	counts := map[maker.FileState]int{}
	for k := range r.Files {
		f := &r.Files[k]
		counts[f.State]++
		if f.State == maker.FileWhole && a.Verbose == 0 {
			continue
		}
		fmt.Fprintln(&s, fileLine(f))
	}
	fmt.Fprintf(&s, "%s good", units.PartIs(r.Good, r.Pieces, "piece", "is", "are"))
	sep := "; files: "
	for _, st := range []maker.FileState{
		maker.FileWhole, maker.FileIncomplete, maker.FileDamaged, maker.FileMissing, maker.FileTooLong, maker.FileUnverified, maker.FileUnreadable,
	} {
		if n := counts[st]; n > 0 {
			fmt.Fprintf(&s, "%s%d %s", sep, n, st)
			sep = ", "
		}
	}
	return a.Printf("%s\n", s.String())
}

// fileLine returns the state and the path of a file, and its damage.
func fileLine(f *maker.FileReport) string {
	return fmt.Sprintf("%-10s  %s%s", f.State, termsafe.Line(f.Path), termsafe.Line(detail(f)))
}

// detail describes the damage of a file.
func detail(f *maker.FileReport) string {
	const most = 8
	var parts []string
	switch f.State {
	case maker.FileTooLong:
		return fmt.Sprintf(": %s more than %d", units.Plural(f.Size-f.Length, "byte"), f.Length)
	case maker.FileUnreadable:
		return ": " + f.Err.Error()
	case maker.FileIncomplete:
		n := int64(0)
		for _, r := range f.Damaged {
			n += r.To - r.From
		}
		return fmt.Sprintf(": %s of %s are zeros that were not downloaded yet", units.Bytes(n), units.Bytes(f.Length))
	case maker.FileDamaged:
		for _, r := range f.Damaged[:min(most, len(f.Damaged))] {
			parts = append(parts, r.String())
		}
		s := ": bytes " + strings.Join(parts, ", ")
		if n := len(f.Damaged) - most; n > 0 {
			s += fmt.Sprintf(" and %d more places", n)
		}
		if f.Size < f.Length {
			s += fmt.Sprintf("; it has %s", units.PartOf(f.Size, f.Length, "byte"))
		}
		return s
	case maker.FileUnverified:
		return ": shares pieces with a file that is missing"
	}
	return ""
}

func reportToJSON(path string, r *maker.Report) *verifyJSON {
	v := &verifyJSON{
		Path: path, Pieces: r.Pieces, Good: r.Good, Bad: r.Bad, Missing: r.Missing, Differ: r.Differ, Files: make([]verifyFileJSON, 0, len(r.Files)),
	}
	ranges := func(list []maker.Range) (out []rangeJSON) {
		for _, x := range list {
			out = append(out, rangeJSON{x.From, x.To})
		}
		return out
	}
	for k := range r.Files {
		f := &r.Files[k]
		j := verifyFileJSON{
			Path: f.Path, State: strings.ReplaceAll(f.State.String(), " ", "_"), Length: f.Length, Size: f.Size,
			Damaged: ranges(f.Damaged), Unverified: ranges(f.Unverified),
		}
		if f.State == maker.FileUnreadable {
			j.Error = f.Err.Error()
		}
		v.Files = append(v.Files, j)
	}
	return v
}
