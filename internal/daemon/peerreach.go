package daemon

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spate/internal/netguard"
	"spate/publish"
)

// peerReach finds out whether peers can connect at the host of the public URL. Behind a proxy
// or a firewall that passes only HTTP they cannot, and the torrents then need the site as a web
// seed. Only a failed connection to the peer port, at a host where the site is reached, counts.
// If neither is reached from here, nothing is known: many routers do not let a machine reach
// its own public address.
type peerReach struct {
	public *url.URL      // the public URL that the user gave; nil: the site and the peers have one address
	port   func() uint16 // returns the port that peers are told; 0: the session does not listen
	bind   netip.Addr
	now    func() time.Time
	notef  func(format string, args ...any)

	token   string      // last element of the path of a probe
	arrived atomic.Bool // a probe has reached this process since the check began

	turn    sync.Mutex   // held during a check
	checked time.Time    // time of the last check; guarded by turn
	reason  atomic.Value // string: why torrents need the web seed, or ""
}

const (
	reachPath  = "/reach/"       // path of a probe, before the token
	reachTime  = 3 * time.Second // limits each connection of a check
	reachValid = time.Minute     // how long the result of a check is used
)

func newPeerReach(env *Env, public *url.URL, bind netip.Addr, port func() uint16) *peerReach {
	return &peerReach{public: public, port: port, bind: bind, now: env.Now, notef: env.Notef, token: rand.Text()}
}

// handler answers the probes, and passes other requests to next.
func (p *peerReach) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, reachPath+p.token) {
			p.arrived.Store(true)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// shutOut returns why peers cannot connect although the site is reached, or "". It uses the
// result of an earlier check for a minute. It prints a note when peers turn out to be shut out.
func (p *peerReach) shutOut(ctx context.Context) string {
	p.turn.Lock()
	defer p.turn.Unlock()
	now := p.now()
	if !p.checked.IsZero() && now.Sub(p.checked) < reachValid {
		return p.known()
	}
	reason := p.check(ctx)
	if ctx.Err() != nil {
		return p.known()
	}
	if reason != "" && reason != p.known() {
		p.notef("%s: torrents name this site as a web seed", reason)
	}
	p.checked = now
	p.reason.Store(reason)
	return reason
}

// known returns the result of the last check.
func (p *peerReach) known() string {
	reason, _ := p.reason.Load().(string)
	return reason
}

// check connects to the peer port at the host of the public URL, and if that fails, to the site.
func (p *peerReach) check(ctx context.Context) string {
	port := p.port()
	if port == 0 {
		return "peers cannot connect to this machine"
	}
	if p.public == nil {
		return ""
	}
	dialer := netguard.Dialer{LocalAddr: p.bind, OnlyLoopback: p.bind.IsLoopback(), Timeout: reachTime}
	peers := net.JoinHostPort(p.public.Hostname(), strconv.Itoa(int(port)))
	conn, err := dialer.DialContext(ctx, netguard.ToChosen, "tcp", peers)
	if err == nil {
		conn.Close()
		return ""
	}
	if !p.siteReached(ctx, dialer) {
		return ""
	}
	return "peers cannot connect to " + peers + ", where the site is reached"
}

// siteReached reports whether a request for the public URL arrives in this process.
func (p *peerReach) siteReached(ctx context.Context, dialer netguard.Dialer) bool {
	client := netguard.NewClient(netguard.ClientOptions{Dialer: dialer})
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, publish.Absolute(p.public, reachPath+p.token), nil)
	if err != nil {
		return false
	}
	p.arrived.Store(false)
	answer, err := client.Get(req, netguard.ToChosen)
	if err == nil {
		answer.Body.Close()
	}
	return p.arrived.Load()
}
