package cli

import (
	"context"
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
	var bind addrValue
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:     "scrape URL HASH...",
		Short:   "ask a tracker how many seeds and leechers it counts",
		Long:    "Ask the tracker with this announce URL for its counts of torrents.",
		Example: "  spate scrape http://tracker.example.org:6969/announce 0123456789abcdef0123456789abcdef01234567",
		Args:    need(2, -1, "a tracker's announce URL and an info-hash"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.scrape(cmd.Context(), args[0], args[1:], bind, timeout)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&timeout, "timeout", 30*time.Second, "give up after this `TIME`")
	bindFlag(f, &bind)
	return cmd
}

func (a *app) scrape(ctx context.Context, url string, args []string, bind addrValue, timeout time.Duration) error {
	url = source.Unquote(url)
	hashes := make([]spate.InfoHash, len(args))
	for i, s := range args {
		var err error
		if hashes[i], err = parseHash(s); err != nil {
			return err
		}
	}
	c, err := trackerclient.New(trackerclient.Options{LocalAddr: bind.Addr, Timeout: timeout})
	if err != nil {
		return fault.Usagef("%w", err)
	}
	defer c.Close()
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
