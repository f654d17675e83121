package classic

import (
	"context"
	"net/netip"
	"path/filepath"
	"time"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/running"
	"spate/internal/source"
	"spate/metainfo"
	"spate/torrent"
)

// download runs btdownloadheadless and btdownloadcurses.
func (r *run) download(ctx context.Context) error {
	arg, err := r.source()
	if err != nil {
		return err
	}
	c, state, err := r.sessionConfig()
	if err != nil {
		return err
	}
	prio, err := r.priorities()
	if err != nil {
		return err
	}
	r.Resumable()
	s, err := daemon.OpenSession(r.Daemon, c)
	if err != nil {
		return err
	}
	defer s.Stop()
	src, err := r.Sources(c.Options.Bind).Resolve(ctx, arg)
	if err != nil {
		return hintSaveAs(err)
	}
	p := newPlan(&c, state)
	p.into = r.saveAs
	j, err := r.prepare(ctx, s, src, p)
	if err != nil {
		return hintSaveAs(err)
	}
	defer j.Release()
	sel, err := j.selectedByLink()
	if err == nil {
		err = j.Start(s, sel)
	}
	if err != nil {
		return hintSaveAs(err)
	}
	defer running.Serve(state, r.tool.Name, running.Source(s.Session, s.Uplink, s.Reach, s.SearchInDHT), r.Log)()
	if err := setPriorities(j.Torrent, prio); err != nil {
		return r.usage("--priority: %w", err)
	}
	if r.tool.Name == "btdownloadcurses" {
		if r.HasScreen() {
			return hintSaveAs(r.onScreen(ctx, s, j))
		}
		r.Notef("%s: standard output is not a terminal: printing status blocks", r.tool.Name)
	}
	return hintSaveAs(r.follow(ctx, j))
}

// job is the download of one torrent.
type job struct {
	*daemon.Download
	link metainfo.Magnet // the magnet link of the torrent, or zero
}

// selectedByLink returns a function that selects the files that the magnet link names, or nil
// if the link selects all files.
func (j *job) selectedByLink() (func([]string) bool, error) {
	return daemon.SelectedByLink(j.MetaInfo, j.link)
}

// plan holds the settings of a download.
type plan struct {
	state  string           // the state directory
	bind   netip.Addr       // the local address of connections
	peers  []netip.AddrPort // peers to connect to, besides those from trackers
	into   func(*metainfo.MetaInfo) (dir, name string, err error)
	within string // see [daemon.DownloadConfig]
}

// newPlan returns a plan with the settings from the configuration of the engine.
func newPlan(c *daemon.SessionConfig, state string) plan {
	return plan{state: state, bind: c.Options.Bind, peers: c.Peers}
}

// prepare checks the signature of a source and prepares the download of its torrent.
func (r *run) prepare(ctx context.Context, s *daemon.Session, src *source.Source, p plan) (*job, error) {
	if err := r.Sources(p.bind).CheckSignature(ctx, src, source.Trust{State: p.state}); err != nil {
		return nil, err
	}
	j := &job{}
	c := daemon.DownloadConfig{State: filepath.Join(p.state, "get"), Within: p.within, PlainSeed: r.plainSeed()}
	if err := r.Sources(p.bind).FetchTorrent(ctx, src); err != nil {
		return nil, err
	}
	var mi *metainfo.MetaInfo
	var err error
	if src.Magnet != "" {
		if j.link, err = metainfo.ParseMagnet(src.Magnet); err != nil {
			return nil, err
		}
	}
	if src.Torrent != nil {
		if mi, err = src.Parse(); err == nil {
			r.Sources(p.bind).AddV2Hashes(ctx, src, mi)
			c.Peers = src.Peers(mi)
		}
	} else {
		mi, c.Peers, err = s.FetchMetadata(ctx, j.link, daemon.MetadataConfig{Arg: src.Arg, Peers: p.peers})
	}
	if err != nil {
		return nil, err
	}
	c.Peers = append(c.Peers, p.peers...)
	if c.Dir, c.Name, err = p.into(mi); err != nil {
		return nil, err
	}
	j.Download, err = daemon.PrepareDownload(ctx, r.Daemon, mi, c, func() (func(done, total int64), func()) {
		bar := r.NewProgress("checking " + mi.Info.Name)
		return bar.Update, bar.Finish
	})
	return j, err
}

// hintSaveAs replaces the hint of an error about an existing file, which names flags of spate,
// with one about --saveas.
func hintSaveAs(err error) error {
	if fault.CodeOf(err) == fault.Exists {
		return fault.WithHint(err, "move it away, or name another path with --saveas")
	}
	return err
}

// source returns the SOURCE of the command line.
func (r *run) source() (string, error) {
	all := r.args
	for _, name := range []string{"url", "responsefile"} {
		if s := r.v.Text(name); s != "" {
			all = append(all, s)
		}
	}
	if len(all) != 1 {
		return "", r.usage("one .torrent is needed: give a file, --responsefile FILE, or --url URL")
	}
	return all[0], nil
}

// onScreen shows the download on a screen until the user stops it.
func (r *run) onScreen(ctx context.Context, s *daemon.Session, j *job) error {
	err := r.Screen(ctx, r.tool.Name, running.Source(s.Session, s.Uplink, s.Reach, s.SearchInDHT), 0)
	st := j.Torrent.Stats()
	switch {
	case err != nil:
		return err
	case st.State == torrent.StateFailed:
		return daemon.TransferError(st.Err)
	case st.BytesDone < st.BytesTotal:
		return context.Canceled
	}
	return nil
}

// follow prints status blocks until ctx ends. After the download the torrent is seeded.
func (r *run) follow(ctx context.Context, j *job) error {
	every := time.Duration(max(0.1, r.v.Float("display_interval")) * float64(time.Second))
	tick := time.NewTicker(every)
	defer tick.Stop()
	complete := false
	result := make(chan error, 1)
	go func() { result <- j.Torrent.Wait(ctx) }()
	show := func(activity string) error {
		s := statusOf(j.Torrent, j.Path, j.Verified)
		if activity != "" {
			s.Activity, s.Finished = activity, false
		}
		return r.Print(s.Block() + r.spew(j.Torrent))
	}
	for {
		select {
		case err := <-result:
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				show("Download Failed!")
				return daemon.TransferError(err)
			}
			complete = true
			result = nil
		case <-tick.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			show("shutting down")
			if !complete && j.Torrent.Stats().State != torrent.StateSeeding {
				return context.Canceled
			}
			return nil
		}
		if err := show(""); err != nil {
			return err
		}
	}
}
