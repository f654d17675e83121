package classic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"spate/internal/daemon"
	"spate/internal/units"
	"spate/torrent"
	"spate/tracker"
)

// sessionConfig returns the configuration of the engine according to the options, and the
// state directory.
func (r *run) sessionConfig() (c daemon.SessionConfig, state string, err error) {
	if c, state, err = r.Session(); err != nil {
		return c, "", err
	}
	if err := r.Daemon.PrepareState(state); err != nil {
		return c, "", err
	}
	v, o := r.v, &c.Options
	first, last := v.Int("minport"), v.Int("maxport")
	if first < 1 || last > 65535 || first > last {
		return c, "", r.usage("--minport %d and --maxport %d: ports are from 1 to 65535, and --minport is not above --maxport", first, last)
	}
	if v.Int("random_port") != 0 {
		first += rand.IntN(last - first + 1)
	}
	if c.AnyPort { // without SPATE_PEER_PORT
		o.PeerPort, o.PeerPortLast = uint16(first), uint16(last)
	}
	if b := v.Text("bind"); b != "" {
		if o.Bind, err = netip.ParseAddr(b); err != nil {
			return c, "", r.usage("--bind %s is not an IP address", b)
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
	if e, given := encryption(v); given {
		o.Encryption = e
	}
	if ip := v.Text("ip"); ip != "" {
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return c, "", r.usage("--ip %s is not an IP address", ip)
		}
		c.WrapAnnouncer = func(next torrent.Announcer) torrent.Announcer { return claimer{next, addr} }
	}
	return c, state, nil
}

// encryption returns the use of encryption that the options select, and whether they select any. As
// in BitTornado, --crypto_stealth implies --crypto_only, which implies --crypto_allowed.
func encryption(v *Values) (e torrent.Encryption, given bool) {
	switch {
	case v.Int("crypto_stealth") != 0 || v.Int("crypto_only") != 0:
		return torrent.EncryptionRequire, true
	case v.Int("crypto_allowed") == 0:
		return torrent.EncryptionOff, true
	}
	return torrent.EncryptionAllow, v.Given("crypto_allowed")
}

// plainSeed reports whether --super_seeder 0 is given. Without it the engine decides.
func (r *run) plainSeed() bool { return r.v.Given("super_seeder") && r.v.Int("super_seeder") == 0 }

// claimer is a tracker client that sends ip in its announces.
type claimer struct {
	torrent.Announcer
	ip netip.Addr
}

func (c claimer) Announce(ctx context.Context, url string, req *tracker.AnnounceRequest) (*tracker.AnnounceResponse, error) {
	claim := *req
	claim.IP = c.ip
	return c.Announcer.Announce(ctx, url, &claim)
}

// priorities parses --priority, a list with a number for each file.
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
			return nil, r.usage("--priority: %q is not 0, 1, 2 or -1", s)
		}
		all = append(all, p)
	}
	return all, nil
}

// setPriorities sets the priority of each file that is not a pad file.
func setPriorities(t *torrent.Torrent, prio []torrent.Priority) error {
	if prio == nil {
		return nil
	}
	var real []int // the files that are not pad files
	for i, f := range t.Files() {
		if !f.Pad {
			real = append(real, i)
		}
	}
	if len(prio) != len(real) {
		return fmt.Errorf("%s for %s", units.Plural(len(prio), "priority"), units.Plural(len(real), "file"))
	}
	for i, file := range real {
		if err := t.SetPriority(prio[i], file); err != nil {
			return err
		}
	}
	return nil
}
