package classic

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/running"
	"spate/internal/source"
	"spate/internal/termsafe"
	"spate/metainfo"
	"spate/torrent"
	"spate/tracker"
)

// download is btdownloadheadless and btdownloadcurses.
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
		return hintPlace(err)
	}
	p := newPlan(&c, state)
	p.into = r.saveAs
	j, err := r.prepare(ctx, s, src, p)
	if err != nil {
		return hintPlace(err)
	}
	defer j.Release()
	sel, err := j.selectedByLink()
	if err == nil {
		err = j.Start(s, sel)
	}
	if err != nil {
		return hintPlace(err)
	}
	defer running.Serve(state, r.tool.Name, running.Source(s.Session), r.Log)()
	if err := setPriorities(j.Torrent, prio); err != nil {
		return r.usage("--priority: %w", err)
	}
	if r.tool.Name == "btdownloadcurses" {
		if r.HasScreen() {
			return hintPlace(r.onScreen(ctx, s, j))
		}
		r.Notef("%s: no terminal for a screen: status blocks instead", r.tool.Name)
	}
	return hintPlace(r.follow(ctx, j))
}

// job is one torrent that is downloaded.
type job struct {
	*daemon.Download
	link metainfo.Magnet // the magnet link that the torrent was fetched by, or zero
}

// selectedByLink returns the function that selects the files that the magnet link chooses, or
// nil for all.
func (j *job) selectedByLink() (func([]string) bool, error) {
	return daemon.SelectedByLink(j.MetaInfo, j.link)
}

// plan says how and where a torrent is downloaded.
type plan struct {
	state  string           // the state directory
	bind   netip.Addr       // the local address of connections
	peers  []netip.AddrPort // connected besides those of trackers
	into   func(*metainfo.MetaInfo) (dir, name string, err error)
	within string // see [daemon.DownloadConfig]
}

// newPlan returns a plan with what the configuration of the engine says.
func newPlan(c *daemon.SessionConfig, state string) plan {
	return plan{state: state, bind: c.Options.Bind, peers: c.Peers}
}

// prepare checks the signature of a source and prepares its download.
func (r *run) prepare(ctx context.Context, s *daemon.Session, src *source.Source, p plan) (*job, error) {
	if err := r.Sources(p.bind).CheckSignature(ctx, src, source.Trust{State: p.state}); err != nil {
		return nil, err
	}
	j := &job{}
	c := daemon.DownloadConfig{State: filepath.Join(p.state, "get"), Within: p.within, PlainSeed: r.plainSeed()}
	var mi *metainfo.MetaInfo
	var err error
	if src.Torrent != nil {
		mi, err = src.Parse()
	} else if j.link, err = metainfo.ParseMagnet(src.Magnet); err == nil {
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

// hintPlace replaces a hint about the flags of verbs by one about --saveas.
func hintPlace(err error) error {
	if fault.CodeOf(err) == fault.Exists {
		return fault.WithHint(err, "move it away, or name another place with --saveas")
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
		return "", r.usage("need one .torrent: a file, --responsefile FILE, or --url URL")
	}
	return all[0], nil
}

// sessionConfig returns what the options mean to the engine, and the state directory.
func (r *run) sessionConfig() (c daemon.SessionConfig, state string, err error) {
	if c, state, err = r.Session(); err != nil {
		return c, "", err
	}
	v, o := r.v, &c.Options
	first, last := v.Int("minport"), v.Int("maxport")
	if first < 1 || last > 65535 || first > last {
		return c, "", r.usage("--minport %d and --maxport %d: want ports from 1 to 65535, the lower first", first, last)
	}
	if v.Int("random_port") != 0 {
		first += rand.IntN(last - first + 1)
	}
	if c.AnyPort { // without SPATE_PEER_PORT
		o.PeerPort, o.PeerPortLast = uint16(first), uint16(last)
	}
	if b := v.Text("bind"); b != "" {
		if o.Bind, err = netip.ParseAddr(b); err != nil {
			return c, "", r.usage("--bind %s: want one IP address", b)
		}
	}
	const kib = 1024
	if up := v.Float("max_upload_rate"); up > 0 {
		o.Up = int64(up * kib)
	}
	if down := v.Float("max_download_rate"); down > 0 {
		o.Down = int64(down * kib)
	}
	if v.Given("http_timeout") {
		c.TrackerTimeout = time.Duration(max(1, v.Float("http_timeout")) * float64(time.Second))
	}
	conns := v.Int("max_connections")
	if conns == 0 && v.Given("max_allow_in") {
		conns = v.Int("max_allow_in")
	}
	for name, n := range map[string]int{"max_connections": conns, "max_uploads": v.Int("max_uploads"), "max_initiate": v.Int("max_initiate"), "max_files_open": v.Int("max_files_open")} {
		if n < 0 {
			return c, "", r.usage("--%s %d is negative", name, n)
		}
	}
	o.MaxConnsPerTorrent, o.UploadSlots = conns, v.Int("max_uploads")
	o.MaxHalfOpen, o.OpenFiles = v.Int("max_initiate"), v.Int("max_files_open")
	if ip := v.Text("ip"); ip != "" {
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return c, "", r.usage("--ip %s is not an IP address", ip)
		}
		c.WrapAnnouncer = func(next torrent.Announcer) torrent.Announcer { return claimer{next, addr} }
	}
	return c, state, nil
}

// plainSeed reports whether --super_seeder 0 is given. Without it the engine decides.
func (r *run) plainSeed() bool { return r.v.Given("super_seeder") && r.v.Int("super_seeder") == 0 }

// claimer is a tracker client that announces an address.
type claimer struct {
	torrent.Announcer
	ip netip.Addr
}

func (c claimer) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	claim := *req
	claim.IP = c.ip
	return c.Announcer.Announce(ctx, url, &claim)
}

// saveAs returns where --saveas puts the data. As in the old tools, an existing directory
// without a file of the torrent is the parent of the data, not the data itself.
func (r *run) saveAs(mi *metainfo.MetaInfo) (dir, name string, err error) {
	path := r.v.Text("saveas")
	if path == "" {
		return ".", mi.Info.Name, nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", "", err
	case info.IsDir() && (mi.Info.Single() || !holdsAny(mi, path)):
		return path, mi.Info.Name, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", "", err
	}
	dir, name = filepath.Dir(path), filepath.Base(abs)
	return dir, name, os.MkdirAll(dir, 0o777)
}

// holdsAny reports whether the directory has a file of the torrent.
func holdsAny(mi *metainfo.MetaInfo, dir string) bool {
	root, err := folder.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	for i := range mi.Info.Files {
		if f := &mi.Info.Files[i]; !f.Pad() && len(f.Path) > 0 {
			if _, err := root.Lstat(f.Path[0]); err == nil {
				return true
			}
		}
	}
	return false
}

// priorities parses --priority, which has a number for each file.
func (r *run) priorities() ([]torrent.Priority, error) {
	list := r.v.Text("priority")
	if list == "" {
		return nil, nil
	}
	of := map[int]torrent.Priority{0: torrent.PriorityHigh, 1: torrent.PriorityNormal, 2: torrent.PriorityLow, -1: torrent.PrioritySkip}
	var all []torrent.Priority
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		p, ok := of[n]
		if err != nil || !ok {
			return nil, r.usage("--priority: %q is none of 0, 1, 2 and -1", s)
		}
		all = append(all, p)
	}
	return all, nil
}

// setPriorities sets the priorities of all files but pad files.
func setPriorities(t *torrent.Torrent, prio []torrent.Priority) error {
	if prio == nil {
		return nil
	}
	var real []int // files that are no padding
	for i, f := range t.Files() {
		if !f.Pad {
			real = append(real, i)
		}
	}
	if len(prio) != len(real) {
		return fmt.Errorf("%d numbers for %d files", len(prio), len(real))
	}
	for i, file := range real {
		if err := t.SetPriority(prio[i], file); err != nil {
			return err
		}
	}
	return nil
}

// onScreen shows the download on a screen until the user stops it.
func (r *run) onScreen(ctx context.Context, s *daemon.Session, j *job) error {
	err := r.Screen(ctx, r.tool.Name, running.Source(s.Session), 0)
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

// spew returns a line for each peer if --spew is set.
func (r *run) spew(t *torrent.Torrent) string {
	if r.v.Int("spew") == 0 {
		return ""
	}
	var b strings.Builder
	for _, p := range t.PeerStats() {
		b.WriteString(PeerLine(p.Key.String(), termsafe.Line(p.Client), p.Incoming, p.DownRate, p.UpRate, p.Have, p.Downloaded, p.Uploaded))
	}
	return b.String()
}

// statusOf returns the status of a torrent as the old tools showed it. seeded says that the
// torrent was complete when it was added.
func statusOf(t *torrent.Torrent, path string, seeded bool) *Status {
	st := t.Stats()
	s := &Status{
		Name: termsafe.Line(st.Name), Path: termsafe.Line(path), Size: st.BytesTotal, Left: Unknown, Fraction: 1,
		Down: st.DownRate, Up: st.UpRate, Downloaded: st.Downloaded, Uploaded: st.Uploaded, Seeds: st.Seeds, Peers: st.Leechers,
	}
	if abs, err := filepath.Abs(path); err == nil {
		s.Path = termsafe.Line(abs)
	}
	if st.BytesTotal > 0 {
		s.Fraction = float64(st.BytesDone) / float64(st.BytesTotal)
	}
	for _, p := range t.PeerStats() {
		s.Copies += p.Have
	}
	switch st.State {
	case torrent.StateChecking:
		s.Activity = "checking existing file"
		s.Fraction = float64(st.Checked) / float64(max(st.Pieces, 1))
	case torrent.StateSeeding:
		s.Finished = !seeded
		if seeded {
			s.Activity = "seeding"
		}
	case torrent.StateFailed:
		s.Activity = "stopped"
		s.Errors = append(s.Errors, termsafe.Line(fault.Message(st.Err)))
	case torrent.StateDownloading:
		if st.Peers == 0 {
			s.Activity = "connecting to peers"
		} else if st.DownRate >= 1 {
			s.Left = time.Duration(float64(st.BytesTotal-st.BytesDone) / st.DownRate * float64(time.Second))
		}
	}
	for _, tr := range st.Trackers {
		if tr.Err != nil && !errors.Is(tr.Err, context.Canceled) {
			s.Errors = append(s.Errors, "Problem connecting to tracker - "+termsafe.Line(termsafe.Clip(fault.Message(tr.Err), 300)))
		}
	}
	return s
}
