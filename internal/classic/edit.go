package classic

import (
	"bytes"
	"cmp"
	"context"
	"net/netip"
	"path/filepath"
	"strings"

	"spate/bencode"
	"spate/internal/fault"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/internal/torrentfile"
	"spate/internal/weburl"
	"spate/metainfo"
)

// showMetainfo runs btshowmetainfo.
func (r *run) showMetainfo(ctx context.Context) error {
	if err := r.Print(ShowHeader(r.tool.Name)); err != nil {
		return err
	}
	return r.eachFile(ctx, r.args, func(arg string) error {
		src, err := r.Sources(netip.Addr{}).ResolveTorrent(ctx, r.tool.Name, arg)
		if err != nil {
			return err
		}
		m, err := src.Parse()
		if err != nil {
			return err
		}
		info := Metainfo{
			File: termsafe.Line(filepath.Base(cmp.Or(src.Path, src.Arg))), InfoHash: m.Hash().String(), Name: termsafe.Line(m.Info.Name), Comment: termsafe.Line(m.Comment),
			Length: m.Info.DataLength(), PieceLength: m.Info.PieceLength, HTTPSeeds: escapeAll(m.HTTPSeeds),
		}
		for _, t := range m.AnnounceList {
			info.Tiers = append(info.Tiers, escapeAll(t))
		}
		if !m.Info.Single() {
			info.Files = []File{}
			for i := range m.Info.Files {
				if f := &m.Info.Files[i]; !f.Pad() {
					info.Files = append(info.Files, File{Path: termsafe.Line(f.DisplayPath()), Length: f.Length})
				}
			}
		}
		return r.Print(info.String())
	})
}

func escapeAll(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, termsafe.Line(s))
	}
	return out
}

// readMetainfo reads the .torrent file in arg, and returns its path, its metainfo and its
// bytes.
func (r *run) readMetainfo(arg string) (path string, m *metainfo.MetaInfo, raw []byte, err error) {
	path, err = source.LocalPath(arg, r.tool.Name+" changes a .torrent file", "download the .torrent first, and name the file")
	if err != nil {
		return "", nil, nil, err
	}
	if raw, err = torrentfile.ReadFile(path); err != nil {
		return "", nil, nil, err
	}
	m, err = torrentfile.Parse(path, raw)
	return path, m, raw, err
}

// edited is a .torrent file with changed keys.
type edited struct {
	path string
	was  *metainfo.MetaInfo // before the change
	file []byte             // nil: nothing changes
}

// edit changes keys of the .torrent file in arg in memory. It returns all errors that are known
// before the file is written.
func (r *run) edit(arg string, changes func(*metainfo.MetaInfo) (map[string][]byte, error)) (*edited, error) {
	path, m, raw, err := r.readMetainfo(arg)
	if err != nil {
		return nil, err
	}
	keys, err := changes(m)
	if err != nil {
		return nil, err
	}
	b, err := metainfo.Edit(raw, keys)
	if err != nil {
		return nil, err
	}
	if _, err := torrentfile.Parse(path, b); err != nil {
		return nil, err
	}
	if bytes.Equal(b, raw) {
		return &edited{path, m, nil}, nil
	}
	return &edited{path, m, b}, torrentfile.CheckTarget(path, true)
}

// write writes the file if it changes.
func (e *edited) write() error {
	if e.file == nil {
		return nil
	}
	return torrentfile.Write(e.path, e.file, true)
}

// editEach changes keys of the .torrent files at paths, and calls done for each with its metainfo
// before the change.
func (r *run) editEach(ctx context.Context, paths []string, changes map[string][]byte, done func(path string, was *metainfo.MetaInfo) error) error {
	ready := make([]*edited, len(paths))
	return r.eachChecked(ctx, paths,
		func(i int) (err error) {
			ready[i], err = r.edit(paths[i], func(*metainfo.MetaInfo) (map[string][]byte, error) { return changes, nil })
			return err
		},
		func(i int) error {
			if err := ready[i].write(); err != nil {
				return err
			}
			return done(ready[i].path, ready[i].was)
		})
}

// appendTiers encodes an announce-list.
func appendTiers(tiers [][]string) []byte {
	b := bencode.AppendList(nil)
	for _, tier := range tiers {
		b = bencode.AppendList(b)
		for _, u := range tier {
			b = bencode.AppendString(b, u)
		}
		b = bencode.AppendEnd(b)
	}
	return bencode.AppendEnd(b)
}

// oldAnnounce prints the trackers of m, the metainfo before the change.
func (r *run) oldAnnounce(path string, m *metainfo.MetaInfo) error {
	tiers := m.AnnounceList
	if len(tiers) == 0 {
		return r.Print("no announce in " + termsafe.Line(path) + "\n")
	}
	s := "old announce for " + termsafe.Line(path) + ": " + termsafe.Line(tiers[0][0]) + "\n"
	if len(tiers) > 1 || len(tiers[0]) > 1 {
		s += "old announce-list for " + termsafe.Line(path) + ": " + termsafe.Line(JoinTiers(tiers)) + "\n"
	}
	return r.Print(s)
}

// reannounce runs btreannounce.
func (r *run) reannounce(ctx context.Context) error {
	announce, err := torrentfile.TrackerURL("the tracker", r.args[0])
	if err != nil {
		return err
	}
	changes := map[string][]byte{"announce": bencode.AppendString(nil, announce), "announce-list": nil}
	list, err := r.announceList()
	if err != nil {
		return err
	}
	if list != nil {
		changes["announce-list"] = appendTiers(list)
	}
	return r.setTrackers(ctx, changes)
}

// setTrackers changes the .torrent files of all arguments but the first, and prints their
// previous trackers.
func (r *run) setTrackers(ctx context.Context, changes map[string][]byte) error {
	return r.editEach(ctx, r.args[1:], changes, r.oldAnnounce)
}

// copyAnnounce runs btcopyannounce.
func (r *run) copyAnnounce(ctx context.Context) error {
	src, err := r.Sources(netip.Addr{}).ResolveTorrent(ctx, r.tool.Name, r.args[0])
	if err != nil {
		return err
	}
	from, err := src.Parse()
	if err != nil {
		return err
	}
	if len(from.AnnounceList) == 0 {
		return fault.New(fault.Failed, "", "%s has no trackers to copy", r.args[0])
	}
	from.AnnounceList = weburl.ASCIITiers(from.AnnounceList)
	changes := map[string][]byte{"announce": nil, "announce-list": nil}
	if value, _, err := bencode.Find(src.Torrent, "announce"); err == nil && value != nil {
		url := bencode.NewDecoder(value, bencode.Options{}).String()
		changes["announce"] = bencode.AppendString(nil, weburl.ASCIIOrSame(url))
	}
	if value, _, err := bencode.Find(src.Torrent, "announce-list"); err == nil && value != nil {
		changes["announce-list"] = appendTiers(from.AnnounceList)
	}
	s := "new announce: " + termsafe.Line(from.AnnounceList[0][0]) + "\n"
	if changes["announce-list"] != nil {
		s += "new announce-list: " + termsafe.Line(JoinTiers(from.AnnounceList)) + "\n"
	}
	if err := r.Print(s); err != nil {
		return err
	}
	return r.setTrackers(ctx, changes)
}

// setHTTPSeeds runs btsethttpseeds.
func (r *run) setHTTPSeeds(ctx context.Context) error {
	changes := map[string][]byte{"httpseeds": nil}
	if r.args[0] != "0" {
		list := bencode.AppendList(nil)
		for s := range strings.SplitSeq(r.args[0], "|") {
			s, err := torrentfile.URL("the HTTP seed", s, "http", "https")
			if err != nil {
				return err
			}
			list = bencode.AppendString(list, s)
		}
		changes["httpseeds"] = bencode.AppendEnd(list)
	}
	return r.editEach(ctx, r.args[1:], changes, func(path string, m *metainfo.MetaInfo) error {
		if len(m.HTTPSeeds) == 0 {
			return nil
		}
		return r.Print("old http-seed list for " + termsafe.Line(path) + ": " + termsafe.Line(strings.Join(m.HTTPSeeds, "|")) + "\n")
	})
}

// rename runs btrename.
func (r *run) rename(context.Context) error {
	name := r.args[1]
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return r.usage("%q cannot be the name of a file", name)
	}
	e, err := r.edit(r.args[0], func(m *metainfo.MetaInfo) (map[string][]byte, error) {
		info, err := torrentfile.EditInfo(m, torrentfile.InfoChanges{Name: &name})
		return map[string][]byte{"info": info}, err
	})
	if err == nil {
		err = e.write()
	}
	if err != nil {
		return err
	}
	return r.Print(r.tool.Name + " 20021119 - change the suggested filename in a .torrent file\n\n" +
		"old filename: " + termsafe.Line(e.was.Info.Name) + "\nnew filename: " + termsafe.Line(name) + "\n\ndone.\n\n")
}
