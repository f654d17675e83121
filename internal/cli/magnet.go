package cli

import (
	"context"

	"github.com/spf13/cobra"

	"spate/internal/fault"
	"spate/internal/torrentfile"
	"spate/maker"
	"spate/metainfo"
)

// magnetOptions are the flags of magnet.
type magnetOptions struct {
	sourceFlags
	peers []string
	sel   []string
}

// magnetJSON is the JSON output of magnet.
type magnetJSON struct {
	Name       string `json:"name"`
	InfoHashV1 string `json:"info_hash_v1,omitempty"`
	InfoHashV2 string `json:"info_hash_v2,omitempty"`
	Magnet     string `json:"magnet"`
}

func (a *app) magnetCmd() *cobra.Command {
	opt := magnetOptions{sourceFlags: sourceFlags{readOnly: true}}
	cmd := &cobra.Command{
		Use:   "magnet TORRENT...",
		Short: "print the magnet link",
		Long: `Print the magnet link of a torrent. It contains the info-hashes, the name, the
size, the trackers and the web seeds. TORRENT is any SOURCE of show. --select
writes BEP 53.`,
		Example: "  spate magnet debian.torrent --peer 192.0.2.7:6881",
		Args:    need(1, -1, "a .torrent"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var links []metainfo.Magnet
			for _, arg := range args {
				link, err := a.magnet(cmd.Context(), arg, opt)
				if err != nil {
					return err // before any link is printed
				}
				links = append(links, link)
			}
			return a.printMagnets(links)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&opt.peers, "peer", nil, "add the peer `HOST:PORT`; repeatable")
	f.StringArrayVar(&opt.sel, "select", nil, "select only files that match this `GLOB`; repeatable")
	opt.sourceFlags.add(f)
	return cmd
}

// magnet returns the link of a source.
func (a *app) magnet(ctx context.Context, arg string, opt magnetOptions) (g metainfo.Magnet, err error) {
	a.saveMemory()
	peers, err := torrentfile.HostPorts("--peer", opt.peers)
	if err != nil {
		return g, err
	}
	src, err := a.resolve(ctx, arg, &opt.sourceFlags)
	if err == nil && len(opt.sel) > 0 {
		err = a.sources(opt.bind.Addr).FetchTorrent(ctx, src)
	}
	if err != nil {
		return g, err
	}
	switch {
	case src.Torrent != nil:
		m, err := src.Parse()
		if err != nil {
			return g, err
		}
		g = m.Magnet()
		if g.Select, err = selectRanges(m, opt.sel); err != nil {
			return g, err
		}
		for _, p := range opt.sel {
			if !matchesFile(m, p) {
				a.warnPattern("--select", p, "selects no file", m.Info.Name)
			}
		}
	case len(opt.sel) > 0:
		return g, fault.Usagef("%s: --select needs the .torrent file, because a link has no list of files", arg)
	default:
		if g, err = metainfo.ParseMagnet(src.Magnet); err != nil {
			return g, err
		}
	}
	g.Peers = append(g.Peers, peers...)
	return g, nil
}

// printMagnets prints the links.
func (a *app) printMagnets(links []metainfo.Magnet) error {
	for _, g := range links {
		var err error
		if a.JSON {
			j := magnetToJSON(g)
			err = a.PrintJSON(magnetJSON{j.Name, j.InfoHashV1, j.InfoHashV2, j.Magnet})
		} else {
			err = a.Printf("%s\n", g)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// selectRanges returns the indexes of the files that match a pattern, or nil without
// patterns.
func selectRanges(m *metainfo.MetaInfo, patterns []string) ([]metainfo.Range, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	match, err := maker.Matcher(patterns)
	if err != nil {
		return nil, fault.Usagef("--select: %w", err)
	}
	var list []metainfo.Range
	for k := range m.Info.Files {
		f := &m.Info.Files[k]
		if f.Pad() || !match(filePath(&m.Info, f)) {
			continue
		}
		if n := len(list); n > 0 && list[n-1].Last == k-1 {
			list[n-1].Last = k
		} else {
			list = append(list, metainfo.Range{First: k, Last: k})
		}
	}
	if list == nil {
		return nil, fault.UsageHint("spate show lists the files", "--select: no file of %s matches", m.Info.Name)
	}
	return list, nil
}
