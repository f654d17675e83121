package trackerlog

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"spate/internal/termsafe"
	"spate/internal/units"
)

// Sums are totals over entries of a [Log].
type Sums struct {
	// Started, Completed and Stopped are the numbers of entries by event.
	Started   uint64 `json:"started"`
	Completed uint64 `json:"completed"`
	Stopped   uint64 `json:"stopped"`
	// Uploaded and Downloaded are the bytes that peers reported. A peer that
	// disappears without the event stopped is not in the log, so its last bytes are
	// missing.
	Uploaded   int64 `json:"uploaded"`
	Downloaded int64 `json:"downloaded"`
}

// Group holds the totals of one torrent, day or client.
type Group struct {
	// Key is the info-hash (the main one of a release with several), the day in UTC as 2006-01-02, or the name of the program.
	Key  string `json:"key"`
	Name string `json:"name,omitempty"` // name of the torrent
	Sums
}

// Report holds the totals of a [Log].
type Report struct {
	// From and To are the times of the first and the last entry, in UTC; zero if there
	// is none.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	All  Sums      `json:"all"`
	// Torrents and Clients are sorted by completions, then by starts, in decreasing
	// order. Days are sorted by time.
	Torrents []Group `json:"torrents"`
	Days     []Group `json:"days"`
	Clients  []Group `json:"clients"`
	// Skipped is the number of lines that are not entries.
	Skipped uint64 `json:"skipped,omitempty"`
}

// Limits of a Reporter. Beyond them a report is less exact.
const (
	maxReportLine  = 1 << 20 // bytes of a line; the rest of a longer one is ignored
	maxReportKeys  = 1 << 20 // torrents; further ones are one group
	maxReportPeers = 1 << 20 // peers that have not stopped; bytes of further ones may count twice
	maxReportBytes = 1 << 50 // bytes that one peer may report; larger numbers are ignored
)

// Reporter adds up the entries of logs. It is not safe for concurrent use.
type Reporter struct {
	r        Report
	torrents map[string]*Group
	days     map[string]*Group
	clients  map[string]*Group
	peers    map[string][2]int64 // bytes that were counted of each peer that has not stopped
	swarms   map[string]string   // by peer and event of a release with several swarms: the info-hash of the first entry
}

// NewReporter returns a reporter without entries.
func NewReporter() *Reporter {
	return &Reporter{
		torrents: map[string]*Group{}, days: map[string]*Group{}, clients: map[string]*Group{},
		peers: map[string][2]int64{}, swarms: map[string]string{},
	}
}

// ReadFile adds the entries of the log at path. The caller must read the files of one
// log from the oldest to the newest, as [Files] returns them.
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

// Read adds the entries of a log. Lines that are not entries are skipped and counted.
// The error is that of r.
func (p *Reporter) Read(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := readLine(br)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var a Entry
			if json.Unmarshal(line, &a) != nil || !p.add(&a) {
				p.r.Skipped++
			}
		}
		if err != nil {
			return nil
		}
	}
}

// readLine returns the next line, or the first part of one that is too long.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, more, err := br.ReadLine()
	if err != nil || !more {
		return line, err
	}
	line = bytes.Clone(line)
	for more && err == nil {
		var part []byte
		part, more, err = br.ReadLine()
		if len(line) < maxReportLine {
			line = append(line, part...)
		}
	}
	return line, err
}

// add adds an entry. It reports whether a is valid.
func (p *Reporter) add(a *Entry) bool {
	var one Sums
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
	if p.again(a) {
		return true
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
	t := group(p.torrents, cmp.Or(a.Release, a.InfoHash))
	if a.Name != "" {
		t.Name = a.Name
	}
	t.add(&one)
	group(p.days, at.Format(time.DateOnly)).add(&one)
	group(p.clients, program(a.Client)).add(&one)
	return true
}

// again reports whether the peer of a has told the same event in another swarm of the same release.
func (p *Reporter) again(a *Entry) bool {
	if a.Release == "" || a.Peer == "" {
		return false
	}
	key := a.Peer + a.Event
	first, ok := p.swarms[key]
	if !ok && len(p.swarms) < maxReportPeers {
		p.swarms[key] = a.InfoHash
	}
	return ok && first != a.InfoHash
}

// bytes returns the bytes that the peer of a transferred since its previous entry.
func (p *Reporter) bytes(a *Entry) (up, down int64) {
	if a.Uploaded < 0 || a.Downloaded < 0 || a.Uploaded > maxReportBytes || a.Downloaded > maxReportBytes {
		return 0, 0
	}
	last := p.peers[a.Peer]
	up, down = a.Uploaded-last[0], a.Downloaded-last[1]
	if up < 0 || down < 0 { // the peer has restarted
		up, down = a.Uploaded, a.Downloaded
	}
	if a.Event == "stopped" {
		delete(p.peers, a.Peer)
	} else if a.Peer != "" && len(p.peers) < maxReportPeers {
		p.peers[a.Peer] = [2]int64{a.Uploaded, a.Downloaded}
	}
	return up, down
}

func (s *Sums) add(o *Sums) {
	s.Started += o.Started
	s.Completed += o.Completed
	s.Stopped += o.Stopped
	s.Uploaded += o.Uploaded
	s.Downloaded += o.Downloaded
}

// group returns the group of a key, and creates it if needed.
func group(m map[string]*Group, key string) *Group {
	g := m[key]
	if g == nil && len(m) >= maxReportKeys {
		key = "others"
		g = m[key]
	}
	if g == nil {
		g = &Group{Key: key}
		m[key] = g
	}
	return g
}

// program returns the name of a client without its version.
func program(client string) string {
	if i := strings.LastIndexByte(client, ' '); i > 0 && i+1 < len(client) && unicode.IsDigit(rune(client[i+1])) {
		client = client[:i]
	}
	return cmp.Or(client, "unknown")
}

// Report returns the totals of the entries that were read.
func (p *Reporter) Report() *Report {
	r := p.r
	byUse := func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Completed, a.Completed), cmp.Compare(b.Started, a.Started), cmp.Compare(a.Key, b.Key))
	}
	r.Torrents = sorted(p.torrents, byUse)
	r.Clients = sorted(p.clients, byUse)
	r.Days = sorted(p.days, func(a, b Group) int { return cmp.Compare(a.Key, b.Key) })
	return &r
}

func sorted(m map[string]*Group, less func(a, b Group) int) []Group {
	list := make([]Group, 0, len(m))
	for _, g := range m {
		list = append(list, *g)
	}
	slices.SortFunc(list, less)
	return list
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteCSV writes the report as one table. The first column is the kind of the row:
// all, torrent, day or client.
func (r *Report) WriteCSV(w io.Writer) error {
	cw := csv.NewWriter(w)
	_ = cw.Write([]string{"of", "key", "name", "started", "completed", "stopped", "uploaded", "downloaded"}) // cw.Error returns the error
	row := func(of string, g *Group) {
		n := func(v uint64) string { return strconv.FormatUint(v, 10) }
		_ = cw.Write([]string{of, cell(g.Key), cell(g.Name), n(g.Started), n(g.Completed), n(g.Stopped), n(uint64(g.Uploaded)), n(uint64(g.Downloaded))})
	}
	row("all", &Group{Sums: r.All})
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
	groups    []Group
}

func (r *Report) parts() []reportPart {
	return []reportPart{{"torrent", "Torrent", r.Torrents}, {"day", "Day", r.Days}, {"client", "Client", r.Clients}}
}

// cell puts an apostrophe before text that a spreadsheet would take for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// WriteText writes the report as tables of text, with at most so many rows in each
// part; 0 means all. Control characters in names are escaped.
func (r *Report) WriteText(w io.Writer, most int) error {
	if r.From.IsZero() {
		_, err := fmt.Fprintln(w, "The log has no entries.")
		return err
	}
	bw := bufio.NewWriter(w)
	fmt.Fprintf(bw, "%s to %s\n", r.From.Format("2006-01-02 15:04"), r.To.Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(bw, "%s started, %s completed, %s stopped; %s downloaded, %s uploaded by those that completed or stopped\n",
		count(r.All.Started), count(r.All.Completed), count(r.All.Stopped), units.Bytes(r.All.Downloaded), units.Bytes(r.All.Uploaded))
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
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t  %s\n", count(g.Started), count(g.Completed), count(g.Stopped), units.Bytes(g.Downloaded), units.Bytes(g.Uploaded), termsafe.Line(label))
		}
		tw.Flush() // bw.Flush returns the error
	}
	if r.Skipped > 0 {
		fmt.Fprintf(bw, "\n%s lines are not entries and were skipped\n", count(r.Skipped))
	}
	return bw.Flush()
}

func count(n uint64) string { return units.Count(int64(min(n, math.MaxInt64))) }
