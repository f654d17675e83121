package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"spate"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/legacy"
	"spate/internal/torrentfile"
	"spate/tracker/trackerserver"
)

// track is bttrack.
func (r *toolRun) track(ctx context.Context) error {
	opt := &trackerOptions{}
	if err := r.flags(opt.add); err != nil {
		return err
	}
	if err := errors.Join(r.trackWhere(opt), r.trackWhom(opt), r.trackTable(opt)); err != nil {
		return err
	}
	v := r.v
	opt.showNames, opt.allowGet = v.Int("show_names") != 0, v.Int("allow_get") != 0
	opt.natCheck = v.Int("nat_check") != 0
	var err error
	if opt.home, err = r.home(); err != nil {
		return err
	}
	log, err := r.trackLog()
	if err != nil {
		return err
	}
	opt.access = log
	if v.Int("hupmonitor") != 0 {
		reopen := func() {
			if err := log.Reopen(r.Now()); err != nil {
				r.Warnf("the log was not opened anew: %v", err)
			}
		}
		r.hangup.Store(&reopen)
	}
	err = r.tracker(ctx, opt)
	if lerr := log.Close(); err == nil {
		err = lerr
	}
	return err
}

// trackWhere sets the addresses and the state.
func (r *toolRun) trackWhere(opt *trackerOptions) error {
	port := r.v.Int("port")
	if port < 0 || port > 65535 {
		return r.usage("--port %d: a port is a number from 0 to 65535", port)
	}
	opt.listen = ":" + strconv.Itoa(port)
	if b := r.v.Text("bind"); b != "" {
		addr, err := netip.ParseAddr(b)
		if err != nil {
			return r.usage("--bind %s: want one IP address", b)
		}
		opt.listen = net.JoinHostPort(addr.String(), strconv.Itoa(port))
	}
	dfile := r.v.Text("dfile")
	if dfile == "" {
		return r.usage("--dfile FILE is needed: it is where the tracker remembers")
	}
	opt.state = dfile + ".d"
	opt.memo = &dfileMemo{path: dfile}
	if info, err := os.Stat(dfile); err == nil && info.IsDir() {
		opt.state, opt.memo = dfile, nil
	}
	return nil
}

// trackWhom sets who is served, and what.
func (r *toolRun) trackWhom(opt *trackerOptions) error {
	opt.allowedDir, opt.allowList = r.v.Text("allowed_dir"), r.v.Text("allowed_list")
	nets := func(option string, parse func(io.Reader) ([]netip.Prefix, error), to *[]string) error {
		path := r.v.Text(option)
		if path == "" {
			return nil
		}
		return openText("--"+option, path, func(f io.Reader) error {
			all, err := parse(f)
			for _, p := range all {
				*to = append(*to, p.String())
			}
			return err
		})
	}
	if err := nets("allowed_ips", legacy.ParseSubnets, &opt.allowNets); err != nil {
		return err
	}
	switch s := r.v.Text("scrape_allowed"); s {
	case "full":
		opt.scrapes = trackerserver.ScrapesAll
	case "specific":
	case "none":
		opt.scrapes = trackerserver.ScrapesNone
	default:
		return r.usage("--scrape_allowed %s: want full, specific or none", s)
	}
	return nets("banned_ips", legacy.ParseRanges, &opt.denyNets)
}

// trackTable sets how peers are kept and told.
func (r *toolRun) trackTable(opt *trackerOptions) error {
	seconds := func(name string) time.Duration {
		return time.Duration(math.Round(r.v.Float(name) * float64(time.Second)))
	}
	if r.v.Given("reannounce_interval") {
		opt.interval = seconds("reannounce_interval")
	}
	if r.v.Given("timeout_downloaders_interval") {
		opt.table.Expire = seconds("timeout_downloaders_interval")
	}
	opt.table.MaxNumWant, opt.table.NumWant = r.v.Int("max_give"), r.v.Int("response_size")
	if opt.table.NumWant <= 0 || opt.table.MaxNumWant <= 0 {
		return r.usage("--response_size and --max_give: want 1 or more")
	}
	opt.table.NumWant = min(opt.table.NumWant, opt.table.MaxNumWant)
	return nil
}

// home answers for the paths that are not the tracker's.
func (r *toolRun) home() (http.Handler, error) {
	mux := http.NewServeMux()
	if path := r.v.Text("favicon"); path != "" {
		const most = 1 << 20
		icon, err := folder.ReadNamed(path, most)
		var large *folder.SizeError
		if errors.As(err, &large) {
			return nil, r.usage("--favicon: %w", err)
		}
		if err != nil {
			return nil, err
		}
		mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/x-icon")
			w.Write(icon)
		})
	}
	root := http.Handler(http.RedirectHandler("/stats", http.StatusSeeOther))
	if u := r.v.Text("infopage_redirect"); u != "" {
		if err := torrentfile.CheckURL("--infopage_redirect", u, "http", "https"); err != nil {
			return nil, err
		}
		root = http.RedirectHandler(u, http.StatusFound)
	}
	if r.v.Int("show_infopage") != 0 {
		mux.Handle("GET /{$}", root)
		mux.Handle("GET /index.html", root)
	}
	return mux, nil
}

// trackLog opens the log of announces.
func (r *toolRun) trackLog() (*legacy.AccessLog, error) {
	open := func() (io.WriteCloser, error) { return keepOpen{r.Stdout}, nil }
	if path := r.v.Text("logfile"); path != "-" && path != "" {
		open = func() (io.WriteCloser, error) {
			return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		}
	}
	flush := r.v.Float("min_time_between_log_flushes")
	if flush < 0 || flush > 3600 {
		return nil, r.usage("--min_time_between_log_flushes %g: want 0 to 3600 seconds", flush)
	}
	return legacy.OpenAccessLog(open, time.Duration(flush*float64(time.Second)), r.Now())
}

// keepOpen is a writer that is not ours to close.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// dfileMemo keeps the counts of completions in the file that --dfile names, as
// bttrack did: that program can go on with it, and its file is gone on with here.
type dfileMemo struct{ path string }

func (d *dfileMemo) open(n *node) error {
	f, err := os.Open(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := torrentfile.CheckTarget(d.path, true); err != nil {
			return err
		}
		return d.save(n)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, legacy.MaxDFile+1))
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return nil
	}
	if len(b) > legacy.MaxDFile {
		return fault.New(fault.BadData, "name another file with --dfile", "%s is larger than 64 MiB", d.path)
	}
	completed, err := legacy.ParseDFile(b)
	if err != nil {
		return fault.New(fault.BadData, "it is not written over: name another file with --dfile", "%s was not written by a tracker: %w", d.path, err)
	}
	for h, c := range completed {
		if err := n.table.SetCompleted(h, c); err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
	}
	return nil
}

func (d *dfileMemo) save(n *node) error {
	completed := map[spate.InfoHash]uint32{}
	for st := range n.table.All() {
		if st.Completed > 0 {
			completed[st.InfoHash] = st.Completed
		}
	}
	path, err := filepath.Abs(d.path)
	if err != nil {
		return err
	}
	return torrentfile.Write(path, legacy.AppendDFile(nil, completed), true)
}
