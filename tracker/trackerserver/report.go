package trackerserver

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// ActivitySums are sums over entries of an [ActivityLog].
type ActivitySums struct {
	Started   uint64 `json:"started"`
	Completed uint64 `json:"completed"`
	Stopped   uint64 `json:"stopped"`
	// Bytes that peers said when they completed and stopped: of those that just
	// vanish nothing is known.
	Uploaded   int64 `json:"uploaded"`
	Downloaded int64 `json:"downloaded"`
}

// ActivityGroup is the sums of one torrent, day or client.
type ActivityGroup struct {
	Key  string `json:"key"` // info-hash; 2006-01-02, in UTC; program
	Name string `json:"name,omitempty"`
	ActivitySums
}

// ActivityReport is what an [ActivityLog] says in all.
type ActivityReport struct {
	From time.Time    `json:"from"`
	To   time.Time    `json:"to"`
	All  ActivitySums `json:"all"`
	// Torrents and Clients are in order of completions, then starts; Days in
	// order of time.
	Torrents []ActivityGroup `json:"torrents"`
	Days     []ActivityGroup `json:"days"`
	Clients  []ActivityGroup `json:"clients"`
	// Skipped lines are no entries.
	Skipped uint64 `json:"skipped,omitempty"`
}

// Limits of a Reporter: what a log may say before it is summed up less exactly.
const (
	maxReportLine  = 1 << 20
	maxReportKeys  = 1 << 20 // torrents; further ones are one group
	maxReportPeers = 1 << 20 // at once; the bytes of further ones may count twice
	maxReportBytes = 1 << 50 // of one peer; more is not believed
)

// Reporter sums up logs. It is not safe for concurrent use.
type Reporter struct {
	r        ActivityReport
	torrents map[string]*ActivityGroup
	days     map[string]*ActivityGroup
	clients  map[string]*ActivityGroup
	peers    map[string][2]int64 // what was counted of a peer that has not stopped
}

// NewReporter returns a reporter that has read nothing.
func NewReporter() *Reporter {
	return &Reporter{
		torrents: map[string]*ActivityGroup{}, days: map[string]*ActivityGroup{}, clients: map[string]*ActivityGroup{},
		peers: map[string][2]int64{},
	}
}

// ReadFile adds the log at path. The files of one log are read from the oldest
// to the youngest: see [ActivityFiles].
func (p *Reporter) ReadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := p.Read(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Read adds a log. Lines that are no entries are skipped and counted.
func (p *Reporter) Read(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := readLine(br)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var a Activity
			if json.Unmarshal(line, &a) != nil || !p.add(&a) {
				p.r.Skipped++
			}
		}
		if err != nil {
			return nil
		}
	}
}

// readLine returns the next line, of one that is too long the first part.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, more, err := br.ReadLine()
	if err != nil || !more {
		return line, err
	}
	line = bytes.Clone(line)
	for more && err == nil {
		var part []byte
		if part, more, err = br.ReadLine(); len(line) < maxReportLine {
			line = append(line, part...)
		}
	}
	return line, err
}

func (p *Reporter) add(a *Activity) bool {
	var one ActivitySums
	switch a.Event {
	case "started":
		one.Started = 1
	case "completed":
		one.Completed = 1
	case "stopped":
		one.Stopped = 1
	default:
		return false
	}
	if a.InfoHash == "" || a.Time.IsZero() {
		return false
	}
	one.Uploaded, one.Downloaded = p.bytes(a)
	at := a.Time.UTC()
	if p.r.From.IsZero() || at.Before(p.r.From) {
		p.r.From = at
	}
	if at.After(p.r.To) {
		p.r.To = at
	}
	p.r.All.add(&one)
	t := group(p.torrents, a.InfoHash)
	if a.Name != "" {
		t.Name = a.Name
	}
	t.add(&one)
	group(p.days, at.Format(time.DateOnly)).add(&one)
	group(p.clients, program(a.Client)).add(&one)
	return true
}

// bytes is what the peer of a says that it moved since its entry before.
func (p *Reporter) bytes(a *Activity) (up, down int64) {
	if a.Uploaded < 0 || a.Downloaded < 0 || a.Uploaded > maxReportBytes || a.Downloaded > maxReportBytes {
		return 0, 0
	}
	last := p.peers[a.Peer]
	up, down = a.Uploaded-last[0], a.Downloaded-last[1]
	if up < 0 || down < 0 { // it began anew
		up, down = a.Uploaded, a.Downloaded
	}
	if a.Event == "stopped" {
		delete(p.peers, a.Peer)
	} else if a.Peer != "" && len(p.peers) < maxReportPeers {
		p.peers[a.Peer] = [2]int64{a.Uploaded, a.Downloaded}
	}
	return up, down
}

func (s *ActivitySums) add(o *ActivitySums) {
	s.Started += o.Started
	s.Completed += o.Completed
	s.Stopped += o.Stopped
	s.Uploaded += o.Uploaded
	s.Downloaded += o.Downloaded
}

func group(m map[string]*ActivityGroup, key string) *ActivityGroup {
	g := m[key]
	if g == nil && len(m) >= maxReportKeys {
		key = "others"
		g = m[key]
	}
	if g == nil {
		g = &ActivityGroup{Key: key}
		m[key] = g
	}
	return g
}

// program is the name of a client without its version.
func program(client string) string {
	if i := strings.LastIndexByte(client, ' '); i > 0 && i+1 < len(client) && unicode.IsDigit(rune(client[i+1])) {
		client = client[:i]
	}
	return cmp.Or(client, "unknown")
}

// Report returns the sums of what was read.
func (p *Reporter) Report() *ActivityReport {
	r := p.r
	byUse := func(a, b ActivityGroup) int {
		return cmp.Or(cmp.Compare(b.Completed, a.Completed), cmp.Compare(b.Started, a.Started), cmp.Compare(a.Key, b.Key))
	}
	r.Torrents = sorted(p.torrents, byUse)
	r.Clients = sorted(p.clients, byUse)
	r.Days = sorted(p.days, func(a, b ActivityGroup) int { return cmp.Compare(a.Key, b.Key) })
	return &r
}

func sorted(m map[string]*ActivityGroup, less func(a, b ActivityGroup) int) []ActivityGroup {
	list := make([]ActivityGroup, 0, len(m))
	for _, g := range m {
		list = append(list, *g)
	}
	slices.SortFunc(list, less)
	return list
}

// WriteJSON writes the report as one object.
func (r *ActivityReport) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteCSV writes the report as one table, whose first column says what a line
// is of: all, torrent, day, client.
func (r *ActivityReport) WriteCSV(w io.Writer) error {
	cw := csv.NewWriter(w)
	_ = cw.Write([]string{"of", "key", "name", "started", "completed", "stopped", "uploaded", "downloaded"}) // Error tells
	row := func(of string, g *ActivityGroup) {
		n := func(v uint64) string { return strconv.FormatUint(v, 10) }
		_ = cw.Write([]string{of, cell(g.Key), cell(g.Name), n(g.Started), n(g.Completed), n(g.Stopped), n(uint64(g.Uploaded)), n(uint64(g.Downloaded))})
	}
	row("all", &ActivityGroup{ActivitySums: r.All})
	for _, part := range r.parts() {
		for i := range part.groups {
			row(part.of, &part.groups[i])
		}
	}
	cw.Flush()
	return cw.Error()
}

type reportPart struct {
	of, title string
	groups    []ActivityGroup
}

func (r *ActivityReport) parts() []reportPart {
	return []reportPart{{"torrent", "Torrent", r.Torrents}, {"day", "Day", r.Days}, {"client", "Client", r.Clients}}
}

// cell keeps a spreadsheet from taking what came from outside for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// WriteText writes the report for people. most bounds the lines of each part; 0:
// all.
func (r *ActivityReport) WriteText(w io.Writer, most int) error {
	if r.From.IsZero() {
		_, err := fmt.Fprintln(w, "The log has no entries.")
		return err
	}
	bw := bufio.NewWriter(w)
	fmt.Fprintf(bw, "%s to %s\n", r.From.Format("2006-01-02 15:04"), r.To.Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(bw, "%s started, %s completed, %s stopped; %s downloaded, %s uploaded by those that completed or stopped\n",
		comma(r.All.Started), comma(r.All.Completed), comma(r.All.Stopped), size(r.All.Downloaded), size(r.All.Uploaded))
	for _, part := range r.parts() {
		fmt.Fprintln(bw)
		tw := tabwriter.NewWriter(bw, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(tw, "Started\tCompleted\tStopped\tDownloaded\tUploaded\t  %s\n", part.title)
		for i, g := range part.groups {
			if most > 0 && i == most {
				fmt.Fprintf(tw, "\t\t\t\t\t  and %d more\n", len(part.groups)-most)
				break
			}
			label := g.Key
			if g.Name != "" {
				label = g.Name + " (" + g.Key + ")"
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t  %s\n", comma(g.Started), comma(g.Completed), comma(g.Stopped), size(g.Downloaded), size(g.Uploaded), printable(label))
		}
		tw.Flush() // bw keeps the error
	}
	if r.Skipped > 0 {
		fmt.Fprintf(bw, "\n%s lines were no entries and are not counted\n", comma(r.Skipped))
	}
	return bw.Flush()
}

func comma(n uint64) string { return humanize.Comma(int64(min(n, 1<<62))) }

func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// printable replaces what a terminal would obey or show in another order.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
