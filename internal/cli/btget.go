package cli

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

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/legacy"
	"spate/internal/running"
	"spate/internal/termsafe"
	"spate/metainfo"
	"spate/torrent"
	"spate/tracker"
)

// download is btdownloadheadless and btdownloadcurses.
func (r *toolRun) download(ctx context.Context) error {
	source, err := r.source()
	if err != nil {
		return err
	}
	var opt getOptions
	if err := r.clientOptions(&opt.clientFlags); err != nil {
		return err
	}
	prio, err := r.priorities()
	if err != nil {
		return err
	}
	opt.output, opt.into, opt.plainSeed = ".", r.saveAs, r.plainSeed()
	r.resumable.Store(true)
	state := filepath.Join(r.stateDir(opt.state), "get")
	c, err := r.newClient(&opt.clientFlags, state, r.claimIP)
	if err != nil {
		return err
	}
	defer c.stop()
	jobs, err := r.getJobs(ctx, c, []string{source}, state, &opt)
	for _, j := range jobs {
		defer j.place.leave()
	}
	if err == nil {
		err = r.addJob(c, jobs[0], &opt)
	}
	if err != nil {
		return hintPlace(err)
	}
	defer running.Serve(r.stateDir(opt.state), r.tool.Name, running.Source(c.session), r.Log)()
	j := jobs[0]
	if err := setPriorities(j.t, prio); err != nil {
		return r.usage("--priority: %w", err)
	}
	if r.tool.Name == "btdownloadcurses" {
		if r.HasScreen() {
			return hintPlace(r.onScreen(ctx, c, j))
		}
		r.Notef("%s: no terminal for a screen: status blocks instead", r.tool.Name)
	}
	return hintPlace(r.follow(ctx, j))
}

// hintPlace tells of --saveas where the verbs would tell of their flags.
func hintPlace(err error) error {
	if fault.CodeOf(err) == fault.Exists {
		return fault.WithHint(err, "move it away, or name another place with --saveas")
	}
	return err
}

// source is the SOURCE of the command line.
func (r *toolRun) source() (string, error) {
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

// clientOptions are what the options mean to a session.
func (r *toolRun) clientOptions(f *clientFlags) error {
	if err := r.flags(f.add); err != nil {
		return err
	}
	v := r.v
	first, last := v.Int("minport"), v.Int("maxport")
	if first < 1 || last > 65535 || first > last {
		return r.usage("--minport %d and --maxport %d: want ports from 1 to 65535, the lower first", first, last)
	}
	if v.Int("random_port") != 0 {
		first += rand.IntN(last - first + 1)
	}
	if b := v.Text("bind"); b != "" {
		addr, err := netip.ParseAddr(b)
		if err != nil {
			return r.usage("--bind %s: want one IP address", b)
		}
		f.bind.Addr = addr
	}
	const kib = 1024
	if up := v.Float("max_upload_rate"); up > 0 {
		f.up = rateValue(up * kib)
	}
	if down := v.Float("max_download_rate"); down > 0 {
		f.down = rateValue(down * kib)
	}
	if v.Given("http_timeout") {
		f.trackerTimeout = time.Duration(max(1, v.Float("http_timeout")) * float64(time.Second))
	}
	conns := v.Int("max_connections")
	if conns == 0 && v.Given("max_allow_in") {
		conns = v.Int("max_allow_in")
	}
	for name, n := range map[string]int{"max_connections": conns, "max_uploads": v.Int("max_uploads"), "max_initiate": v.Int("max_initiate"), "max_files_open": v.Int("max_files_open")} {
		if n < 0 {
			return r.usage("--%s %d is negative", name, n)
		}
	}
	f.tune = func(o *torrent.Options) {
		if f.peerPort < 0 {
			o.PeerPort, o.PeerPortLast = uint16(first), uint16(last)
		}
		o.MaxConnsPerTorrent, o.UploadSlots = conns, v.Int("max_uploads")
		o.MaxHalfOpen, o.OpenFiles = v.Int("max_initiate"), v.Int("max_files_open")
	}
	if ip := v.Text("ip"); ip != "" {
		if _, err := netip.ParseAddr(ip); err != nil {
			return r.usage("--ip %s is not an IP address", ip)
		}
	}
	return nil
}

// plainSeed reports whether --super_seeder 0 was said; without it, the engine
// decides.
func (r *toolRun) plainSeed() bool { return r.v.Given("super_seeder") && r.v.Int("super_seeder") == 0 }

// claimIP makes announces tell the address of --ip.
func (r *toolRun) claimIP(ann torrent.Announcer) torrent.Announcer {
	ip, err := netip.ParseAddr(r.v.Text("ip"))
	if err != nil {
		return ann
	}
	return claimer{ann, ip}
}

type claimer struct {
	torrent.Announcer
	ip netip.Addr
}

func (c claimer) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	claim := *req
	claim.IP = c.ip
	return c.Announcer.Announce(ctx, url, &claim)
}

// saveAs is where --saveas puts the data. As then: a directory that is there and
// has nothing of the torrent in it is one to put the torrent's own into.
func (r *toolRun) saveAs(mi *metainfo.MetaInfo) (dir, name string, err error) {
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

// priorities reads --priority: a number for each file.
func (r *toolRun) priorities() ([]torrent.Priority, error) {
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

// onScreen shows the download on a screen until it is stopped.
func (r *toolRun) onScreen(ctx context.Context, c *client, j *getJob) error {
	err := r.Screen(ctx, r.tool.Name, running.Source(c.session), 0)
	st := j.t.Stats()
	switch {
	case err != nil:
		return err
	case st.State == torrent.StateFailed:
		return transferError(st.Err)
	case st.BytesDone < st.BytesTotal:
		return context.Canceled
	}
	return nil
}

// follow shows the download until it is stopped. Who has everything goes on as a
// seed.
func (r *toolRun) follow(ctx context.Context, j *getJob) error {
	every := time.Duration(max(0.1, r.v.Float("display_interval")) * float64(time.Second))
	tick := time.NewTicker(every)
	defer tick.Stop()
	result := make(chan error, 1)
	go func() { result <- j.t.Wait(ctx) }()
	show := func(activity string) error {
		s := statusOf(j.t, j.path, j.verified)
		if activity != "" {
			s.Activity, s.Finished = activity, false
		}
		return r.print(s.Block() + r.spew(j.t))
	}
	for {
		select {
		case err := <-result:
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				show("Download Failed!")
				return transferError(err)
			}
			j.complete = r.Now()
			result = nil
		case <-tick.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			show("shutting down")
			if j.complete.IsZero() && j.t.Stats().State != torrent.StateSeeding {
				return context.Canceled
			}
			return nil
		}
		if err := show(""); err != nil {
			return err
		}
	}
}

// spew is a line for each peer, when they are wanted.
func (r *toolRun) spew(t *torrent.Torrent) string {
	if r.v.Int("spew") == 0 {
		return ""
	}
	var b strings.Builder
	for _, p := range t.PeerStats() {
		b.WriteString(legacy.PeerLine(p.Key.String(), termsafe.Line(p.Client), p.Incoming, p.DownRate, p.UpRate, p.Have, p.Downloaded, p.Uploaded))
	}
	return b.String()
}

// statusOf is what the programs of 2005 told of a torrent. Seeded says that it
// was whole when it was added.
func statusOf(t *torrent.Torrent, path string, seeded bool) *legacy.Status {
	st := t.Stats()
	s := &legacy.Status{
		Name: termsafe.Line(st.Name), Path: termsafe.Line(path), Size: st.BytesTotal, Left: legacy.Unknown, Fraction: 1,
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
