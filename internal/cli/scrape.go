package cli

import (
	"context"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spate"
	"spate/internal/fault"
	"spate/internal/source"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// scrapeResult is one line of the JSON output of scrape.
type scrapeResult struct {
	URL        string `json:"url"`
	InfoHash   string `json:"info_hash"`
	Known      bool   `json:"known"` // the tracker knows the torrent
	Complete   int    `json:"complete"`
	Incomplete int    `json:"incomplete"`
	Downloaded int    `json:"downloaded"`
}

func (a *app) scrapeCmd() *cobra.Command {
	var opt dhtFlags
	var inDHT bool
	cmd := &cobra.Command{
		Use:   "scrape [URL] SOURCE...",
		Short: "ask a tracker or the DHT how many seeds and leechers there are",
		Long: `Ask the tracker with this announce URL for its counts of torrents. SOURCE is an
info-hash or any SOURCE of show. Without URL, scrape asks each tracker that the
SOURCE names. With --dht, it asks the DHT, whose nodes estimate the numbers; peers
that only older nodes name count as leechers.`,
		Example: `  spate scrape http://tracker.example.org:6969/announce 0123456789abcdef0123456789abcdef01234567
  spate scrape debian.torrent
  spate scrape --dht debian.torrent`,
		Args: need(1, -1, "a tracker's announce URL and a SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if inDHT {
				return a.scrapeDHT(cmd.Context(), args, &opt)
			}
			url := ""
			if len(args) > 1 && isTracker(args[0]) {
				url, args = source.Unquote(args[0]), args[1:]
			}
			return a.scrapeAll(cmd.Context(), url, args, &opt.sourceFlags, opt.timeout)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&inDHT, "dht", false, "ask the DHT instead of trackers")
	opt.add(f, true)
	return cmd
}

// isTracker reports whether the first of several arguments is the URL of a tracker. An http(s)
// URL is one unless it is that of a .torrent.
func isTracker(arg string) bool {
	u, err := url.Parse(source.Unquote(arg))
	return err == nil && u.Host != "" && !strings.EqualFold(path.Ext(u.Path), ".torrent") && u.Scheme != "file"
}

// scrapeAll asks the tracker at url, or if url is empty the trackers that each of args names.
func (a *app) scrapeAll(ctx context.Context, url string, args []string, opt *sourceFlags, timeout time.Duration) error {
	c, err := trackerclient.New(trackerclient.Options{LocalAddr: opt.bind.Addr, Proxy: a.out.Chooser(), Timeout: timeout})
	if err != nil {
		return fault.Usagef("%w", err)
	}
	defer c.Close()
	hashes := map[string][]spate.InfoHash{} // by tracker
	var trackers []string
	for _, arg := range args {
		s, err := a.swarms(ctx, "scrape", url, arg, opt)
		if err != nil {
			return err
		}
		for _, t := range s.Trackers {
			if !slices.Contains(trackers, t) {
				trackers = append(trackers, t)
			}
			hashes[t] = append(hashes[t], s.Hashes...)
		}
	}
	return a.eachTracker(ctx, trackers, func(url string) error { return a.scrape(ctx, c, url, hashes[url]) })
}

// scrape asks the tracker at url for its counts, and prints them.
func (a *app) scrape(ctx context.Context, c *trackerclient.Client, url string, hashes []spate.InfoHash) error {
	if !a.JSON {
		if err := a.Printf("%-40s %9s %9s %10s\n", "info-hash", "seeds", "leechers", "downloaded"); err != nil {
			return err
		}
	}
	for len(hashes) > 0 {
		batch := hashes[:min(len(hashes), tracker.MaxScrapeUDP)]
		hashes = hashes[len(batch):]
		entries, err := c.Scrape(ctx, url, batch)
		if err != nil {
			return trackerError(err)
		}
		if err := a.printScrape(url, batch, entries); err != nil {
			return err
		}
	}
	return nil
}

// printScrape prints the answer for each info-hash, in the order of hashes.
func (a *app) printScrape(url string, hashes []spate.InfoHash, entries []tracker.ScrapeEntry) error {
	said := map[spate.InfoHash]tracker.ScrapeEntry{}
	for _, e := range entries {
		said[e.InfoHash] = e
	}
	for _, ih := range hashes {
		e, ok := said[ih]
		var err error
		switch {
		case a.JSON:
			err = a.PrintJSON(scrapeResult{url, ih.String(), ok, e.Complete, e.Incomplete, e.Downloaded})
		case ok:
			err = a.Printf("%s %9d %9d %10d\n", ih, e.Complete, e.Incomplete, e.Downloaded)
		default:
			err = a.Printf("%s %s\n", ih, "  the tracker does not know it")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
