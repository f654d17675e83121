package trackerlog

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const sampleLog = `{"time":"2026-05-01T10:00:00Z","event":"started","info_hash":"aa","name":"a.iso","peer":"p1","client":"Transmission 4.0","via":"udp"}
not an entry
{"time":"2026-05-01T11:00:00Z","event":"completed","info_hash":"aa","name":"a.iso","peer":"p1","client":"Transmission 4.0","uploaded":10,"downloaded":100}
{"time":"2026-05-02T11:00:00Z","event":"stopped","info_hash":"aa","peer":"p1","client":"Transmission 4.0","uploaded":500,"downloaded":100}
{"time":"2026-05-02T12:00:00Z","event":"started","info_hash":"bb","name":"=cmd()\u001b[31m\u202e","peer":"p2","client":"aria2 1.36"}
{"time":"2026-05-02T12:30:00Z","event":"stopped","info_hash":"bb","peer":"p2","client":"aria2 1.36","uploaded":-5,"downloaded":9000000000000000000}
{"time":"2026-05-02T12:30:00Z","event":"danced","info_hash":"bb"}
{"time":"2026-05-02T13:00:00Z","event":"started","info_hash":"bb","peer":"p3","client":"Transmission 3.00"}
{"time":"2026-05-0`

// TestReleaseCountsOnce checks that the announces of one peer to several swarms of a release count
// once, and that those of other peers all count.
func TestReleaseCountsOnce(t *testing.T) {
	p := NewReporter()
	log := ""
	for _, peer := range []string{"p1", "p2"} {
		for _, event := range []string{"started", "completed", "stopped", "started"} {
			for _, ih := range []string{"aa", "bb"} {
				log += fmt.Sprintf(`{"time":"2026-05-01T10:00:00Z","event":%q,"info_hash":%q,"name":"a.iso","release":"aa","peer":%q,"client":"x 1","downloaded":100}`+"\n", event, ih, peer)
			}
		}
	}
	log += `{"time":"2026-05-01T10:00:00Z","event":"started","info_hash":"bb","release":"aa","peer":"p3"}` + "\n" // only in the second swarm
	if err := p.Read(strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	r := p.Report()
	if len(r.Torrents) != 1 || r.Torrents[0].Key != "aa" || r.All.Started != 5 || r.All.Completed != 2 || r.All.Stopped != 2 {
		t.Errorf("the report is %+v, %+v; want one torrent aa with 5 starts, 2 completions and 2 stops", r.All, r.Torrents)
	}
}

func sampleReport(t *testing.T) *Report {
	t.Helper()
	p := NewReporter()
	if err := p.Read(strings.NewReader(sampleLog)); err != nil {
		t.Fatal(err)
	}
	return p.Report()
}

// TestReport checks the totals of a log that has lines which are not entries.
func TestReport(t *testing.T) {
	r := sampleReport(t)
	all := Sums{Started: 3, Completed: 1, Stopped: 2, Uploaded: 500, Downloaded: 100}
	if r.All != all || r.Skipped != 3 || r.From.Hour() != 10 || r.To.Hour() != 13 {
		t.Errorf("%+v", r)
	}
	if len(r.Torrents) != 2 || r.Torrents[0].Key != "aa" || r.Torrents[0].Uploaded != 500 || r.Torrents[1].Started != 2 {
		t.Errorf("torrents: %+v", r.Torrents)
	}
	if len(r.Days) != 2 || r.Days[0].Key != "2026-05-01" || r.Days[0].Uploaded != 10 || r.Days[1].Uploaded != 490 {
		t.Errorf("days: %+v", r.Days)
	}
	if len(r.Clients) != 2 || r.Clients[0].Key != "Transmission" || r.Clients[0].Started != 2 {
		t.Errorf("clients: %+v", r.Clients)
	}
}

// TestReportFormats checks the report as text, CSV and JSON, including text from peers that
// a terminal or a spreadsheet would interpret.
func TestReportFormats(t *testing.T) {
	r := sampleReport(t)
	var b bytes.Buffer
	if err := r.WriteText(&b, 1); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"2026-05-01 10:00 to 2026-05-02 13:00 UTC", "3 started, 1 completed, 2 stopped; 100 B downloaded, 500 B uploaded", "a.iso (aa)", "and 1 more", "3 lines are not entries"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	b.Reset()
	if err := r.WriteText(&b, 0); err != nil || strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%v, control characters in\n%q", err, b.String())
	}
	b.Reset()
	if err := r.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 1+1+2+2+2 || fmt.Sprint(rows[1]) != "[all   3 1 2 500 100]" || !strings.HasPrefix(rows[3][2], "'=cmd") {
		t.Errorf("%v %q", err, rows)
	}
	b.Reset()
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.All != r.All || len(back.Days) != 2 {
		t.Errorf("%v %+v", err, back)
	}
	b.Reset()
	if err := NewReporter().Report().WriteText(&b, 0); err != nil || b.String() != "The log has no entries.\n" {
		t.Errorf("%v %q", err, b.String())
	}
}

// TestReportOfLongLines checks that a very long line counts as one line.
func TestReportOfLongLines(t *testing.T) {
	p := NewReporter()
	log := strings.Repeat("x", 5<<20) + "\n" + strings.Split(sampleLog, "\n")[0] + "\n"
	if err := p.Read(strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	if r := p.Report(); r.Skipped != 1 || r.All.Started != 1 {
		t.Errorf("%+v", r)
	}
}

// FuzzReport checks that any log gives a report without negative totals.
func FuzzReport(f *testing.F) {
	f.Add([]byte(sampleLog))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := NewReporter()
		if err := p.Read(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		r := p.Report()
		if r.All.Uploaded < 0 || r.All.Downloaded < 0 {
			t.Fatalf("%+v", r.All)
		}
		if err := r.WriteText(&bytes.Buffer{}, 0); err != nil {
			t.Fatal(err)
		}
	})
}
