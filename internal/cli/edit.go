package cli

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/source"
	"spate/internal/torrentfile"
	"spate/internal/units"
	"spate/internal/weburl"
	"spate/metainfo"
)

// editOptions are the flags of edit.
type editOptions struct {
	given map[string]bool // flags on the command line

	announce, addAnnounce, dropAnnounce []string
	announceFrom                        string
	webSeeds, addWebSeeds, dropWebSeeds []string
	comment, createdBy                  string
	noDate                              bool

	name, source string // flags that change the info dictionary
	private      bool
	rehash       bool

	output string
	force  bool
	sourceFlags
}

func (a *app) editCmd() *cobra.Command {
	opt := &editOptions{given: map[string]bool{}}
	cmd := &cobra.Command{
		Use:   "edit TORRENT...",
		Short: "change announce URLs, web seeds, comment, name",
		Long: `Change torrents in place. Everything that no flag names stays as it is, byte for
byte. --name, --source and --private change the info-hash, and with it the swarm,
so they need --rehash-info. --announce-from reads a .torrent, or a list with a URL
on each line and an empty line between tiers. edit ignores the settings file and
variables. With -o, TORRENT may be any SOURCE of show that has a .torrent.`,
		Example: `  spate edit *.torrent -a http://new.example.org:6969/announce
  spate edit x.torrent --announce-from y.torrent --comment ""`,
		Args: func(cmd *cobra.Command, args []string) error {
			// This runs before settings are applied to the flags.
			cmd.Flags().Visit(func(f *pflag.Flag) { opt.given[f.Name] = true })
			return need(1, -1, "a .torrent")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.edit(cmd.Context(), args, opt) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&opt.announce, "announce", "a", nil, "replace all trackers by `URL`[,URL...]; repeat for further tiers")
	f.StringArrayVar(&opt.addAnnounce, "add-announce", nil, "add the tracker `URL` as a last tier; repeatable")
	f.StringArrayVar(&opt.dropAnnounce, "remove-announce", nil, "remove the tracker `URL`, or all; repeatable")
	f.StringVar(&opt.announceFrom, "announce-from", "", "replace all trackers by those of `FILE`: torrent or list")
	f.StringArrayVar(&opt.webSeeds, "web-seed", nil, "replace all web seeds by `URL`; repeatable")
	f.StringArrayVar(&opt.addWebSeeds, "add-web-seed", nil, "add the web seed `URL`; repeatable")
	f.StringArrayVar(&opt.dropWebSeeds, "remove-web-seed", nil, "remove the web seed `URL`, or all; repeatable")
	f.StringVar(&opt.comment, "comment", "", "set the comment; an empty one removes it")
	f.StringVar(&opt.createdBy, "created-by", "", "set the program that made it; empty removes it")
	f.BoolVar(&opt.noDate, "no-date", false, "remove the creation date")
	f.StringVar(&opt.name, "name", "", "rename the data to `NAME` (changes the info-hash)")
	f.StringVar(&opt.source, "source", "", "set the source; empty removes it (changes the info-hash)")
	f.BoolVar(&opt.private, "private", false, "set or, with =false, clear private (changes the info-hash)")
	f.BoolVar(&opt.rehash, "rehash-info", false, "allow changes of the info-hash")
	f.StringVarP(&opt.output, "output", "o", "", "write to this `FILE` instead; -: standard output")
	f.BoolVar(&opt.force, "force", false, "overwrite the file of -o")
	opt.sourceFlags.add(f)
	takesEmpty(f, "comment", "created-by", "source")
	return cmd
}

func (a *app) edit(ctx context.Context, paths []string, opt *editOptions) error {
	a.saveMemory()
	changes, err := opt.trackers()
	if err != nil {
		return err
	}
	if err := checkTexts(opt.comment, opt.source, opt.createdBy); err != nil {
		return err
	}
	if opt.output != "" && len(paths) > 1 {
		return fault.Usagef("-o names one file, but there are %s", units.Plural(len(paths), "torrent"))
	}
	if opt.output == "-" && a.JSON {
		return fault.Usagef("-o - and --json: standard output can hold only one of them")
	}
	if opt.output == "-" && a.StdoutIsTerminal() && !opt.force {
		return fault.UsageHint("write it to a file with -o, or pipe it on", "standard output is a terminal, and a .torrent is binary")
	}
	if opt.given["name"] && len(paths) > 1 {
		return fault.Usagef("--name would give %s the same name", units.Plural(len(paths), "torrent"))
	}
	// All errors are reported before the first torrent is written.
	var list []*edited
	var first error
	failed := 0
	for _, path := range paths {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		e, err := a.prepareEdit(ctx, path, opt, changes)
		if err == nil {
			list = append(list, e)
			continue
		}
		if len(paths) == 1 {
			return err
		}
		a.Warnf("%v", err)
		failed++
		first = cmp.Or(first, err)
	}
	for _, e := range list {
		if err := a.writeEdit(e, opt); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fault.New(fault.CodeOf(first), hintFor(first), "%s not changed", units.PartIs(failed, len(paths), "torrent", "was", "were"))
	}
	return nil
}

// trackers returns a function that changes the trackers and web seeds of a torrent according to
// the flags. It returns notes about changes without effect.
func (o *editOptions) trackers() (func(*metainfo.MetaInfo) (notes []string), error) {
	replace, err := torrentfile.ParseTiers("--announce", o.announce)
	if err != nil {
		return nil, err
	}
	if o.given["announce-from"] {
		if o.given["announce"] {
			return nil, fault.Usagef("--announce and --announce-from both replace the trackers: choose one")
		}
		if replace, err = o.announceFromFile(); err != nil {
			return nil, err
		}
	}
	added, err := torrentfile.ParseTiers("--add-announce", o.addAnnounce)
	if err != nil {
		return nil, err
	}
	webSeeds, err := torrentfile.WebSeeds("--web-seed", o.webSeeds)
	if err != nil {
		return nil, err
	}
	if slices.Contains(o.dropWebSeeds, torrentfile.Self) {
		_, err := torrentfile.WebSeeds("--remove-web-seed", o.dropWebSeeds)
		return nil, err
	}
	addedSeeds, err := torrentfile.WebSeeds("--add-web-seed", o.addWebSeeds)
	if err != nil {
		return nil, err
	}
	any := func(flags ...string) bool {
		return slices.ContainsFunc(flags, func(name string) bool { return o.given[name] })
	}
	return func(m *metainfo.MetaInfo) (notes []string) {
		if any("announce", "announce-from", "add-announce", "remove-announce") {
			m.Overwrite(metainfo.FieldTrackers)
		}
		if any("web-seed", "add-web-seed", "remove-web-seed") {
			m.Overwrite(metainfo.FieldWebSeeds)
		}
		if any("announce", "announce-from") {
			m.AnnounceList = replace
		}
		notes = vainURLs("tracker", slices.Concat(m.AnnounceList...), o.dropAnnounce, slices.Concat(added...))
		m.AnnounceList = editTiers(m.AnnounceList, added, o.dropAnnounce)
		if o.given["web-seed"] {
			m.WebSeeds, m.HTTPSeeds = webSeeds, nil
		}
		notes = append(notes, vainURLs("web seed", slices.Concat(m.WebSeeds, m.HTTPSeeds), o.dropWebSeeds, addedSeeds)...)
		dropped := func(s string) bool {
			return hasURL(o.dropWebSeeds, s) || slices.Contains(o.dropWebSeeds, "all")
		}
		m.WebSeeds = slices.DeleteFunc(slices.Clone(m.WebSeeds), dropped)
		m.HTTPSeeds = slices.DeleteFunc(slices.Clone(m.HTTPSeeds), dropped)
		for _, s := range addedSeeds {
			if !hasURL(m.WebSeeds, s) {
				m.WebSeeds = append(m.WebSeeds, s)
			}
		}
		return notes
	}, nil
}

// infoChanges returns the changes of the info dictionary.
func (o *editOptions) infoChanges() (c torrentfile.InfoChanges) {
	if o.given["name"] {
		c.Name = &o.name
	}
	if o.given["source"] {
		c.Source = &o.source
	}
	if o.given["private"] {
		c.Private = &o.private
	}
	return c
}

// editTiers returns the tiers of list without the URLs in drop, followed by the new URLs of
// added.
func editTiers(list, added [][]string, drop []string) [][]string {
	var out [][]string
	has := map[string]bool{}
	for _, tier := range list {
		var keep []string
		for _, u := range tier {
			if !hasURL(drop, u) && !slices.Contains(drop, "all") {
				keep = append(keep, u)
				has[weburl.ASCIIOrSame(u)] = true
			}
		}
		if len(keep) > 0 {
			out = append(out, keep)
		}
	}
	for _, tier := range added {
		tier = slices.DeleteFunc(slices.Clone(tier), func(u string) bool { return has[u] })
		if len(tier) > 0 {
			out = append(out, tier)
		}
	}
	return out
}

// announceFromFile returns the trackers of the file of --announce-from: a .torrent, or a list
// with an empty line between tiers.
func (o *editOptions) announceFromFile() ([][]string, error) {
	path, err := source.LocalPath(o.announceFrom, "--announce-from reads a .torrent file or a list of trackers", "download the .torrent first, and name the file")
	if err != nil {
		return nil, err
	}
	b, err := torrentfile.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if torrentfile.LooksLikeTorrent(b) {
		m, err := torrentfile.Parse(path, b)
		if err != nil {
			return nil, err
		}
		return weburl.ASCIITiers(m.AnnounceList), nil
	}
	var values []string
	for block := range strings.SplitSeq(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n\n") {
		if urls := strings.Fields(block); len(urls) > 0 {
			values = append(values, strings.Join(urls, ","))
		}
	}
	list, err := torrentfile.ParseTiers("--announce-from", values)
	if err == nil && len(list) == 0 {
		return nil, fault.Usagef("--announce-from %s: the file has no trackers", path)
	}
	return list, err
}

// edited is a torrent with its changes.
type edited struct {
	path, out string
	file      []byte // the new .torrent; nil: nothing to change
	torrent   *metainfo.MetaInfo
	newHash   bool
	had       []string // URLs of trackers and web seeds before the change
	notes     []string // changes without effect
}

// readEdited returns the torrent in arg and its path. If the result goes to another file, arg
// may be any SOURCE with a .torrent.
func (a *app) readEdited(ctx context.Context, arg string, opt *editOptions) (path string, raw []byte, err error) {
	if opt.output != "" {
		src, err := a.resolveTorrent(ctx, "spate edit", arg, &opt.sourceFlags)
		if err != nil {
			return "", nil, err
		}
		return cmp.Or(src.Path, src.Arg), src.Torrent, nil
	}
	if path, err = source.LocalPath(arg, "spate edit changes a .torrent file", "name the file of the result with -o FILE"); err != nil {
		return "", nil, err
	}
	if keyGiven(opt.key) {
		src, err := a.resolve(ctx, path, &opt.sourceFlags)
		if err != nil {
			return "", nil, err
		}
		return path, src.Torrent, nil
	}
	raw, err = torrentfile.ReadFile(path)
	return path, raw, err
}

// prepareEdit reads and changes the torrent at path. It returns all errors that can be found
// before the torrent is written.
func (a *app) prepareEdit(ctx context.Context, path string, opt *editOptions, trackers func(*metainfo.MetaInfo) []string) (*edited, error) {
	path, raw, err := a.readEdited(ctx, path, opt)
	if err != nil {
		return nil, err
	}
	m, err := torrentfile.Parse(path, raw)
	if err != nil {
		return nil, err
	}
	before := m.InfoBytes
	had := sourceURLs(m)
	notes := append(opt.vainFields(m), trackers(m)...)
	if opt.given["comment"] {
		m.Comment = opt.comment
		m.Overwrite(metainfo.FieldComment)
	}
	if opt.given["created-by"] {
		m.CreatedBy = opt.createdBy
		m.Overwrite(metainfo.FieldCreatedBy)
	}
	if opt.noDate && opt.given["no-date"] {
		m.CreationDate = time.Time{}
		m.Overwrite(metainfo.FieldCreationDate)
	}
	if m.InfoBytes, err = torrentfile.EditInfo(m, opt.infoChanges()); err != nil {
		return nil, err
	}
	e := &edited{path: path, out: cmp.Or(opt.output, path), newHash: !bytes.Equal(before, m.InfoBytes), had: had, notes: notes}
	if e.newHash && !opt.rehash {
		return nil, fault.UsageHint("--rehash-info allows it", "%s: this changes the info-hash, so that the new torrent has a separate swarm", path)
	}
	b, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	if e.torrent, err = torrentfile.Parse(path, b); err != nil { // never write an invalid torrent
		return nil, err
	}
	if m.V2Hashes != nil && e.torrent.V2Hashes == nil {
		e.torrent.V2Hashes = m.V2Hashes // which the file has become too large for
	}
	if opt.given["name"] && e.torrent.Info.RawName != "" {
		return nil, fault.Usagef("--name: %q cannot be the name of a torrent; use another name", opt.name)
	}
	if e.out == path && opt.output != "-" && bytes.Equal(b, raw) {
		return e, nil
	}
	e.file = b
	if opt.output == "-" {
		return e, nil
	}
	return e, torrentfile.CheckTarget(e.out, e.out == path || opt.force)
}

// writeEdit writes a changed torrent.
func (a *app) writeEdit(e *edited, opt *editOptions) error {
	for _, n := range e.notes {
		a.Notef("%s: %s", e.path, n)
	}
	switch {
	case opt.output == "-":
		a.warnLeftovers("standard output", e.file, e.had, sourceURLs(e.torrent))
		_, err := a.Stdout.Write(e.file)
		return err
	case e.file == nil:
		a.Notef("%s: nothing to change", e.path)
	default:
		if err := a.writeTorrent(e.out, e.torrent, e.file, e.out == e.path || opt.force); err != nil {
			return err
		}
	}
	a.warnLeftovers(e.out, e.file, e.had, sourceURLs(e.torrent))
	if e.newHash {
		a.Notef("%s: the info-hash changed", e.out)
	}
	return a.printCreated(e.torrent, created{out: e.out})
}

// sourceURLs returns the URLs of the trackers and web seeds of m.
func sourceURLs(m *metainfo.MetaInfo) []string {
	return slices.Concat(slices.Concat(m.AnnounceList...), m.WebSeeds, m.HTTPSeeds)
}

// warnLeftovers warns of each URL that was removed and that the torrent b, written to path,
// still contains under a key which edit does not change.
func (a *app) warnLeftovers(path string, b []byte, before, after []string) {
	for _, url := range before {
		if slices.Contains(after, url) {
			continue
		}
		if key := torrentfile.KeyWith(b, url); key != "" {
			a.Warnf("%s: the key %q still contains %s, which was removed", path, key, url)
		}
	}
}

// hasURL reports whether list contains the URL s. A-labels and U-labels of one host are equal.
func hasURL(list []string, s string) bool {
	ascii := weburl.ASCIIOrSame(s)
	return slices.ContainsFunc(list, func(other string) bool { return weburl.ASCIIOrSame(other) == ascii })
}
