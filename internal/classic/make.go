package classic

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spate/bencode"
	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/source"
	"spate/internal/torrentfile"
	"spate/internal/units"
	"spate/internal/watch"
	"spate/maker"
	"spate/metainfo"
)

// ignored2005 returns the file names that the tools of 2005 omit besides hidden files.
func ignored2005() []string { return []string{"core", "CVS"} }

// urlAndPaths returns the URL of the tracker and the files of the arguments. bittorrent expects
// the file first, BitTornado the URL.
func (r *run) urlAndPaths() (announce string, paths []string, err error) {
	isURL := func(s string) bool {
		return strings.Contains(s, "://") && !strings.HasPrefix(strings.ToLower(s), "file:")
	}
	switch a := r.args; {
	case isURL(a[0]):
		announce, paths = a[0], a[1:]
	case len(a) == 2 && isURL(a[1]):
		announce, paths = a[1], a[:1]
	default:
		return "", nil, r.usage("neither %q nor %q is the URL of a tracker (write it as http://HOST:6969/announce)", a[0], a[1])
	}
	paths = slices.Clone(paths)
	for i := range paths {
		if paths[i], err = source.DataPath(r.tool.Name, paths[i]); err != nil {
			return "", nil, err
		}
	}
	announce, err = torrentfile.TrackerURL("the tracker", announce)
	return announce, paths, err
}

// making holds the settings from the options of btmakemetafile and btcompletedir.
type making struct {
	announce  string
	options   maker.Options
	httpSeeds []string
}

func (r *run) making(announce string) (*making, error) {
	m := &making{announce: announce, options: maker.Options{
		Format: metainfo.V1, Comment: r.v.Text("comment"), Exclude: ignored2005(), Links: maker.LinksKeep,
		Skipped: func(s maker.Skipped) { r.Log.Info("skipped a file", "path", s.Path, "why", s.Reason) },
	}}
	switch pow := r.v.Int("piece_size_pow2"); {
	case pow == 0: // the maker chooses
	case pow < 10 || pow > 30:
		return nil, r.usage("--piece_size_pow2 %d: the value must be 0, or from 10 to 30", pow)
	default:
		m.options.PieceLength = 1 << pow
	}
	var err error
	if m.options.Date, err = torrentfile.Date(r.Getenv("SOURCE_DATE_EPOCH"), r.Now()); err != nil {
		return nil, err
	}
	m.options.Announce = [][]string{{announce}}
	list, err := r.announceList()
	if err != nil {
		return nil, err
	}
	if list != nil {
		m.options.Announce = list
	}
	for s := range strings.SplitSeq(r.v.Text("httpseeds"), "|") {
		if s == "" && !r.v.Given("httpseeds") {
			continue
		}
		if s, err = torrentfile.URL("--httpseeds", s, "http", "https"); err != nil {
			return nil, err
		}
		m.httpSeeds = append(m.httpSeeds, s)
	}
	return m, nil
}

// announceList returns the trackers of --announce_list, or nil without that option.
func (r *run) announceList() ([][]string, error) {
	if !r.v.Given("announce_list") {
		return nil, nil
	}
	list := Tiers(r.v.Text("announce_list"))
	if list == nil {
		return nil, r.usage("--announce_list %q has no tracker URL", r.v.Text("announce_list"))
	}
	return torrentfile.Tiers("--announce_list", list)
}

// bytes returns the .torrent of m.
func (k *making) bytes(m *metainfo.MetaInfo) ([]byte, error) {
	m.HTTPSeeds = k.httpSeeds
	b, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	// As in the old tools, announce has the URL of the command line even if the list differs.
	return metainfo.Edit(b, map[string][]byte{"announce": bencode.AppendString(nil, k.announce)})
}

// makeMetafile runs btmakemetafile.
func (r *run) makeMetafile(ctx context.Context) error {
	announce, paths, err := r.urlAndPaths()
	if err != nil {
		return err
	}
	k, err := r.making(announce)
	if err != nil {
		return err
	}
	target := r.v.Text("target")
	if target != "" && len(paths) > 1 {
		return r.usage("--target %s names one file, but there are %d .torrent files to write", target, len(paths))
	}
	k.options.Written = r.OutputFiles()
	var outs []string
	for _, path := range paths {
		outs = append(outs, cmp.Or(target, atomicfile.Derived(filepath.Clean(path), ".torrent")))
	}
	same := torrentfile.CheckTargets(outs)
	return r.eachChecked(ctx, paths,
		func(i int) error { return cmp.Or(same[i], k.check(ctx, paths[i], outs[i])) },
		func(i int) error { return r.makeOne(ctx, paths[i], outs[i], k) })
}

// check returns the errors of a torrent of path that are known before hashing.
func (k *making) check(ctx context.Context, path, out string) error {
	if err := torrentfile.CheckTarget(out, true); err != nil {
		return err
	}
	o := k.options
	o.Skipped, o.Written = nil, torrentfile.Written(o.Written, out)
	var err error
	if o.Selected, err = maker.Select(ctx, path, o); err == nil {
		_, _, err = maker.Measure(ctx, path, o)
	}
	if err != nil {
		return torrentfile.MakeError(err)
	}
	return fault.WithHint(watch.CheckNamed(path, o.Selected.Paths()), writtenHint)
}

// writtenHint is the hint of a [watch.WrittenError]. The tools of 2005 have no option to go on.
const writtenHint = "wait until it is complete, or use spate create --force"

// makeOne writes the torrent of path to out.
func (r *run) makeOne(ctx context.Context, path, out string, k *making) error {
	o := k.options
	o.Progress = func(p maker.Progress) {
		r.Print(fmt.Sprintf("%.1f%% complete\r", 100*float64(p.Done)/float64(max(p.Total, 1))))
	}
	m, err := maker.Make(ctx, path, o)
	r.Print("\n")
	if err != nil {
		return torrentfile.MakeError(err)
	}
	b, err := k.bytes(m)
	if err != nil {
		return err
	}
	return torrentfile.Write(out, b, true)
}

// completeDir runs btcompletedir. It skips entries that have a .torrent file.
func (r *run) completeDir(ctx context.Context) error {
	announce, dirs, err := r.urlAndPaths()
	if err != nil {
		return err
	}
	k, err := r.making(announce)
	if err != nil {
		return err
	}
	all := make([]*completion, len(dirs))
	defer func() {
		for _, c := range all {
			if c != nil {
				c.in.Close()
			}
		}
	}()
	return r.eachChecked(ctx, dirs,
		func(i int) (err error) {
			all[i], err = r.completion(ctx, dirs[i], k)
			return err
		},
		func(i int) error { return r.complete(ctx, all[i], k) })
}

// completion holds the entries of a directory that btcompletedir makes torrents of.
type completion struct {
	in      *folder.Folder
	list    []*torrentfile.Entry
	options maker.Options
}

// completion lists the entries of dir without a .torrent. It prints the errors of entries that
// are known before hashing.
func (r *run) completion(ctx context.Context, dir string, k *making) (_ *completion, err error) {
	follow, err := r.FollowLinks()
	if err != nil {
		return nil, err
	}
	in, err := folder.Open(dir, folder.Options{FollowLinks: follow})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			in.Close()
		}
	}()
	into := dir
	if t := r.v.Text("target"); t != "" {
		into = t
	}
	o := k.options
	o.Root, o.Written = in.Root(), r.OutputFiles()
	list, err := incomplete(ctx, in, into, o)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.ProbeNew(into); err != nil && len(list) > 0 {
		return nil, fault.WithSetting(err, "output-file")
	}
	if err := os.MkdirAll(into, 0o777); err != nil {
		return nil, err
	}
	for _, e := range list {
		e.Err = cmp.Or(e.Err, torrentfile.CheckTarget(e.Out, true))
		if e.Err != nil {
			r.Warnf("%v", e.Err) // before the other entries are hashed
			e.Said = true
		}
	}
	return &completion{in, list, o}, nil
}

// complete makes and writes the torrents of c.
func (r *run) complete(ctx context.Context, c *completion, k *making) error {
	list := c.list
	bar := r.NewProgress(fmt.Sprintf("hashing %s", units.Plural(len(list), "torrent")))
	torrentfile.MakeEach(ctx, list, c.options, bar.Update)
	bar.Finish()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var first error
	failed := 0
	for _, e := range list {
		var b []byte
		if e.Err == nil {
			b, e.Err = k.bytes(e.MetaInfo)
		}
		if e.Err == nil {
			e.Err = torrentfile.Write(e.Out, b, true)
		}
		if e.Err == nil {
			r.Notef("%s", e.Out)
			continue
		}
		failed++
		if first == nil {
			first = torrentfile.MakeError(e.Err)
		}
		if !e.Said {
			r.Warnf("%v", e.Err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s not made%w", units.PartIs(failed, len(list), "torrent", "was", "were"), fault.Quiet(first))
	}
	return nil
}

// incomplete returns the entries of a directory that have no .torrent in the directory into.
func incomplete(ctx context.Context, in *folder.Folder, into string, o maker.Options) (list []*torrentfile.Entry, err error) {
	names, err := in.ReadDir()
	if err != nil {
		return nil, err
	}
	for _, d := range names {
		e := torrentfile.NewEntry(in, d.Name(), into)
		if strings.HasSuffix(d.Name(), ".torrent") || maker.Hidden(d) || slices.Contains(ignored2005(), d.Name()) {
			continue
		}
		if _, err := os.Stat(e.Out); err == nil {
			continue
		}
		e.Measure(ctx, o)
		if e.Err == nil && e.Size == 0 {
			continue
		}
		if e.Err == nil { // a later run makes the torrent
			e.Err = fault.WithHint(watch.CheckWriters(in, d.Name(), e.Files.Paths()), writtenHint)
		}
		list = append(list, e)
	}
	return list, nil
}
