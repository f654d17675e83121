package cli

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/tracker/trackerlog"
	"spate/tracker/trackerserver"
)

// activityLog is the default of --log, in the state directory.
const activityLog = "activity.log"

// trackerFlags are the flags of all verbs with a tracker.
type trackerFlags struct {
	listenFlags
	publicURL     string
	log           string // path of --log; empty: in the state directory
	privacy       string
	accessLog     string
	interval      time.Duration
	budget        int
	proxyProtocol bool
	wsOrigins     []string
}

func (t *trackerFlags) add(f *pflag.FlagSet) {
	f.StringVar(&t.listen, "listen", ":6969", "serve HTTP on this `ADDR`, IP:PORT or :PORT")
	f.StringVar(&t.udp, "udp", "", "serve UDP on this `ADDR`, or off (default: --listen)")
	f.StringVar(&t.publicURL, "public-url", "", "tell others this `URL` of --listen (default: guessed)")
	f.StringVar(&t.log, "log", "", "log downloads to `FILE`, or off (default: activity.log in --state)")
	f.StringVar(&t.privacy, "log-privacy", "network", "log addresses as network, full or none")
	f.DurationVar(&t.interval, "interval", 0, "ask peers to announce every `TIME` (default: 1m to 1h)")
	f.IntVar(&t.budget, "announce-budget", 0, "shorten intervals up to `N` announces a second (default: 500)")
	f.StringVar(&t.accessLog, "access-log", "", "log each announce to this `FILE`, as JSON")
	f.BoolVar(&t.proxyProtocol, "proxy-protocol", false, "expect the PROXY protocol from those proxies")
	f.StringArrayVar(&t.wsOrigins, "ws-origin", nil, "let only pages of `ORIGIN` use WebSocket; repeatable")
}

// url returns the value of --public-url, or nil without it.
func (t *trackerFlags) url() (*url.URL, error) {
	if t.publicURL == "" {
		return nil, nil
	}
	return daemon.ParsePublicURL(t.publicURL)
}

// node converts the flags to the configuration of a tracker node. state is its state directory.
func (a *app) trackerNode(t *trackerFlags, state string) (c daemon.TrackerNodeConfig, err error) {
	if t.proxyProtocol && len(a.proxy.nets) == 0 {
		return c, fault.Usagef("--proxy-protocol needs --proxy NET: only named proxies are trusted")
	}
	if c.Server.Proxies, err = prefixes("--proxy", a.proxy.nets); err != nil {
		return c, err
	}
	if c.Privacy, err = trackerlog.ParsePrivacy(t.privacy); err != nil {
		return c, fault.Usagef("--log-privacy: %w", err)
	}
	switch t.log {
	case "":
		c.ActivityLog = filepath.Join(state, activityLog)
	case off:
	default:
		c.ActivityLog = t.log
	}
	if err = trackerserver.CheckOrigins(t.wsOrigins); err != nil {
		return c, fault.Usagef("--ws-origin: %w", err)
	}
	c.Server.Origins = t.wsOrigins
	c.AccessLog = t.accessLog
	if c.AccessLog == "" && a.Verbose > 0 {
		c.AccessHandler = a.Log.Handler()
	}
	c.Server.ProxyProtocol, c.Table.Interval, c.Table.Budget = t.proxyProtocol, t.interval, t.budget
	return c, nil
}

// prefixes parses networks and single addresses.
func prefixes(flag string, all []string) (out []netip.Prefix, err error) {
	for _, p := range all {
		prefix, err := trackerserver.ParseNet(p)
		if err != nil {
			return nil, fault.Usagef("%s: %w", flag, err)
		}
		out = append(out, prefix)
	}
	return out, nil
}
