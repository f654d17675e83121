package cli

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spate/internal/fault"
	"spate/internal/torrentfile"
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

	name, source string // inside info
	private      bool
	rehash       bool

	output string
	force  bool
}

func (a *app) editCmd() *cobra.Command {
	opt := &editOptions{given: map[string]bool{}}
	cmd := &cobra.Command{
		Use:   "edit TORRENT...",
		Short: "change announce URLs, web seeds, comment, name",
		Long: `Change torrents in place, many at a time. What is not named stays as it is, byte
for byte. The info-hash stays too, but for --name, --source and --private: they
change it, and with it the swarm, and are refused without --rehash-info.
Settings and variables do not count here, only what the command line says.`,
		Example: `  spate edit *.torrent -a http://new.example.org:6969/announce
  spate edit x.torrent --announce-from y.torrent --comment ""`,
		Args: func(cmd *cobra.Command, args []string) error {
			// Before settings are applied to the flags.
			cmd.Flags().Visit(func(f *pflag.Flag) { opt.given[f.Name] = true })
			return need(1, -1, "a .torrent")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.edit(cmd.Context(), args, opt) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&opt.announce, "announce", "a", nil, "`URL` of a tracker in place of all; a comma separates trackers of one tier, a repeat is a new tier")
	f.StringArrayVar(&opt.addAnnounce, "add-announce", nil, "`URL` of a tracker for a new last tier; repeatable")
	f.StringArrayVar(&opt.dropAnnounce, "remove-announce", nil, "`URL` of a tracker to take out, or all; repeatable")
	f.StringVar(&opt.announceFrom, "announce-from", "", "the trackers of `FILE`, a .torrent or a list with a URL a line and an empty line between tiers")
	f.StringArrayVar(&opt.webSeeds, "web-seed", nil, "`URL` of a web seed in place of all; repeatable")
	f.StringArrayVar(&opt.addWebSeeds, "add-web-seed", nil, "`URL` of one more web seed; repeatable")
	f.StringArrayVar(&opt.dropWebSeeds, "remove-web-seed", nil, "`URL` of a web seed to take out, or all; repeatable")
	f.StringVar(&opt.comment, "comment", "", "`TEXT`; empty takes it out")
	f.StringVar(&opt.createdBy, "created-by", "", "`NAME` of the program; empty takes it out")
	f.BoolVar(&opt.noDate, "no-date", false, "take the date of creation out")
	f.StringVar(&opt.name, "name", "", "another `NAME` (changes the info-hash)")
	f.StringVar(&opt.source, "source", "", "another mark; empty takes it out (changes the info-hash)")
	f.BoolVar(&opt.private, "private", false, "peers from the trackers only; =false takes that back (changes the info-hash)")
	f.BoolVar(&opt.rehash, "rehash-info", false, "let the info-hash change")
	f.StringVarP(&opt.output, "output", "o", "", "write to this `FILE` in place of the torrent itself")
	f.BoolVar(&opt.force, "force", false, "overwrite the file of -o")
	takesEmpty(f, "comment", "created-by", "source")
	return cmd
}

func (a *app) edit(ctx context.Context, paths []string, opt *editOptions) error {
	changes, err := opt.trackers()
	if err != nil {
		return err
	}
	if opt.output != "" && len(paths) > 1 {
		return fault.Usagef("-o is one file, and there are %d torrents", len(paths))
	}
	if opt.given["name"] && len(paths) > 1 {
		return fault.Usagef("--name would give %d torrents one name", len(paths))
	}
	var first error
	failed := 0
	for _, path := range paths {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		err := a.editOne(path, opt, changes)
		if err == nil {
			continue
		}
		if len(paths) == 1 {
			return err
		}
		a.Warnf("%v", err)
		if failed++; first == nil {
			first = err
		}
	}
	if failed > 0 {
		return fault.New(fault.CodeOf(first), hintFor(first), "%d of %d torrents were not changed", failed, len(paths))
	}
	return nil
}

// trackers reads the flags with lists of URLs.
func (o *editOptions) trackers() (func(*metainfo.MetaInfo), error) {
	replace, err := torrentfile.ParseTiers("--announce", o.announce)
	if err != nil {
		return nil, err
	}
	if o.given["announce-from"] {
		if o.given["announce"] {
			return nil, fault.Usagef("--announce and --announce-from both replace the trackers: give one of them")
		}
		if replace, err = announceFrom(o.announceFrom); err != nil {
			return nil, err
		}
	}
	added, err := torrentfile.ParseTiers("--add-announce", o.addAnnounce)
	if err != nil {
		return nil, err
	}
	for _, s := range append(o.webSeeds[:len(o.webSeeds):len(o.webSeeds)], o.addWebSeeds...) {
		if err := torrentfile.CheckURL("--web-seed", s, "http", "https", "ftp"); err != nil {
			return nil, err
		}
	}
	return func(m *metainfo.MetaInfo) {
		if o.given["announce"] || o.given["announce-from"] {
			m.AnnounceList = replace
		}
		m.AnnounceList = editTiers(m.AnnounceList, added, o.dropAnnounce)
		if o.given["web-seed"] {
			m.WebSeeds = o.webSeeds
		}
		m.WebSeeds = slices.DeleteFunc(slices.Clone(m.WebSeeds), func(s string) bool {
			return slices.Contains(o.dropWebSeeds, s) || slices.Contains(o.dropWebSeeds, "all")
		})
		for _, s := range o.addWebSeeds {
			m.WebSeeds = appendNew(m.WebSeeds, s)
		}
	}, nil
}

// infoChanges returns the changes inside info.
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

// editTiers takes URLs out, and appends tiers of those that are new.
func editTiers(list, added [][]string, drop []string) [][]string {
	var out [][]string
	has := map[string]bool{}
	for _, tier := range list {
		var keep []string
		for _, u := range tier {
			if !slices.Contains(drop, u) && !slices.Contains(drop, "all") {
				keep = append(keep, u)
				has[u] = true
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

// announceFrom reads trackers from a .torrent, or from a list with an empty line
// between tiers.
func announceFrom(path string) ([][]string, error) {
	b, err := torrentfile.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if torrentfile.LooksLikeTorrent(b) {
		m, err := torrentfile.Parse(path, b)
		if err != nil {
			return nil, err
		}
		return m.AnnounceList, nil
	}
	var values []string
	for block := range strings.SplitSeq(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n\n") {
		if urls := strings.Fields(block); len(urls) > 0 {
			values = append(values, strings.Join(urls, ","))
		}
	}
	list, err := torrentfile.ParseTiers("--announce-from", values)
	if err == nil && len(list) == 0 {
		return nil, fault.Usagef("--announce-from %s: no trackers in it", path)
	}
	return list, err
}

// editOne changes the torrent at path.
func (a *app) editOne(path string, opt *editOptions, trackers func(*metainfo.MetaInfo)) error {
	raw, err := torrentfile.ReadFile(path)
	if err != nil {
		return err
	}
	m, err := torrentfile.Parse(path, raw)
	if err != nil {
		return err
	}
	before := m.InfoBytes
	trackers(m)
	if opt.given["comment"] {
		m.Comment = opt.comment
	}
	if opt.given["created-by"] {
		m.CreatedBy = opt.createdBy
	}
	if opt.noDate && opt.given["no-date"] {
		m.CreationDate = time.Time{}
	}
	if m.InfoBytes, err = torrentfile.EditInfo(m, opt.infoChanges()); err != nil {
		return err
	}
	if changed := !bytes.Equal(before, m.InfoBytes); changed && !opt.rehash {
		return fault.UsageHint("--rehash-info does it", "%s: this changes the info-hash: whoever has the torrent now will not find the new one's peers", path)
	}
	b, err := m.Bytes()
	if err != nil {
		return err
	}
	after, err := torrentfile.Parse(path, b) // never write a file that is no torrent
	if err != nil {
		return err
	}
	out := path
	if opt.output != "" {
		out = opt.output
	}
	switch {
	case out == path && bytes.Equal(b, raw):
		a.Notef("%s: nothing to change", path)
	default:
		if err := torrentfile.Write(out, b, out == path || opt.force); err != nil {
			return err
		}
	}
	if !bytes.Equal(before, m.InfoBytes) {
		a.Notef("%s: the info-hash changed", out)
	}
	return a.printCreated(after, out)
}

// appendNew appends s to list unless list contains it.
func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
