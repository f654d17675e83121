package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"spate/internal/netguard/guardtest"
)

// TestFeedOfInternetReachesNoPrivateAddress checks that a feed of the internet does not make the
// daemon fetch a torrent from this machine or its networks, although the user subscribed on this
// machine, and that a caller of another machine cannot subscribe to a private address.
func TestFeedOfInternetReachesNoPrivateAddress(t *testing.T) {
	const public, private = "198.51.100.7", "10.9.9.9"
	if !guardtest.InNamespace(t, public, private) {
		return
	}
	list := offlineTorrents(t, t.TempDir())
	f := feedsOf(t, list)
	var asked []string
	serve := func(addr string, answer func(w http.ResponseWriter, r *http.Request)) string {
		s := httptest.NewUnstartedServer(http.HandlerFunc(answer))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		s.Listener.Close()
		s.Listener = l
		s.Start()
		t.Cleanup(s.Close)
		return s.URL
	}
	home := serve(private+":0", func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.String()) })
	here := serve("127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.String()) })
	item := ""
	site := serve(public+":0", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "<rss><channel><title>x</title>%s</channel></rss>", item)
	})
	i, err := f.Add(context.Background(), AddFeed{URL: site + "/feed"})
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{home, here} {
		item += fmt.Sprintf("<item><guid>%s</guid><enclosure url='%s/x.torrent' type='application/x-bittorrent'/></item>", base, base)
		item += fmt.Sprintf("<item><guid>m%s</guid><enclosure url='magnet:?xt=urn:btih:%040x&amp;xs=%s/y.torrent'/></item>", base, len(item), base)
	}
	if _, err := f.Check(context.Background(), i.ID); err != nil {
		t.Fatal(err)
	}
	if len(asked) > 0 {
		t.Errorf("the feed made the daemon ask for %q", asked)
	}
	if infos, _ := list.List(TorrentList{}); len(infos) != 2 {
		t.Errorf("the magnet links were not added: %v", infos)
	}
	for _, u := range []string{home, here} {
		if _, err := f.Add(context.Background(), AddFeed{URL: u, Remote: true}); err == nil || len(asked) > 0 {
			t.Errorf("a caller of another machine follows %s: %v, asked %q", u, err, asked)
		}
	}
}
