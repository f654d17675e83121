package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spate/internal/doctor"
	"spate/internal/fault"
	"spate/internal/upload"
	"spate/publish"
	"spate/site"
)

// TestUploadIsPublished checks that an upload becomes a release, that a failed publication keeps the upload
// for another try, that its data survives a restart, and that it is deleted with the release on
// demand only.
func TestUploadIsPublished(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	other := filepath.Join(t.TempDir(), "other")
	var path string
	run := func(f func(*Daemon, *upload.Store)) {
		t.Helper()
		if warnings, err := runDaemon(t, state, func(d *Daemon) {
			u, err := d.Uploads()
			if err != nil {
				t.Fatal(err)
			}
			f(d, u)
		}); err != nil || len(warnings) > 0 {
			t.Fatal(err, warnings)
		}
	}
	run(func(d *Daemon, u *upload.Store) {
		publishNoise(t, d, other, 1)
		i, err := u.Create(upload.Request{Name: "notes.txt", Length: 5})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Append(i.ID, 0, strings.NewReader("hello"), nil); err != nil {
			t.Fatal(err)
		}
		done := func(p string, r *publish.Release) error { path = p; return nil }
		if err := d.Publish(t.Context(), PublishRequest{Upload: i.ID, Slug: "other", Version: "1"}, done); err == nil {
			t.Error("an upload was published under the name of another release")
		}
		if err := d.Publish(t.Context(), PublishRequest{Upload: i.ID, Slug: "hello"}, done); err != nil {
			t.Fatal(err)
		}
		if list := u.List(); len(list) != 0 {
			t.Errorf("the upload is left: %+v", list)
		}
	})
	run(func(d *Daemon, u *upload.Store) {
		r, err := d.Catalog().Get(t.Context(), "hello")
		if err != nil || r.Path != path || !d.Uploaded(r) {
			t.Fatalf("after a restart: %+v %v, want the data at %s", r, err, path)
		}
		if err := u.RemoveData(path); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "hello" {
			t.Errorf("data of a release was removed: %q %v", b, err)
		}
		if err := d.WithdrawData(t.Context(), "other"); fault.CodeOf(err) != fault.Usage {
			t.Errorf("the data of a release that was not uploaded: %v", err)
		}
		if _, err := os.Stat(other); err != nil {
			t.Error(err)
		}
		if err := d.WithdrawData(t.Context(), "hello"); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the data is left: %v", err)
		}
	})
}

// TestLimitsAreKept checks that limits that were set while a daemon ran hold after a restart.
func TestLimitsAreKept(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	limits := func(d *Daemon) [2]int64 { l := d.Limits(); return [2]int64{l.Up, l.Down} }
	if _, err := runDaemon(t, state, func(d *Daemon) {
		down, bad := int64(5000), int64(-1)
		if err := d.ChangeLimits(LimitsChange{Down: &bad}); fault.CodeOf(err) != fault.Usage {
			t.Errorf("a negative limit: %v", err)
		}
		if err := d.ChangeLimits(LimitsChange{Down: &down}); err != nil {
			t.Error(err)
		}
		d.SetRates(7000, 5000) // as the RPC does
		if l := d.Limits(); !l.Changed || l.MaxConnections == 0 {
			t.Errorf("the limits are %+v", l)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := runDaemon(t, state, func(d *Daemon) {
		if got := limits(d); got != [2]int64{7000, 5000} {
			t.Errorf("after a restart the limits are %v", got)
		}
		d.conf.Session.Options.Up = 1 // as after an edit of the settings
		d.SetRates(9, 9)
		d.conf.Session.Options.Up = 0
		d.Publisher.SetRates(0, 0) // as at a start
		d.loadLimits()
		if got := limits(d); got != [2]int64{} {
			t.Errorf("the limits of other settings are %v", got)
		}
		d.SetRates(8, 8)
		if err := d.ChangeLimits(LimitsChange{Reset: true}); err != nil || d.Limits().Changed {
			t.Errorf("after a reset the limits are %v: %v", limits(d), err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestBrowseStaysInside checks that only the permitted directories are listed, and no link leads out.
func TestBrowseStaysInside(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	root, secret := filepath.Join(top, "root"), filepath.Join(top, "secret")
	for _, dir := range []string{filepath.Join(root, "sub", "deep"), secret} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"root/b", "root/.hidden", "root/sub/c", "secret/key"} {
		if err := os.WriteFile(filepath.Join(top, file), []byte("12345"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out": secret, "file": filepath.Join(secret, "key"), "up": "../secret", "in": "sub"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Skip(err)
		}
	}
	d := &Daemon{conf: Config{Browse: []string{root}}}
	names := func(l Listing) (list []string) {
		for _, e := range l.Entries {
			list = append(list, e.Name)
		}
		return list
	}
	for path, want := range map[string][]string{"": {root}, root: {"in", "sub", "b"}, root + "/sub/": {"deep", "c"}, root + "/in": {"deep", "c"}} {
		if l, err := d.Browse(path); err != nil || !slices.Equal(names(l), want) {
			t.Errorf("%q: %q %v, want %q", path, names(l), err, want)
		}
	}
	for _, path := range []string{top, secret, root + "/../secret", root + "/out", root + "/up", "root", root + "/\x00", "/"} {
		if l, err := d.Browse(path); err == nil {
			t.Errorf("%q is listed: %q", path, names(l))
		}
		if err := d.MayChoose(path); err == nil {
			t.Errorf("%q may be published", path)
		}
	}
	for path, may := range map[string]bool{root + "/b": true, root + "/in/c": true, root + "/file": false, root + "/out/key": false} {
		if err := d.MayChoose(path); (err == nil) != may {
			t.Errorf("%s may be published: %v", path, err)
		}
	}
}

// TestReleaseFindings checks the judgement of releases.
func TestReleaseFindings(t *testing.T) {
	t.Parallel()
	seeding := publish.State{Name: publish.StateSeeding}
	good, bad := TorrentTracker{URL: "http://good", LastAnnounce: time.Unix(1, 0)}, TorrentTracker{URL: "http://bad", Error: "no route"}
	for what, c := range map[string]struct {
		facts releaseFacts
		want  string // check and level of each finding
	}{
		"nobody yet":         {releaseFacts{state: seeding, trackers: []TorrentTracker{good}, swarm: site.Swarm{Seeders: 1}}, "data ok, tracker ok, copies note"},
		"well spread":        {releaseFacts{state: seeding, trackers: []TorrentTracker{good}, swarm: site.Swarm{Seeders: 3}, finished: 2, firstCopy: time.Minute}, "data ok, tracker ok, copies ok"},
		"a dead tracker":     {releaseFacts{state: seeding, trackers: []TorrentTracker{good, bad}, swarm: site.Swarm{Seeders: 3}}, "data ok, tracker warn, tracker ok, copies ok"},
		"dead trackers only": {releaseFacts{state: seeding, trackers: []TorrentTracker{bad}, swarm: site.Swarm{Seeders: 3}}, "data ok, tracker fail, copies ok"},
		"data gone":          {releaseFacts{state: publish.State{Name: publish.StateFailed, Err: publish.ErrGone}}, "data fail, copies note"},
		"data changed":       {releaseFacts{state: publish.State{Name: publish.StatePaused, Err: publish.ErrChanged}}, "data warn, copies note"},
		"shut out":           {releaseFacts{state: publish.State{Name: publish.StatePaused}, shutOut: "no port"}, "data note, reachable warn, copies note"},
	} {
		var got []string
		for _, f := range c.facts.findings() {
			got = append(got, f.Check+" "+string(f.Level))
			if f.Text == "" || (f.Level == doctor.Warn || f.Level == doctor.Fail) && f.Advice == "" {
				t.Errorf("%s: a finding says too little: %+v", what, f)
			}
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s, want %s", what, s, c.want)
		}
	}
}
