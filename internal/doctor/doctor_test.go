package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"spate/dht"
	"spate/internal/reach"
	"spate/metainfo"
	"spate/portmap"
	"spate/tracker"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// want fails the test unless the list has a finding with this check, level and text.
func want(t *testing.T, list []Finding, check string, level Level, text string) {
	t.Helper()
	for _, f := range list {
		if f.Check == check && f.Level == level && strings.Contains(f.String(), text) {
			if todo := level == Warn || level == Fail; todo != (f.Advice != "") {
				t.Errorf("%v has the advice %q, want one exactly if something should be done", f, f.Advice)
			}
			return
		}
	}
	t.Errorf("no finding %s of level %s contains %q:\n%v", check, level, text, list)
}

// TestMachine checks the judgements of each fact about the machine.
func TestMachine(t *testing.T) {
	t.Parallel()
	public4, private4 := netip.MustParseAddr("203.0.114.7"), netip.MustParseAddr("192.168.1.5")
	healthy := Machine{Now: now, IPv4: private4, IPv6: netip.MustParseAddr("2a00::1"), OpenFiles: 4096, Dirs: []Dir{{Name: "state directory", Path: "/s", Total: 1 << 40, Free: 1 << 39, Sync: time.Millisecond}}}
	if todo := ToDo(healthy.Findings()); len(todo) > 0 {
		t.Errorf("a healthy machine has the findings %v", todo)
	}
	for _, c := range []struct {
		change      func(m *Machine)
		check       string
		level       Level
		text, never string
	}{
		{func(m *Machine) { m.IPv4 = public4 }, "ipv4", OK, "public address 203.0.114.7", ""},
		{func(m *Machine) { m.IPv4 = netip.Addr{} }, "ipv4", Note, "no route leads to the internet by IPv4", ""},
		{func(m *Machine) { m.IPv6 = netip.Addr{} }, "ipv6", Note, "no route leads to the internet by IPv6", ""},
		{func(m *Machine) { m.IPv6 = netip.MustParseAddr("fd00::1") }, "ipv6", Note, "private address fd00::1", ""},
		{func(m *Machine) { m.IPv4, m.IPv6 = netip.Addr{}, netip.Addr{} }, "addresses", Fail, "neither by IPv4 nor by IPv6", "ipv4"},
		{func(m *Machine) {
			m.Bind = netip.MustParseAddr("127.0.0.1")
			m.IPv4, m.IPv6 = netip.Addr{}, netip.Addr{}
		}, "addresses", Note, "bound to 127.0.0.1", "ipv4"},
		{func(m *Machine) { m.OpenFiles = 64 }, "open-files", Warn, "is 64,", ""},
		{func(m *Machine) { m.Now = time.Unix(0, 0) }, "clock", Fail, "the year 1970", ""},
		{func(m *Machine) { m.Dirs[0].Free = 5 << 20 }, "disk", Fail, "/s: the disk of the state directory is full", ""},
		{func(m *Machine) { m.Dirs[0].Free = 500 << 20 }, "disk", Warn, "almost full", ""},
		{func(m *Machine) { m.Dirs[0].Err = syscall.EROFS }, "disk", Fail, "read-only", "disk-sync"},
		{func(m *Machine) { m.Dirs[0].Sync = 2 * time.Second }, "disk-sync", Warn, "takes 2s", ""},
	} {
		m := healthy
		m.Dirs = []Dir{healthy.Dirs[0]}
		c.change(&m)
		list := m.Findings()
		want(t, list, c.check, c.level, c.text)
		for _, f := range list {
			if f.Check == c.never {
				t.Errorf("unexpected finding %v", f)
			}
		}
	}
}

// TestClock checks that the clock is judged by the server that agrees most.
func TestClock(t *testing.T) {
	t.Parallel()
	late := ServerTime{"late", now.Add(time.Hour), now}
	if list := Clock(nil); list != nil {
		t.Errorf("without a server Clock returned %v", list)
	}
	want(t, Clock([]ServerTime{late}), "clock", Warn, "behind that of late")
	want(t, Clock([]ServerTime{{"early", now.Add(-24 * time.Hour), now}, late}), "clock", Warn, "behind that of late")
	want(t, Clock([]ServerTime{{"early", now.Add(-24 * time.Hour), now}}), "clock", Warn, "ahead of that of early")
	want(t, Clock([]ServerTime{late, {"good", now.Add(time.Second), now}}), "clock", OK, "good")
}

// TestNetwork checks the judgements of ports, the router and the DHT.
func TestNetwork(t *testing.T) {
	t.Parallel()
	gateway, public := netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("203.0.114.7")
	mapped := portmap.Family{Gateway: gateway, Way: portmap.UPnP, External: public, Mappings: []portmap.Mapping{{Protocol: portmap.TCP, Internal: 6881, External: 7000}}}
	carrier := mapped
	carrier.External = netip.MustParseAddr("100.64.0.9")
	advised := reach.Status{Problem: "the problem", Advice: "the advice"}
	answers := []dht.FamilyStatus{{Nodes: 9, Good: 8, Usable: true, External: netip.AddrPortFrom(public, 0)}, {IPv6: true}}
	for _, c := range []struct {
		n     Network
		check string
		level Level
		text  string
	}{
		{Network{}, "peer-port", Note, "does not listen"},
		{Network{PeerPort: 6881}, "peer-port", Warn, "another program has its UDP port"},
		{Network{PeerPort: 6881, UDP: true}, "peer-port", OK, "6881"},
		{Network{PeerPort: 6881, NoTCP: true, UDP: true}, "peer-port", OK, "UDP only"},
		{Network{}, "mapping", Note, "--no-portmap"},
		{Network{PeerPort: 6881, Asked: true, IPv4: mapped}, "mapping", OK, "192.168.1.1: the router opened 203.0.114.7:7000 for peers (UPnP)"},
		{Network{PeerPort: 6881, Asked: true, IPv4: mapped}, "nat", OK, "public address 203.0.114.7"},
		{Network{PeerPort: 6881, Asked: true, IPv4: carrier, Reach: advised}, "nat", Fail, "the problem; the advice"},
		{Network{PeerPort: 6881, Asked: true, IPv4: mapped, Reach: advised}, "nat", Fail, "the problem; the advice"},
		{Network{Asked: true, IPv4: portmap.Family{Err: portmap.ErrNoExternal}, Reach: advised}, "nat", Fail, "the problem"},
		{Network{Asked: true, IPv4: portmap.Family{Gateway: gateway, Err: portmap.ErrNoAnswer}, Reach: advised}, "mapping", Fail, "neither UPnP"},
		{Network{Asked: true, IPv4: portmap.Family{Local: public, Err: portmap.ErrNotNeeded}}, "mapping", OK, "203.0.114.7"},
		{Network{Asked: true, IPv4: portmap.Family{Err: portmap.ErrNoGateway}}, "mapping", Note, "no router"},
		{Network{Asked: true, IPv4: carrier, Reach: reach.Status{Problem: "p", Advice: "a", Confirmed: true}}, "reachable", OK, "have connected"},
		{Network{}, "dht", Note, "not used"},
		{Network{DHT: answers}, "dht", OK, "8 of 9 nodes answer and see this machine at 203.0.114.7"},
		{Network{DHT: answers}, "dht", Note, "IPv6: no node answers"},
		{Network{DHT: answers[1:]}, "dht", Fail, "IPv6: no node answers"},
	} {
		want(t, c.n.Findings(), c.check, c.level, c.text)
	}
	if list := (Network{Bind: netip.MustParseAddr("127.0.0.1"), PeerPort: 1, UDP: true}).Findings(); len(ToDo(list)) > 0 {
		t.Errorf("a session on loopback has the findings %v", list)
	}
	want(t, []Finding{Reached("process 7", advised)}, "reachable", Fail, "process 7: the problem; the advice")
	want(t, []Finding{Reached("process 7", reach.Status{Peers: "1.2.3.4:5"})}, "reachable", OK, "1.2.3.4:5")
	want(t, []Finding{Reached("process 7", reach.Status{})}, "reachable", Note, "does not know")
}

// TestExplain checks that each kind of error has its reason and advice.
func TestExplain(t *testing.T) {
	t.Parallel()
	expired := x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, -1)}}
	early := x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{NotBefore: now.AddDate(0, 0, 1), NotAfter: now.AddDate(1, 0, 0)}}
	for text, err := range map[string]error{
		"expired on 2026-11-28":            expired,
		"not valid before 2026-11-30":      early,
		"an authority that is not trusted": x509.UnknownAuthorityError{},
		"it refused: go away":              &tracker.FailureError{Reason: "go away"},
		"connection refused":               syscall.ECONNREFUSED,
		"no route leads there":             syscall.EHOSTUNREACH,
		"something else":                   errors.New("something else"),
	} {
		why, advice := explain(fmt.Errorf("asking: %w", err), now)
		if !strings.Contains(why, text) || advice == "" {
			t.Errorf("explain(%v) returned %q, %q; want %q and an advice", err, why, advice, text)
		}
	}
}

// TestLint checks the findings about torrents.
func TestLint(t *testing.T) {
	t.Parallel()
	info := metainfo.Info{Name: "a", PieceLength: 16384, Files: []metainfo.File{{Length: 5}}, Pieces: make([]byte, 20), Private: true}
	m, err := metainfo.New(info, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Nodes = []string{"192.0.2.1:6881"}
	m.AnnounceList = [][]string{{"http://localhost:1/announce", "http://192.168.1.2/announce"}, {"udp://0.0.0.0:1", "udp://203.0.114.7:6969", "udp://203.0.114.7:6969"}}
	m.WebSeeds = []string{"http://127.0.0.1/a", "ftp://example.org/a"}
	list := Lint(m, false)
	for _, text := range []string{
		"private, but names 1 node of the DHT", "tracker http://localhost:1 is this machine", "tracker http://192.168.1.2 has an address of a private network",
		"tracker udp://0.0.0.0:1 has an address that no other machine reaches", "the tracker udp://203.0.114.7:6969 twice", "web seed http://127.0.0.1/a is this machine",
	} {
		want(t, list, "torrent", Warn, text)
	}
	if n := len(list); n != 6 {
		t.Errorf("Lint returned %d findings: %v", n, list)
	}
	for _, f := range Lint(m, true) {
		if strings.Contains(f.Text, "is this machine") {
			t.Errorf("a torrent for this machine alone has the finding %v", f)
		}
	}
	m.AnnounceList, m.WebSeeds, m.Nodes = [][]string{{"http://example.org/announce"}}, nil, nil
	if list := Lint(m, false); len(list) > 0 {
		t.Errorf("a good torrent has the findings %v", list)
	}
	m.Info.Private, m.AnnounceList = false, nil
	want(t, Lint(m, false), "torrent", Note, "no tracker")
}

// TestDialBack checks the findings about what peers found.
func TestDialBack(t *testing.T) {
	t.Parallel()
	want(t, DialBack(reach.DialBack{}, "advice"), "dial-back", Note, "no peer could be asked")
	list := DialBack(reach.DialBack{Checks: []reach.Check{
		{Network: "tcp4", Port: 6881, Result: reach.Reachable, Asked: 1, Reached: 1}, {Network: "udp4", Port: 6881, Result: reach.Unreachable, Asked: 1, TimedOut: 1},
		{Network: "tcp6", Port: 6881, Result: reach.Unknown, Asked: 1, Unclear: 1},
	}}, "the advice")
	want(t, list, "dial-back-tcp4", OK, "6881")
	want(t, list, "dial-back-udp4", Fail, "nothing answered); the advice")
	want(t, list, "dial-back-tcp6", Note, "unknown")
}
