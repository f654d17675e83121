package classic

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"spate/internal/daemon"
	"spate/internal/filetrust"
	"spate/internal/folder"
	"spate/internal/torrentfile"
	"spate/tracker/swarm"
	"spate/tracker/trackerserver"
)

// track runs bttrack.
func (r *run) track(ctx context.Context) error {
	flags, memory, err := r.trackWhere()
	if err != nil {
		return err
	}
	c, err := r.Tracker(flags)
	if err != nil {
		return err
	}
	c.TrackerNode.Memory = memory
	if err := errors.Join(r.trackWhom(&c.TrackerNode), r.trackTable(&c.TrackerNode.Table)); err != nil {
		return err
	}
	v := r.v
	c.TrackerNode.Stats.ShowNames, c.TrackerNode.Stats.AllowGet = v.Int("show_names") != 0, v.Int("allow_get") != 0
	c.TrackerNode.Server.NATCheck = nil
	if v.Int("nat_check") != 0 {
		c.TrackerNode.Server.NATCheck = &trackerserver.NATCheck{}
	}
	if c.Home, err = r.home(); err != nil {
		return err
	}
	log, err := r.trackLog()
	if err != nil {
		return err
	}
	c.TrackerNode.AccessLog, c.TrackerNode.AccessHandler = "", log
	if v.Int("hupmonitor") != 0 {
		r.OnHangup(func() {
			if err := log.Reopen(r.Now()); err != nil {
				r.Warnf("the log was not reopened: %v", err)
			}
		})
	}
	err = r.runTracker(ctx, c)
	if lerr := log.Close(); err == nil {
		err = lerr
	}
	return err
}

// runTracker runs a tracker until ctx ends. It prints nothing on standard output, because
// the log may be there.
func (r *run) runTracker(ctx context.Context, c daemon.TrackerConfig) error {
	t, err := daemon.OpenTracker(ctx, r.Daemon, c)
	if err != nil {
		return err
	}
	defer t.Close()
	base, _ := t.BaseURL()
	r.Notef("the tracker runs; statistics at %s; Ctrl-C stops it", base.JoinPath("stats"))
	r.ReloadOnHangup(t.Reload)
	return t.Run(ctx)
}

// trackWhere returns the addresses, the state directory and the allowed torrents as flags of
// spate tracker. memory reads and writes the file of --dfile; it is nil if --dfile names a
// directory.
func (r *run) trackWhere() (flags map[string]string, memory daemon.Memory, err error) {
	port := r.v.Int("port")
	if port < 0 || port > 65535 {
		return nil, nil, r.usage("--port %d: a port is a number from 0 to 65535", port)
	}
	flags = map[string]string{
		"listen": ":" + strconv.Itoa(port), "allowed-dir": r.v.Text("allowed_dir"), "allow-list": r.v.Text("allowed_list"),
	}
	if b := r.v.Text("bind"); b != "" {
		addr, err := netip.ParseAddr(b)
		if err != nil {
			return nil, nil, r.usage("--bind %s is not an IP address", b)
		}
		flags["listen"] = net.JoinHostPort(addr.String(), strconv.Itoa(port))
	}
	dfile := r.v.Text("dfile")
	if dfile == "" {
		return nil, nil, r.usage("--dfile FILE is needed: the tracker stores its state there")
	}
	if isDFileDir(dfile) {
		flags["state"] = dfile
		return flags, nil, nil
	}
	d := &dfileMemory{path: dfile}
	flags["state"] = d.state()
	return flags, d, d.read(r.Warnf)
}

// trackWhom sets the networks that the tracker serves and the scrapes that it answers.
func (r *run) trackWhom(c *daemon.TrackerNodeConfig) error {
	nets := func(option string, parse func(io.Reader) ([]netip.Prefix, error), to *[]netip.Prefix) error {
		path := r.v.Text(option)
		if path == "" {
			return nil
		}
		return r.openText("--"+option, path, func(f io.Reader) error {
			all, err := parse(f)
			*to = append(*to, all...)
			return err
		})
	}
	if err := nets("allowed_ips", ParseSubnets, &c.Server.AllowNets); err != nil {
		return err
	}
	switch s := r.v.Text("scrape_allowed"); s {
	case "full":
		c.Server.Scrapes = trackerserver.ScrapesAll
	case "specific":
	case "none":
		c.Server.Scrapes = trackerserver.ScrapesNone
	default:
		return r.usage("--scrape_allowed %s: the value must be full, specific or none", s)
	}
	return nets("banned_ips", ParseRanges, &c.Server.DenyNets)
}

// trackTable sets the announce interval, the expiry of peers, and the number of peers in an
// answer.
func (r *run) trackTable(t *swarm.Options) error {
	seconds := func(name string) time.Duration {
		return time.Duration(math.Round(r.v.Float(name) * float64(time.Second)))
	}
	t.Interval = seconds("reannounce_interval")
	if r.v.Given("timeout_downloaders_interval") {
		t.Expire = seconds("timeout_downloaders_interval")
	}
	t.MaxNumWant, t.NumWant = r.v.Int("max_give"), r.v.Int("response_size")
	if t.NumWant <= 0 || t.MaxNumWant <= 0 {
		return r.usage("--response_size and --max_give must be 1 or more")
	}
	t.NumWant = min(t.NumWant, t.MaxNumWant)
	return nil
}

// home returns the handler of the root page and the icon.
func (r *run) home() (http.Handler, error) {
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
		u, err := torrentfile.URL("--infopage_redirect", u, "http", "https")
		if err != nil {
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
func (r *run) trackLog() (*AccessLog, error) {
	open := func() (io.WriteCloser, error) { return keepOpen{r.Stdout}, nil }
	if path := r.v.Text("logfile"); path != "-" && path != "" {
		open = func() (io.WriteCloser, error) {
			return filetrust.OpenAppend(path, 0o644)
		}
	}
	flush := r.v.Float("min_time_between_log_flushes")
	if flush < 0 || flush > 3600 {
		return nil, r.usage("--min_time_between_log_flushes %g: the value must be from 0 to 3600 seconds", flush)
	}
	return OpenAccessLog(open, time.Duration(flush*float64(time.Second)), r.Now())
}

// keepOpen is a writer whose Close does nothing.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }
