package daemon

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"spate/internal/reach"
	"spate/portmap"
)

// TestReachSaysWhatIsInTheWay checks the words about the router's answers.
func TestReachSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	home := portmap.Family{Gateway: netip.MustParseAddr("192.168.1.1"), Local: netip.MustParseAddr("192.168.1.2")}
	mapped := home
	mapped.Way, mapped.External = portmap.UPnP, netip.MustParseAddr("203.0.113.7")
	mapped.Mappings = []portmap.Mapping{{Protocol: portmap.TCP, Internal: 6881, External: 6882}, {Protocol: portmap.TCP, Internal: 6969, External: 6970}}
	with := func(f portmap.Family, change func(*portmap.Family)) portmap.Family { change(&f); return f }
	trackers := func(a string) observedAddr { return observedAddr{"trackers", netip.MustParseAddr(a)} }
	nobody := observedAddr{}
	for name, c := range map[string]struct {
		f    portmap.Family
		seen observedAddr
		want string // part of the line
	}{
		"mapped":            {mapped, nobody, "peers 203.0.113.7:6882, site 203.0.113.7:6970 (opened by the router, UPnP)"},
		"seen as it says":   {mapped, trackers("203.0.113.7"), "opened by the router"},
		"seen elsewhere":    {mapped, trackers("203.0.113.99"), "trackers see the address 203.0.113.99"},
		"a false address":   {mapped, observedAddr{"DHT nodes", netip.MustParseAddr("203.0.113.99")}, "if others reach this machine at 203.0.113.99, name that address with --public-url"},
		"a carrier's NAT":   {with(mapped, func(f *portmap.Family) { f.External = netip.MustParseAddr("100.64.1.2") }), nobody, "carrier-grade NAT"},
		"two routers":       {with(mapped, func(f *portmap.Family) { f.External = netip.MustParseAddr("192.168.0.2") }), nobody, "private address 192.168.0.2"},
		"no answer":         {with(home, func(f *portmap.Family) { f.Err = portmap.ErrNoAnswer }), nobody, "forward the ports 6881 and 6969 (TCP and UDP) to 192.168.1.2"},
		"an offline router": {with(home, func(f *portmap.Family) { f.Err = portmap.ErrNoExternal }), nobody, "no public address: it is offline, or another NAT"},
		"a router that names no private address": {with(home, func(f *portmap.Family) { f.Err = portmap.ErrNoExternal }), trackers("203.0.113.99"),
			"another NAT, most likely the provider's (carrier-grade NAT), is between it and the address 203.0.113.99 that trackers see; ask the provider for a public IPv4 address"},
		"a public address":   {portmap.Family{Local: netip.MustParseAddr("203.0.113.7"), Err: portmap.ErrNotNeeded}, nobody, "peers 203.0.113.7:6881 (this machine has a public address)"},
		"another error":      {with(home, func(f *portmap.Family) { f.Err = errors.New("refused") }), nobody, "not from the internet: refused; turn on UPnP"},
		"no network":         {portmap.Family{Err: portmap.ErrNoGateway}, nobody, ""},
		"before the answers": {home, nobody, ""},
	} {
		got := reachOf(c.f, c.f.External, portmap.TCP, 6881, 6969, c.seen).String()
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q does not contain %q", name, got, c.want)
		}
	}
	false7 := netip.MustParseAddr("198.51.100.7") // the router names this address
	if got, want := reachOf(mapped, false7, portmap.TCP, 6881, 6969, observedAddr{"others", mapped.External}).String(), "peers 203.0.113.7:6882, site 203.0.113.7:6970 (opened by the router, UPnP; it names 198.51.100.7, but others see this address: if nobody can connect, another NAT is between)"; got != want {
		t.Errorf("with a false address of the router: %q, want %q", got, want)
	}
	confirmed := reach.Status{Problem: "x", Confirmed: true}.String()
	if confirmed != "peers of the internet have connected" {
		t.Errorf("a confirmed status is %q", confirmed)
	}
}

// TestReachNamesIPv6 checks the words about a machine with a public IPv6 address, and that no other
// address is named.
func TestReachNamesIPv6(t *testing.T) {
	t.Parallel()
	local := netip.MustParseAddr("2a00:44::2")
	mapping := []portmap.Mapping{{Protocol: portmap.TCP, Internal: 6881, External: 6881}}
	none := reach.Status{Problem: "the router answers nothing", Advice: "forward port 6881"}
	for name, c := range map[string]struct {
		v4   reach.Status
		f    portmap.Family
		want string
	}{
		"a pinhole": {reach.Status{}, portmap.Family{Local: local, External: local, Way: portmap.PCP, Mappings: mapping},
			"over IPv6 peers [2a00:44::2]:6881 (opened by the router, PCP)"},
		"no answer": {reach.Status{}, portmap.Family{Local: local, Err: portmap.ErrNoAnswer},
			"over IPv6 peers [2a00:44::2]:6881 (unless a firewall refuses connections)"},
		"IPv4 fails": {none, portmap.Family{Local: local, Err: portmap.ErrNoAnswer},
			"not over IPv4: the router answers nothing; forward port 6881; over IPv6 peers [2a00:44::2]:6881 (unless a firewall refuses connections)"},
		"both": {reach.Status{Peers: "203.0.113.7:6881", How: "opened by the router, UPnP"}, portmap.Family{Local: local, Err: portmap.ErrNoAnswer},
			"peers 203.0.113.7:6881 (opened by the router, UPnP); over IPv6 peers [2a00:44::2]:6881 (unless a firewall refuses connections)"},
		"a local address": {none, portmap.Family{Local: netip.MustParseAddr("fd00::2"), Err: portmap.ErrNoGateway}, "not from the internet: the router answers nothing; forward port 6881"},
		"no IPv6":         {reach.Status{}, portmap.Family{Err: portmap.ErrNoGateway}, ""},
	} {
		st := c.v4
		st.IPv6, st.HowIPv6 = reachOf6(c.f, portmap.TCP, 6881)
		if got := st.String(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestPortRecordOutlivesCrash checks that a process finds the record of one that has ended, and
// not that of one that runs.
func TestPortRecordOutlivesCrash(t *testing.T) {
	t.Parallel()
	env, dir := testEnv(), filepath.Join(t.TempDir(), "ports")
	list := []portmap.Permanent{{Gateway: netip.MustParseAddr("192.168.1.1"), Protocol: portmap.TCP, External: 6881, Internal: 6881}}
	first := env.openPortRecord(dir)
	first.keep(list)
	second := env.openPortRecord(dir)
	if len(second.Permanent) != 0 || len(second.Key) < 16 || reflect.DeepEqual(first.Key, second.Key) {
		t.Errorf("the second process has %v, and the key %x", second.Permanent, second.Key)
	}
	first.close()
	first.keep(nil) // must not write any more
	third := env.openPortRecord(dir)
	if !reflect.DeepEqual(third.Permanent, list) || !reflect.DeepEqual(third.Key, first.Key) {
		t.Errorf("after a crash: %v, want %v", third.Permanent, list)
	}
	second.close()
	third.close()
}

// TestNoPortsOnLoopback checks that a session on loopback has no mapper, and one without a port
// for peers neither.
func TestNoPortsOnLoopback(t *testing.T) {
	t.Parallel()
	env := testEnv()
	for name, bind := range map[string]string{"loopback": "127.0.0.1", "loopback of IPv6": "::1"} {
		if p, err := env.openPorts(&PortMapConfig{State: t.TempDir()}, netip.MustParseAddr(bind), 6881, false); p != nil || err != nil {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	if p, err := env.openPorts(&PortMapConfig{State: t.TempDir()}, netip.Addr{}, 0, false); p != nil || err != nil {
		t.Errorf("without a port: %v, %v", p, err)
	}
	if _, err := env.openPorts(&PortMapConfig{State: t.TempDir(), Gateway: netip.MustParseAddr("203.0.113.1")}, netip.Addr{}, 6881, false); err == nil {
		t.Error("a public gateway is accepted")
	}
}

// TestOnlyUDPIsMappedWithoutTCP checks that a process whose peers connect by uTP only asks the router
// for no TCP port for peers, and names the UDP port as the one that the router has opened.
func TestOnlyUDPIsMappedWithoutTCP(t *testing.T) {
	t.Parallel()
	site := portmap.Rule{Protocols: portmap.TCP, Internal: 6969}
	c := &PortMapConfig{rules: []portmap.Rule{site}}
	if got, want := c.allRules(6881, false), []portmap.Rule{{Protocols: portmap.TCP | portmap.UDP, Internal: 6881}, site}; !reflect.DeepEqual(got, want) {
		t.Errorf("the rules are %v, want %v", got, want)
	}
	if got, want := c.allRules(6881, true), []portmap.Rule{{Protocols: portmap.UDP, Internal: 6881}, site}; !reflect.DeepEqual(got, want) {
		t.Errorf("without TCP the rules are %v, want %v", got, want)
	}
	s := &Session{noTCP: true}
	f := portmap.Family{External: netip.MustParseAddr("198.51.100.7"), Way: portmap.PCP, Mappings: []portmap.Mapping{{Protocol: portmap.UDP, Internal: 6881, External: 7000}}}
	if st := reachOf(f, f.External, s.peerProtocol(), 6881, 0, observedAddr{}); st.Peers != "198.51.100.7:7000" {
		t.Errorf("peers connect to %q, want the UDP port of the router", st.Peers)
	}
}

// TestStrangersSeeNoMetrics checks that only this machine sees /metrics while a router passes
// requests of strangers.
func TestStrangersSeeNoMetrics(t *testing.T) {
	t.Parallel()
	env := testEnv()
	n, err := env.openTrackerNode(&TrackerNodeConfig{}, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	strangers := false
	n.strangers = func() bool { return strangers }
	h := n.handler(http.NotFoundHandler())
	status := func(path, from string) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for _, c := range []struct {
		mapped     bool
		path, from string
		want       int
	}{
		{false, "/metrics", "203.0.113.9:1", http.StatusOK}, {true, "/metrics", "203.0.113.9:1", http.StatusForbidden},
		{true, "/metrics", "192.168.1.1:1", http.StatusForbidden}, {true, "/metrics", "127.0.0.1:1", http.StatusOK}, {true, "/stats.json", "203.0.113.9:1", http.StatusOK},
	} {
		strangers = c.mapped
		if got := status(c.path, c.from); got != c.want {
			t.Errorf("%+v: status %d", c, got)
		}
		r := httptest.NewRequest(http.MethodGet, "/stats", nil)
		r.RemoteAddr = c.from
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if link := strings.Contains(w.Body.String(), `href="metrics"`); c.path == "/metrics" && link != (c.want == http.StatusOK) {
			t.Errorf("%+v: the page has a link to the metrics: %v", c, link)
		}
	}
}

// TestMovesAreRareWithAFickleRouter checks that a router that names another address each time
// moves the releases rarely, and that a single change is followed at once.
func TestMovesAreRareWithAFickleRouter(t *testing.T) {
	t.Parallel()
	var pace movePace
	start := time.Unix(1e9, 0)
	moves := 0
	for now := start; now.Before(start.Add(24 * time.Hour)); now = now.Add(reachEvery) {
		if pace.allows(now) {
			pace.moved(now)
			moves++
		}
	}
	if moves < 20 || moves > 40 {
		t.Errorf("%d moves in a day", moves)
	}
	later := start.Add(72 * time.Hour)
	if !pace.allows(later) {
		t.Error("a change after two days is not followed")
	}
	pace.moved(later)
	if !pace.allows(later.Add(30 * time.Second)) {
		t.Error("a second change is not followed after half a minute")
	}
}
