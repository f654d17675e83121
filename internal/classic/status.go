package classic

import (
	"fmt"
	"strings"
	"time"
)

// Unknown is the value of [Status].Left if the time left is unknown.
const Unknown = time.Duration(-1)

// Status is the status of a download as the old tools showed it. The caller escapes its
// texts. Rates are in bytes a second.
type Status struct {
	Name       string
	Path       string // path of the data
	Size       int64
	Fraction   float64 // share of the data that is complete, 0 to 1
	Activity   string  // shown instead of the time left, such as "connecting to peers"
	Left       time.Duration
	Finished   bool // this run completed the download
	Down, Up   float64
	Downloaded int64
	Uploaded   int64
	Seeds      int // connected seeds
	Peers      int // connected peers that are not seeds
	Copies     float64
	Errors     []string
}

// hours formats a time left.
func hours(d time.Duration) string {
	const most = 60 * 24 * time.Hour
	if d < 0 || d >= most {
		return "<unknown>"
	}
	s := int(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d hour %02d min %02d sec", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d min %02d sec", s/60, s%60)
}

// TimeLeft returns the activity, or the time left in words.
func (s *Status) TimeLeft() string {
	switch {
	case s.Finished:
		return "Download Succeeded!"
	case s.Activity != "":
		return s.Activity
	}
	return hours(s.Left)
}

// share formats the ratio of uploaded to downloaded bytes.
func (s *Status) share() string {
	const mb = 1 << 20
	ratio := "oo "
	if s.Downloaded > 0 && s.Uploaded <= 100*s.Downloaded {
		ratio = fmt.Sprintf("%.3f", float64(s.Uploaded)/float64(s.Downloaded))
	}
	return fmt.Sprintf("%s  (%.1f MB up / %.1f MB down)", ratio, float64(s.Uploaded)/mb, float64(s.Downloaded)/mb)
}

// Percent returns the percentage of complete data, rounded down to one decimal.
func (s *Status) Percent() string {
	if s.Fraction >= 1 {
		return "100.0"
	}
	return fmt.Sprintf("%.1f", float64(int(s.Fraction*1000))/10)
}

// Block returns the status block of btdownloadheadless.
func (s *Status) Block() string {
	var b strings.Builder
	b.WriteString("\n\n\n\n\n")
	for _, e := range s.Errors {
		fmt.Fprintf(&b, "ERROR:\n%s\n\n", e)
	}
	down := fmt.Sprintf("%.1f kB/s", s.Down/1024)
	if s.Fraction >= 1 {
		down = ""
	}
	for _, row := range [...][2]string{
		{"saving:", fmt.Sprintf("%s (%.1f MB)", s.Name, float64(s.Size)/(1<<20))},
		{"percent done:", s.Percent()},
		{"time left:", s.TimeLeft()},
		{"download to:", s.Path},
		{"download rate:", down},
		{"upload rate:", fmt.Sprintf("%.1f kB/s", s.Up/1024)},
		{"share rating:", s.share()},
		{"seed status:", fmt.Sprintf("%d seen now, plus %.3f distributed copies", s.Seeds, s.Copies)},
		{"peer status:", fmt.Sprintf("%d seen now", s.Peers)},
	} {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-15s %s", row[0], row[1]), " ") + "\n")
	}
	return b.String()
}

// Line returns the status line of btlaunchmany with the given name.
func (s *Status) Line(name string) string {
	left := s.Activity
	if left == "" {
		left = hours(s.Left)
	}
	mark := "S"
	if s.Fraction >= 1 {
		mark = "s"
	}
	return fmt.Sprintf("%q: %q (%s%%) - %dP%d%s%.3fD u%.1fK/s-d%.1fK/s u%dK-d%dK %q\n", name, left, s.Percent(),
		s.Peers, s.Seeds, mark, s.Copies, s.Up/1000, s.Down/1000, s.Uploaded/1024, s.Downloaded/1024, strings.Join(s.Errors, "; "))
}

// PeerLine returns the line of a peer below the status block (--spew 1).
func PeerLine(addr, client string, incoming bool, down, up, have float64, got, sent int64) string {
	way := "L" // the connection is outgoing
	if incoming {
		way = "R"
	}
	return fmt.Sprintf("%-24s %s d %8.1f K/s %8.1f MB  u %8.1f K/s %8.1f MB  %5.1f%%  %s\n",
		addr, way, down/1024, float64(got)/(1<<20), up/1024, float64(sent)/(1<<20), have*100, client)
}
