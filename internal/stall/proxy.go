package stall

import (
	"spate/internal/proxy"
	"spate/torrent"
)

// atProxy returns the reason if the proxy that carries all connections is why nobody is connected. web says that the
// torrent names web seeds.
func atProxy(c *torrent.CandidateStats, trackers []torrent.TrackerStats, seeds []torrent.WebSeedStats, web bool, d DHT) (Reason, bool) {
	if d.Proxy == "" {
		return Reason{}, false
	}
	var down *proxy.Error
	for i := range trackers {
		if e := proxy.Failed(trackers[i].Err); e != nil {
			down = e
		}
	}
	for i := range seeds {
		if e := proxy.Failed(seeds[i].Err); e != nil {
			down = e
		}
	}
	const hint = "it goes on as soon as the proxy works; nothing is sent without it"
	switch {
	case c.NoProxy > 0 && c.NoProxy == failed(c), c.Known == 0 && down != nil:
		r := Reason{Cause: Proxy, Short: "the proxy fails", Text: "the proxy " + d.Proxy + " does not answer or ends all connections", Hint: hint}
		if down != nil {
			r.Text = down.Error()
		}
		return r, true
	case d.OnlyWeb && !web:
		return Reason{
			Cause: Proxy, Short: "no way to peers", Text: "the proxy " + d.Proxy + " has no way to peers: an http:// proxy is for trackers and web seeds",
			Hint: "a socks5:// proxy carries connections to peers too",
		}, true
	}
	return Reason{}, false
}
