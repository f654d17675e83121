package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"spate/internal/fault"
	"spate/internal/feed"
	"spate/metainfo"
)

// feedSite serves a feed and the .torrent files of its items.
type feedSite struct {
	*httptest.Server
	mu       sync.Mutex
	items    string
	torrents map[string][]byte
	asked    map[string]int // by path, and "304"
	status   int            // answer for the feed; 0: 200
	header   http.Header
}

func newFeedSite(t *testing.T) *feedSite {
	s := &feedSite{torrents: map[string][]byte{}, asked: map[string]int{}, header: http.Header{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *feedSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[r.URL.Path]++
	if b := s.torrents[r.URL.Path]; b != nil {
		w.Header().Set("Content-Type", "application/x-bittorrent")
		w.Write(b)
		return
	}
	if r.URL.Path != "/feed" {
		http.NotFound(w, r)
		return
	}
	for k, v := range s.header {
		w.Header()[k] = v
	}
	etag := fmt.Sprintf("%q", fmt.Sprint(len(s.items)))
	w.Header().Set("ETag", etag)
	switch {
	case s.status != 0:
		w.WriteHeader(s.status)
	case r.Header.Get("If-None-Match") == etag:
		s.asked["304"]++
		w.WriteHeader(http.StatusNotModified)
	default:
		fmt.Fprintf(w, "<rss version='2.0'><channel><title>A site</title>%s</channel></rss>", s.items)
	}
}

// add puts an item with a torrent to the beginning of the feed.
func (s *feedSite) add(t *testing.T, title string, size int64) {
	t.Helper()
	name := strings.ReplaceAll(title, " ", "-")
	b := []byte(fmt.Sprintf("d4:infod6:lengthi%de4:name%d:%s12:piece lengthi16384e6:pieces20:%020dee", size, len(name), name, size))
	if _, err := metainfo.Parse(b); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := "/" + name + ".torrent"
	s.torrents[path] = b
	s.items = fmt.Sprintf("<item><title>%s</title><guid>%s</guid><enclosure url='%s' type='application/x-bittorrent'/></item>", title, name, path) + s.items
}

func (s *feedSite) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[what]
}

// feedsOf returns the subscriptions of a state directory.
func feedsOf(t *testing.T, list *Torrents) *Feeds {
	t.Helper()
	f := newFeeds(list.env, list, list.state)
	if err := f.load(); err != nil {
		t.Fatal(err)
	}
	return f
}

// names returns the names of the added torrents.
func names(list *Torrents) string {
	infos, _ := list.List(TorrentList{})
	var all []string
	for _, i := range infos {
		all = append(all, i.Name)
	}
	return strings.Join(all, " ")
}

// TestFeedAddsNewItemsOnce checks that a subscription adds the items that come later and that its rule
// wants, each once, also over a restart and after the torrent was removed, that it fetches no torrent
// twice, and that it sends the validators of the feed.
func TestFeedAddsNewItemsOnce(t *testing.T) {
	t.Parallel()
	site, list := newFeedSite(t), offlineTorrents(t, t.TempDir())
	var events []string
	list.event = func(what string, i *TorrentInfo) {
		events = append(events, what+" "+i.Name+" by "+i.Feed+" as "+i.Label)
	}
	f := feedsOf(t, list)
	site.add(t, "old film", 10)
	i, err := f.Add(t.Context(), AddFeed{URL: site.URL + "/feed", FeedOptions: FeedOptions{Rule: feed.Rule{All: []string{"film"}}, Label: "films"}})
	if err != nil || i.Name != "A site" {
		t.Fatalf("%+v, %v", i, err)
	}
	if _, err := f.Add(t.Context(), AddFeed{URL: site.URL + "/feed", FeedOptions: FeedOptions{Label: "films"}}); fault.CodeOf(err) != fault.Exists {
		t.Errorf("the same feed again: %v", err)
	}
	check := func() {
		t.Helper()
		if _, err := f.Check(t.Context(), "A site"); err != nil {
			t.Fatal(err)
		}
	}
	check()
	if got := names(list); got != "" || site.count("304") != 1 {
		t.Errorf("%q was added at first, %d answers 304", got, site.count("304"))
	}
	site.add(t, "film one", 20)
	site.add(t, "a song", 30)
	site.add(t, "film two", 40)
	check()
	if got := names(list); got != "film-one film-two" {
		t.Errorf("added: %q", got)
	}
	infos, _ := list.List(TorrentList{Text: "film-one"})
	first := infos[0].InfoHash
	f = feedsOf(t, list) // as after a restart
	if err := list.Remove(t.Context(), "film-one", false); err != nil {
		t.Fatal(err)
	}
	site.add(t, "film three", 50)
	site.mu.Lock() // the first film again, with another id and URL, and the info-hash
	site.items = "<item><title>film one again</title><guid>x</guid><torrent:infoHash xmlns:torrent='http://xmlns.ezrss.it/0.1/'>" + first + "</torrent:infoHash></item>" + site.items
	site.mu.Unlock()
	check()
	check()
	if got := names(list); got != "film-two film-three" {
		t.Errorf("after a restart: %q", got)
	}
	for _, name := range []string{"film-one", "film-two", "film-three"} {
		if n := site.count("/" + name + ".torrent"); n != 1 {
			t.Errorf("%s was fetched %d times", name, n)
		}
	}
	if len(events) != 4 || events[0] != "added film-one by A site as films" {
		t.Errorf("events: %q", events)
	}
	if i, _ := f.Info("A site"); i.Taken != 3 || i.Error != "" {
		t.Errorf("%+v", i)
	}
	if err := f.Remove(i.ID); err != nil || len(feedsOf(t, list).List()) != 0 {
		t.Errorf("removed: %v", err)
	}
}

// TestFeedShowsBeforeItActs checks the preview: what a rule wants, why not, and that nothing is added.
func TestFeedShowsBeforeItActs(t *testing.T) {
	t.Parallel()
	site, list := newFeedSite(t), offlineTorrents(t, t.TempDir())
	f := feedsOf(t, list)
	for n, title := range []string{"thing 1.2", "thing 1.10", "other"} {
		site.add(t, title, int64(n+1))
	}
	p, err := f.Preview(t.Context(), PreviewFeed{URL: site.URL + "/feed", Rule: &feed.Rule{All: []string{"thing"}, Newer: true}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range p.Items {
		got = append(got, fmt.Sprint(i.Title, " ", i.Match, " ", i.Why))
	}
	if want := `other false its title has no "thing"|thing 1.10 true |thing 1.2 false the feed has version 1.10 too`; strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", strings.Join(got, "|"), want)
	}
	i, err := f.Add(t.Context(), AddFeed{URL: site.URL + "/feed", Existing: true, FeedOptions: FeedOptions{Rule: feed.Rule{All: []string{"thing"}, Newer: true}}})
	if err != nil || names(list) != "" {
		t.Fatalf("%v, added %q", err, names(list))
	}
	if _, err := f.Check(t.Context(), i.ID); err != nil || names(list) != "thing-1.10" {
		t.Errorf("%v, added %q", err, names(list))
	}
	if p, err = f.Preview(t.Context(), PreviewFeed{ID: i.ID}); err != nil || !p.Items[1].Seen || p.Items[1].Match {
		t.Errorf("afterwards: %+v, %v", p.Items, err)
	}
	if _, err := f.Preview(t.Context(), PreviewFeed{URL: site.URL + "/thing-1.2.torrent"}); fault.CodeOf(err) != fault.BadData {
		t.Errorf("a URL of no feed: %v", err)
	}
}

// TestFeedBacksOff checks when a feed is checked again after failures and answers.
func TestFeedBacksOff(t *testing.T) {
	t.Parallel()
	site, list := newFeedSite(t), offlineTorrents(t, t.TempDir())
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	list.env.Now = func() time.Time { return now }
	f := feedsOf(t, list)
	i, err := f.Add(t.Context(), AddFeed{URL: site.URL + "/feed"})
	if d := i.Next.Sub(now); err != nil || d < feedEvery || d > feedEvery*9/8 {
		t.Fatalf("the next check is in %v: %v", d, err)
	}
	for n, step := range []struct {
		status     int
		retry      string
		least      time.Duration
		nowPaused  bool
		failsAfter int
	}{
		{500, "", 5 * time.Minute, false, 1},
		{500, "", 10 * time.Minute, false, 2},
		{429, "7200", 2 * time.Hour, false, 3},
		{0, "", feedEvery, false, 0},
		{410, "", 5 * time.Minute, true, 1},
	} {
		site.mu.Lock()
		site.status = step.status
		site.header.Set("Retry-After", step.retry)
		site.mu.Unlock()
		_, err := f.Check(t.Context(), i.ID)
		got, _ := f.Info(i.ID)
		if d := got.Next.Sub(now); (err != nil) != (step.status != 0) || d < step.least || d > step.least*5/4 || got.Paused != step.nowPaused || got.Failures != step.failsAfter {
			t.Errorf("step %d: %v, next check in %v, %+v", n, err, d, got)
		}
	}
	ask := &feed.Feed{Every: 3 * time.Hour}
	ask.SkipHours[15] = true
	ask.SkipHours[16] = true
	if next := nextCheck(now, 0, ask); next.Hour() != 15 && next.Hour() != 17 || next.Hour() == 15 {
		t.Errorf("hours that are skipped: %v", next)
	}
	ask.SkipDays[time.Monday] = true
	if next := nextCheck(now, 0, ask); next.Weekday() != time.Tuesday {
		t.Errorf("a day that is skipped: %v", next)
	}
}
