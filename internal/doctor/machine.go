package doctor

import (
	"fmt"
	"net/netip"
	"time"

	"spate/internal/netguard"
	"spate/internal/units"
)

// Machine are the facts about this machine that need no packets.
type Machine struct {
	Now time.Time
	// Bind is the local address of all connections; the zero Addr: any.
	Bind netip.Addr
	// IPv4 and IPv6 are the local addresses of packets to the internet. An address is not valid
	// if no route leads there.
	IPv4, IPv6 netip.Addr
	OpenFiles  uint64 // limit of open files of this process; 0: unknown
	Dirs       []Dir
}

// Dir are the facts about a directory that data is written to.
type Dir struct {
	Name  string // what the directory is for
	Path  string
	Total uint64 // size of the file system in bytes; 0: unknown
	Free  uint64 // bytes that this user can still write
	// Sync is the time in which a small file was written and synced; 0: not measured.
	Sync time.Duration
	Err  error // why no file can be written there; may be nil
}

// The bounds of the judgements of this machine.
const (
	fewFiles = 1024      // a limit of open files below this slows down many torrents
	lowDisk  = 1 << 30   // a file system with fewer free bytes fills soon
	fullDisk = 100 << 20 // a file system with fewer free bytes is as good as full
	slowSync = 500 * time.Millisecond
)

// Findings judges the facts.
func (m Machine) Findings() []Finding {
	out := m.families()
	out = append(out, year(m.Now)...)
	switch n := m.OpenFiles; {
	case n == 0:
	case n < fewFiles:
		out = append(out, about("open-files", "", "the limit of open files is %s, so that files are often closed and opened again", units.Count(int64(n))).
			as(Warn, fmt.Sprintf("raise the limit to %d or more (ulimit -n, or LimitNOFILE= of systemd)", fewFiles)))
	default:
		out = append(out, about("open-files", "", "the limit of open files is %s", units.Count(int64(min(n, 1<<62)))))
	}
	return append(out, m.Disks()...)
}

// Disks judges the directories alone.
func (m Machine) Disks() (out []Finding) {
	for _, d := range m.Dirs {
		out = append(out, d.findings()...)
	}
	return out
}

// families judges the addresses of this machine.
func (m Machine) families() []Finding {
	if m.Bind.IsLoopback() {
		return []Finding{about("addresses", "", "bound to %v: only programs of this machine can connect", m.Bind).as(Note, "")}
	}
	if !m.IPv4.IsValid() && !m.IPv6.IsValid() {
		return []Finding{about("addresses", "", "no route leads to the internet, neither by IPv4 nor by IPv6").as(Fail, "check the network connection of this machine")}
	}
	var out []Finding
	switch a := m.IPv4; {
	case a.IsValid() && netguard.KindOf(a) == netguard.Public:
		out = append(out, about("ipv4", "", "this machine has the public address %v", a))
	case a.IsValid():
		out = append(out, about("ipv4", "", "this machine has the private address %v, behind a router", a))
	case !m.Bind.IsValid():
		out = append(out, about("ipv4", "", "no route leads to the internet by IPv4: peers that have only IPv4 are out of reach").as(Note, ""))
	}
	switch a := m.IPv6; {
	case a.IsValid() && netguard.KindOf(a) == netguard.Public:
		out = append(out, about("ipv6", "", "this machine has the public address %v", a))
	case a.IsValid():
		out = append(out, about("ipv6", "", "this machine has the private address %v only", a).as(Note, ""))
	case !m.Bind.IsValid():
		out = append(out, about("ipv6", "", "no route leads to the internet by IPv6: peers connect by IPv4").as(Note, ""))
	}
	return out
}

// The years in which a clock can be right.
const (
	firstYear = 2025
	lastYear  = 2100
)

const setClock = "set the clock, or turn on its synchronization (NTP)"

// year judges whether the clock can be right at all.
func year(now time.Time) []Finding {
	if y := now.UTC().Year(); y < firstYear || y > lastYear {
		return []Finding{about("clock", "", "the clock says that it is the year %d: certificates and leases will fail", y).as(Fail, setClock)}
	}
	return nil
}

// ServerTime is the time that a server sent, and that of this machine when it arrived.
type ServerTime struct {
	Host         string
	Theirs, Ours time.Time
}

// clockTolerance is the difference to a server's clock that does no harm.
const clockTolerance = 2 * time.Minute

// Clock judges the clock of this machine by those of servers. One server that agrees is enough,
// because the clocks of servers are wrong too.
func Clock(servers []ServerTime) []Finding {
	var best ServerTime
	var off time.Duration
	for i, s := range servers {
		if d := s.Ours.Sub(s.Theirs); i == 0 || d.Abs() < off.Abs() {
			best, off = s, d
		}
	}
	switch {
	case len(servers) == 0:
		return nil
	case off.Abs() <= clockTolerance:
		return []Finding{about("clock", "", "the clock agrees with that of %s", best.Host)}
	}
	word := "ahead of"
	if off < 0 {
		word = "behind"
	}
	return []Finding{about("clock", "", "the clock is %s %s that of %s", units.Elapsed(off.Abs().Round(time.Second)), word, best.Host).as(Warn, setClock)}
}

// findings judges a directory.
func (d Dir) findings() []Finding {
	if d.Err != nil {
		return []Finding{about("disk", d.Path, "the %s cannot be written to: %v", d.Name, d.Err).as(Fail, "choose another directory, or change its permissions")}
	}
	const more = "free some space, or choose a directory on another disk"
	var out []Finding
	free := units.Bytes(int64(min(d.Free, 1<<62)))
	switch {
	case d.Total == 0:
	case d.Free < fullDisk:
		out = append(out, about("disk", d.Path, "the disk of the %s is full: %s are free", d.Name, free).as(Fail, more))
	case d.Free < lowDisk:
		out = append(out, about("disk", d.Path, "the disk of the %s is almost full: %s are free", d.Name, free).as(Warn, more))
	default:
		out = append(out, about("disk", d.Path, "%s are free on the disk of the %s", free, d.Name))
	}
	switch took := d.Sync.Round(time.Millisecond / 10); {
	case d.Sync == 0:
	case d.Sync > slowSync:
		out = append(out, about("disk-sync", d.Path, "a small file takes %v until it is on the disk, so that downloads wait", took).as(Warn, "choose a directory on a faster disk, or stop what else writes there"))
	default:
		out = append(out, about("disk-sync", d.Path, "a small file is on the disk after %v", took))
	}
	return out
}
