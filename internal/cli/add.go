package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/source"
	"spate/internal/termsafe"
)

// addOptions are the flags of add.
type addOptions struct {
	daemonFlags
	output   string
	paused   bool
	label    string
	sel      []string
	inOrder  bool
	up, down rateValue
	seed     seedWhen
	key      string // --verify-key
}

func (a *app) addCmd() *cobra.Command {
	opt := addOptions{seed: seedWhen{forever: true}}
	cmd := &cobra.Command{
		Use:   "add SOURCE...",
		Short: "let a spate serve download and seed",
		Long: `Add torrents to a running spate serve, which downloads and then seeds them, also
after it was started again. A SOURCE is what get takes. add reads a .torrent file and
sends its content; the daemon fetches URLs, and asks peers for the torrent of a magnet
link. add prints the info-hash, by which remove, pause, status and the others know the
torrent; they take its name too, or the beginning of the info-hash.

What was added is removed with spate remove, what was published is withdrawn with
spate withdraw.`,
		Example: `  spate add debian.iso.torrent
  spate add --label films -o /srv/films 'magnet:?xt=urn:btih:...'`,
		Args: need(1, -1, "a SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.add(cmd.Context(), args, &opt) },
	}
	f := cmd.Flags()
	f.StringVarP(&opt.output, "output", "o", "", "store the data in this `DIR` (default: that of the label)")
	f.StringVar(&opt.label, "label", "", "give it this `LABEL`")
	f.BoolVar(&opt.paused, "paused", false, "do not start it")
	f.StringArrayVar(&opt.sel, "select", nil, "fetch only files that match this `GLOB`; repeatable")
	f.BoolVar(&opt.inOrder, "sequential", false, "fetch in order, to use the beginning early")
	f.Var(&opt.seed, "seed", "seed afterwards: none, forever, ratio=R or time=D")
	f.Var(&opt.up, "up", "limit its sending to `RATE`: 500k, 2M; 0: none")
	f.Var(&opt.down, "down", "limit its receiving to `RATE`; 0: none")
	verifyKeyFlag(f, &opt.key)
	opt.daemonFlags.add(f)
	return cmd
}

func (a *app) add(ctx context.Context, args []string, opt *addOptions) error {
	c, err := opt.client(a)
	if err != nil {
		return err
	}
	for _, arg := range args {
		t, err := a.addRequest(ctx, arg, opt)
		if err != nil {
			return err
		}
		i, err := c.AddTorrent(ctx, t)
		if err != nil {
			return apiError(err)
		}
		if a.JSON {
			if err := a.PrintJSON(torrentEvent{"added", i}); err != nil {
				return err
			}
			continue
		}
		a.Notef("added %s to %s", termsafe.Line(i.Name), i.Dir)
		if err := a.Printf("%s\n", i.InfoHash); err != nil {
			return err
		}
	}
	return nil
}

// addRequest returns the request for a SOURCE. Files are read here, because the daemon reads none.
func (a *app) addRequest(ctx context.Context, arg string, opt *addOptions) (t api.AddTorrent, err error) {
	t = api.AddTorrent{Paused: opt.paused, TorrentOptions: daemon.TorrentOptions{
		Label: opt.label, Select: opt.sel, Sequential: opt.inOrder, Up: int64(opt.up), Down: int64(opt.down),
		Ratio: opt.seed.ratio, SeedTime: int64(opt.seed.time.Seconds()), NoSeed: opt.seed.none(),
	}}
	if t.Dir, err = daemonDir(opt.output, &opt.daemonFlags); err != nil {
		return t, err
	}
	if t.Key, err = a.keyText(opt.key); err != nil {
		return t, err
	}
	if !source.IsFile(arg) {
		t.Source = arg
		return t, nil
	}
	src, err := a.resolve(ctx, arg, &sourceFlags{key: opt.key, state: opt.state})
	if err != nil {
		return t, err
	}
	if err := a.sources(sourceFlags{}.bind.Addr).FetchTorrent(ctx, src); err != nil {
		return t, err
	}
	if src.Torrent == nil {
		t.Source = src.Magnet
		return t, nil
	}
	t.Torrent, t.Magnet, t.Direct = src.Torrent, src.Magnet, src.Direct
	_, err = src.Parse() // with the name of the file in its errors
	return t, err
}

// daemonDir returns the absolute path of a directory for a daemon, which has another current
// directory, or "" if dir is empty.
func daemonDir(dir string, d *daemonFlags) (string, error) {
	if dir == "" || filepath.IsAbs(dir) {
		return dir, nil
	}
	if d.url != "" {
		return "", fault.UsageHint("write a path of that machine from the root", "%s is a path of this machine", dir)
	}
	return filepath.Abs(dir)
}

// keyText returns the value of --verify-key without a file.
func (a *app) keyText(value string) (string, error) {
	switch {
	case value == "":
		return "", nil
	case strings.EqualFold(value, "off"):
		return "off", nil
	}
	key, err := publicKeyOf(value, a.Warnf)
	return key.String(), err
}

// torrentEvent is the JSON output of add, and of serve about added torrents.
type torrentEvent struct {
	Event string `json:"event"`
	daemon.TorrentInfo
}
