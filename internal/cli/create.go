package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate"
	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/source"
	"spate/internal/term"
	"spate/internal/termsafe"
	"spate/internal/torrentfile"
	"spate/internal/watch"
	"spate/maker"
	"spate/metainfo"
)

// createOptions are the flags of create.
type createOptions struct {
	mk          makeFlags
	output      string
	force       bool
	each        bool
	follow      bool // --follow-links
	nodes       []string
	links       string
	like        string
	noTail      bool
	filesFrom   string
	similar     []string
	collections []string
	preset      string
	jobs        int
}

func (a *app) createCmd() *cobra.Command {
	var opt createOptions
	cmd := &cobra.Command{
		Use:   "create PATH",
		Short: "write a .torrent",
		Long: `Write a .torrent of a file or a directory. PATH - reads the data of one file from
standard input. create leaves out hidden files, files of desktops (.DS_Store,
Thumbs.db, ...), devices, empty directories, and links that lead out; -v names them.
--files-from reads one path a line, or paths that end with NUL. --similar and
--collection are hints of BEP 38 for clients that have the same files already.`,
		Example: `  spate create debian.iso -a http://tracker.example.org:6969/announce
  spate create photos --each -o torrents/ --preset mine
  tar c src | spate create - --name src.tar -o src.tar.torrent`,
		Args: need(0, 1, "one PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && opt.filesFrom == "" {
				return need(1, 1, "a PATH")(cmd, args)
			}
			return a.create(cmd.Context(), append(args, ".")[0], opt)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&opt.output, "output", "o", "", "write to this file or directory; -: standard output (default NAME.torrent)")
	opt.mk.add(f)
	opt.moreFlags(f)
	f.BoolVar(&opt.each, "each", false, "make a torrent of each entry of the directory")
	followLinksFlag(f, &opt.follow, "the directory of --each")
	f.BoolVar(&opt.force, "force", false, "overwrite existing files; read data that is being written")
	f.StringVar(&opt.preset, "preset", "", "read flags from [preset.`NAME`] in the settings file")
	return cmd
}

func (o *createOptions) moreFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.nodes, "node", nil, "add the DHT node `HOST:PORT`; repeatable")
	f.StringVar(&o.filesFrom, "files-from", "", "take only paths listed in `FILE`; -: standard input")
	f.StringVar(&o.links, "links", "keep", "keep symbolic links, follow them inside PATH, or skip them")
	f.StringVar(&o.like, "like", "", "make the info-hash of `PROGRAM`: mktorrent, transmission or libtorrent")
	f.BoolVar(&o.noTail, "no-tail-padding", false, "add no pad file after the last file of hybrids")
	f.StringArrayVar(&o.similar, "similar", nil, "name a torrent with the same files by `HASH`; repeatable")
	f.StringArrayVar(&o.collections, "collection", nil, "name a group of torrents that share files; repeatable")
	f.IntVar(&o.jobs, "jobs", 0, "hash with `N` processor cores (default: all)")
}

// makerOptions converts the flags to options of the maker.
func (a *app) makerOptions(o *createOptions) (maker.Options, error) {
	m, err := o.mk.options()
	if err != nil {
		return m, err
	}
	m.Collections, m.NoTailPadding, m.Workers = o.collections, o.noTail, o.jobs
	m.Like = maker.Like(o.like)
	if !slices.Contains([]string{"", "mktorrent", "transmission", "libtorrent"}, o.like) {
		return m, fault.Usagef("--like %s: the value must be mktorrent, transmission or libtorrent", o.like)
	}
	if o.jobs < 0 {
		return m, fault.Usagef("--jobs %d: the value must be 1 or more", o.jobs)
	}
	links := map[string]maker.Links{"keep": maker.LinksKeep, "follow": maker.LinksFollow, "skip": maker.LinksSkip}
	var ok bool
	m.Links, ok = links[o.links]
	if !ok {
		return m, fault.Usagef("--links %s: the value must be keep, follow or skip", o.links)
	}
	if m.Nodes, err = torrentfile.HostPorts("--node", o.nodes); err != nil {
		return m, err
	}
	for _, s := range o.similar {
		h, err := spate.ParseInfoHash(s)
		if err != nil {
			return m, fault.Usagef("--similar: %w", err)
		}
		m.Similar = append(m.Similar, h)
	}
	m.Date, err = torrentfile.Date(a.Getenv("SOURCE_DATE_EPOCH"), a.Now())
	return m, err
}

func (a *app) create(ctx context.Context, path string, opt createOptions) error {
	a.saveMemory()
	path, err := source.DataPath("spate create", path)
	if err != nil {
		return err
	}
	o, err := a.makerOptions(&opt)
	if err != nil {
		return err
	}
	if o.Files, err = a.readList(opt.filesFrom); err != nil {
		return err
	}
	switch {
	case opt.output == "-" && a.JSON:
		return fault.Usagef("-o - and --json: standard output can hold only one of them")
	case path == "-" && (opt.each || opt.filesFrom != ""):
		return fault.Usagef("standard input is a single file: leave out --each and --files-from")
	case path == "-" && o.Name == "":
		return fault.UsageHint("give it one with --name", "a torrent of standard input has no name")
	case opt.each:
		return a.createEach(ctx, path, o, &opt)
	}
	out, err := opt.target(path, o.Name)
	if err != nil {
		return err
	}
	if out != "-" {
		if err := torrentfile.CheckTarget(out, opt.force); err != nil {
			return err
		}
	} else if a.StdoutIsTerminal() && !opt.force {
		return fault.UsageHint("write it to a file with -o, or pipe it on", "standard output is a terminal, and a .torrent is binary")
	}
	o.Written = torrentfile.Written(a.OutputFiles(), out)
	o.Unmatched = func(u maker.Unmatched) { a.warnUnmatched(u, path) }
	skipped, left := a.leftOut()
	o.Skipped = skipped
	err = a.selectFiles(ctx, path, &o, opt.force)
	var m *metainfo.MetaInfo
	if err == nil {
		m, err = a.makeOne(ctx, path, o)
	}
	entries := left.Total()
	a.warnLeftOut(left)
	var name *maker.NameError
	if errors.As(err, &name) && o.Name != "" && name.Path == o.Name {
		return fault.Usagef("--name: %w", err)
	}
	if err != nil {
		return torrentfile.MakeError(err)
	}
	b, err := a.torrentBytes(m)
	if err != nil {
		return err
	}
	if out == "-" {
		_, err := a.Stdout.Write(b)
		return err
	}
	if err := a.writeTorrent(out, m, b, opt.force); err != nil {
		return err
	}
	return a.printCreated(m, created{out, entries})
}

// selectFiles lists the files at path in o, unless path is standard input. It returns an error if
// a program is still writing one of them and force is not set.
func (a *app) selectFiles(ctx context.Context, path string, o *maker.Options, force bool) (err error) {
	if path == "-" {
		return nil
	}
	if o.Selected, err = maker.Select(ctx, path, *o); err != nil || force {
		return err
	}
	return fault.WithHint(watch.CheckNamed(path, o.Selected.Paths()), writtenHint)
}

// writtenHint is the hint of a [watch.WrittenError].
const writtenHint = "wait until it is complete, or go on with --force"

// target returns the path of the .torrent for path.
func (o *createOptions) target(path, name string) (string, error) {
	if name == "" && path != "-" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		name = filepath.Base(abs)
	}
	name = atomicfile.Name(name, ".torrent")
	switch fi, err := os.Stat(o.output); {
	case o.output == "":
		return name, nil
	case o.output == "-":
		return o.output, nil
	case err == nil && fi.IsDir(), strings.HasSuffix(o.output, "/"):
		return filepath.Join(o.output, name), nil
	}
	return o.output, nil
}

// makeOne makes the torrent of path, or of standard input if path is "-", and shows the
// progress.
func (a *app) makeOne(ctx context.Context, path string, o maker.Options) (*metainfo.MetaInfo, error) {
	label := o.Name
	if label == "" {
		label = filepath.Base(path)
	}
	bar := a.NewProgress("hashing " + label)
	defer bar.Finish()
	o.Progress = hashing(bar)
	if path != "-" {
		return maker.Make(ctx, path, o)
	}
	size := int64(-1)
	if f, ok := a.Stdin.(*os.File); ok {
		if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
			if slices.ContainsFunc(o.Written, func(w os.FileInfo) bool { return os.SameFile(w, fi) }) {
				return nil, &maker.WrittenError{Path: "standard input"}
			}
			if at, err := f.Seek(0, io.SeekCurrent); err == nil {
				size = fi.Size() - at
			}
		}
	}
	return maker.MakeReader(ctx, a.Stdin, size, o)
}

// hashing returns a function that shows the progress of the maker in bar. It does not show the
// end, because the result is printed at once.
func hashing(bar *term.Progress) func(maker.Progress) {
	return func(p maker.Progress) {
		if p.Done < p.Total || p.Total == 0 && p.Done > 0 {
			bar.UpdateWith(p.Done, p.Total, p.Rate, "")
		}
	}
}

// torrentBytes returns the .torrent file of m. It warns if other programs refuse it.
func (a *app) torrentBytes(m *metainfo.MetaInfo) ([]byte, error) {
	b, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	if len(b) > metainfo.MaxSize {
		return nil, torrentfile.MakeError(&maker.SizeError{Size: int64(len(b))})
	}
	for _, w := range excesses(m, b) {
		a.warn(w)
	}
	return b, nil
}

// created is what printCreated prints besides the torrent.
type created struct {
	out     string // path of the .torrent
	skipped int    // number of entries that were left out
}

// printCreated prints the result of create or edit.
func (a *app) printCreated(m *metainfo.MetaInfo, c created) error {
	if a.JSON {
		j := torrentToJSON(m)
		j.Output, j.Skipped = c.out, c.skipped
		j.Warnings = append(j.Warnings, a.takeWarnings()...)
		return a.PrintJSON(j)
	}
	s := termsafe.Line(c.out) + "\n"
	if h, ok := m.HashV1(); ok {
		s += "info-hash v1  " + h.String() + "\n"
	}
	if h, ok := m.HashV2(); ok {
		s += "info-hash v2  " + h.String() + "\n"
	}
	return a.Printf("%s%s\n", s, m.Magnet())
}

// readList returns the paths in the file of --files-from, or in standard input if name is
// "-".
func (a *app) readList(name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	const most = metainfo.MaxSize // a torrent cannot contain more names
	r := a.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if len(b) > most {
		return nil, fault.UsageHint("list directories instead of their files", "--files-from %s: the list is larger than %d MB", name, most/1_000_000)
	}
	sep := "\n"
	if bytes.IndexByte(b, 0) >= 0 {
		sep = "\x00"
	}
	var list []string
	for line := range strings.SplitSeq(string(b), sep) {
		if line = strings.TrimSuffix(line, "\r"); line != "" {
			list = append(list, line)
		}
	}
	if len(list) == 0 {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("lists no files")}
	}
	return list, nil
}
