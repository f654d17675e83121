package daemon

import (
	"context"

	"spate/publish"
	"spate/site"
)

// Story sums up the downloads of all releases of a publisher.
type Story struct {
	Downloading int   // leechers in the swarms
	Sent        int64 // bytes that this machine has sent to peers and over HTTP
	publish.Delivery
}

// Story returns the story of the releases so far. It reads the swarms of all releases.
func (p *Publisher) Story(ctx context.Context) (Story, error) {
	var s Story
	list, _, err := p.publisher.Catalog().List(ctx, publish.Query{All: true})
	for _, r := range list {
		n, _ := site.Peers(r, p.Swarm, p.Common)
		c := p.Totals(r)
		s.Downloading += n.Leechers
		s.Sent += c.OriginBytes()
		s.Delivery = s.Delivery.Add(c.Delivery(r.Size, r.NumFiles))
	}
	return s, err
}
