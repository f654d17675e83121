package site

import (
	"spate"
	"spate/publish"
)

// Peers returns the tracker's numbers for a release, and whether the tracker knows it. Clients
// announce a hybrid to the swarm of its v1 hash, of its v2 hash, or to both. Their sum would count
// most clients twice, so Peers takes the larger count. It adds the swarm of the v1 torrent for older
// clients without the peers that are in both, which common returns. common may be nil.
func Peers(rel *publish.Release, swarm func(spate.InfoHash) (Swarm, bool), common func(a, b spate.InfoHash) Swarm) (n Swarm, known bool) {
	for _, ih := range rel.Hashes() {
		c, ok := swarm(ih)
		known = known || ok
		n = Swarm{max(n.Seeders, c.Seeders), max(n.Leechers, c.Leechers), max(n.Completed, c.Completed)}
	}
	if rel.Twin.Hash.IsZero() {
		return n, known
	}
	twin, ok := swarm(rel.Twin.Hash)
	if !ok {
		return n, known
	}
	var both Swarm
	if common != nil {
		both = common(rel.Twin.Hash, rel.Hash())
	}
	n.Seeders += max(0, twin.Seeders-both.Seeders)
	n.Leechers += max(0, twin.Leechers-both.Leechers)
	n.Completed += twin.Completed
	return n, true
}
