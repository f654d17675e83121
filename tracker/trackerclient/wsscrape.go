package trackerclient

import (
	"context"
	"errors"
	"net/url"

	"github.com/coder/websocket"

	"spate"
	"spate/tracker"
	"spate/tracker/wire"
)

// wsOthers is how many other messages a tracker may send before its reply to a scrape.
const wsOthers = 10

var errNoScrape = errors.New("it sends other messages than the reply to the scrape")

// scrapeWS asks a WebSocket tracker for the counts of torrents, over a connection of its own.
func (c *Client) scrapeWS(ctx context.Context, u *url.URL, hashes []spate.InfoHash) ([]tracker.ScrapeEntry, error) {
	conn, err := c.dialWS(ctx, u)
	if err != nil {
		return nil, err
	}
	defer conn.CloseNow()
	m := wire.WSRequest{Action: wire.WSScrape, InfoHash: hashes[0], Hashes: hashes}
	if err := conn.Write(ctx, websocket.MessageText, wire.AppendWSRequest(nil, &m)); err != nil {
		return nil, c.explain(ctx, u, err)
	}
	for range 1 + wsOthers {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return nil, c.explain(ctx, u, err)
		}
		var r wire.WSReply
		if err := wire.ParseWSReply(b, &r); err != nil {
			return nil, &AnswerError{URL: origin(u), Err: err}
		}
		switch {
		case r.Failure != "":
			return nil, &tracker.FailureError{Reason: r.Failure, Never: r.Never}
		case r.Action == wire.WSScrape:
			conn.Close(websocket.StatusNormalClosure, "")
			return r.Entries, nil
		}
	}
	return nil, &AnswerError{URL: origin(u), Err: errNoScrape}
}
