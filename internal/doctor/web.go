package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"spate"
	"spate/internal/netguard"
	"spate/internal/proxy"
)

// Limits of a request.
const (
	dialTimeout    = 10 * time.Second
	requestTimeout = 20 * time.Second
	maxHeaderBytes = 64 << 10
)

// Web makes requests to web servers for checks. Close it after use. Its methods are safe for
// concurrent use.
type Web struct {
	now    func() time.Time
	client *netguard.Client
	via    proxy.Chooser
	roots  *x509.CertPool // the trusted certificates; nil: those of the system
}

// NewWeb returns a Web whose connections come from bind, if it is valid, and go through the proxies that via
// chooses, if it is not nil. A nil resolver is that of package net.
func NewWeb(bind netip.Addr, names *net.Resolver, now func() time.Time, via proxy.Chooser) *Web {
	w := &Web{now: now, via: via}
	w.client = netguard.NewClient(netguard.ClientOptions{
		Dialer: netguard.Dialer{LocalAddr: bind, OnlyLoopback: bind.IsLoopback(), Resolver: names, Timeout: dialTimeout, Proxy: via},
		Transport: func() *http.Transport {
			return &http.Transport{
				DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true,
				TLSClientConfig: &tls.Config{RootCAs: w.roots}, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: requestTimeout, MaxResponseHeaderBytes: maxHeaderBytes,
			}
		},
	})
	return w
}

// Close closes the connections.
func (w *Web) Close() { w.client.Close() }

// reply is the header of an answer and the beginning of its body.
type reply struct {
	status int
	header http.Header
	length int64    // Content-Length; -1: unknown
	at     *url.URL // after redirects
	body   []byte
	ends   time.Time // when the first certificate of the chain ends; zero: no TLS
	clock  []ServerTime
}

// ask sends a request and reads at most limit bytes of the body.
func (w *Web) ask(ctx context.Context, method, rawURL string, within netguard.Reach, limit int64, header ...string) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, rawURL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "spate/"+spate.Version)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	answer, err := w.client.Get(req, within)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	r := &reply{status: answer.StatusCode, header: answer.Header, length: answer.ContentLength, at: answer.Request.URL}
	if t, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		r.clock = []ServerTime{{Host: r.at.Host, Theirs: t, Ours: w.now()}}
	}
	if answer.TLS != nil {
		r.ends = endOf(answer.TLS.VerifiedChains)
	}
	r.body, err = io.ReadAll(io.LimitReader(answer.Body, limit))
	return r, err
}

// endOf returns when the chain of certificates ends that is valid longest, or the zero time without
// chains. Other certificates of the server, such as those for old clients, may have expired.
func endOf(chains [][]*x509.Certificate) (last time.Time) {
	for _, chain := range chains {
		var end time.Time
		for _, c := range chain {
			if end.IsZero() || c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}

// soon is the time before the end of a certificate in which it should have been renewed. Those of
// Let's Encrypt are renewed 30 days before.
const soon = 14 * 24 * time.Hour

// certificate judges the certificate of an answer. It returns nothing without TLS.
func (r *reply) certificate(now time.Time) []Finding {
	switch {
	case r.ends.IsZero():
		return nil
	case r.ends.Before(now.Add(soon)):
		return []Finding{about("certificate", r.at.Host, "its certificate ends on %s", day(r.ends)).as(Warn, "its operator must renew the certificate; its automatic renewal seems to fail")}
	}
	return []Finding{about("certificate", r.at.Host, "its certificate is valid until %s", day(r.ends))}
}

// badStatus returns the finding about an answer with another status than those in want, or nil.
func (r *reply) badStatus(check, subject, what string, want ...int) []Finding {
	for _, s := range want {
		if r.status == s {
			return nil
		}
	}
	advice := "check the server's log and settings"
	switch r.status {
	case http.StatusNotFound, http.StatusGone:
		advice = "put it there, or correct the URL"
	case http.StatusUnauthorized, http.StatusForbidden:
		advice = "allow everybody to read it"
	}
	return []Finding{about(check, subject, "%s: the server answered %d %s", what, r.status, http.StatusText(r.status)).as(Fail, advice)}
}

// maxPageBody is the number of bytes of a page that are read to see that it arrives.
const maxPageBody = 64 << 10

// Page checks the page of a release at a URL that the user gave.
func (w *Web) Page(ctx context.Context, rawURL string) ([]Finding, []ServerTime) {
	r, err := w.ask(ctx, http.MethodGet, rawURL, netguard.ToChosen, maxPageBody, "Accept", "text/html, */*;q=0.5")
	if err != nil {
		return []Finding{failed("page", redacted(rawURL), "the page cannot be read", err, w.now())}, nil
	}
	if bad := r.badStatus("page", redacted(rawURL), "the page", http.StatusOK); bad != nil {
		return append(bad, r.certificate(w.now())...), r.clock
	}
	return append([]Finding{about("page", redacted(rawURL), "the page answers")}, r.certificate(w.now())...), r.clock
}

// torrentType is the media type of a .torrent.
const torrentType = "application/x-bittorrent"

// TorrentFile checks how a server sends the .torrent at a URL that the user gave or that his page
// names.
func (w *Web) TorrentFile(ctx context.Context, rawURL string) ([]Finding, []ServerTime) {
	name := redacted(rawURL)
	r, err := w.ask(ctx, http.MethodGet, rawURL, netguard.ToChosen, 1)
	if err != nil {
		return []Finding{failed("torrent-type", name, "the .torrent cannot be read", err, w.now())}, nil
	}
	if bad := r.badStatus("torrent-type", name, "the .torrent", http.StatusOK); bad != nil {
		return bad, r.clock
	}
	got := r.header.Get("Content-Type")
	if kind, _, err := mime.ParseMediaType(got); err == nil && kind == torrentType {
		return []Finding{about("torrent-type", name, "the .torrent has the type %s", torrentType)}, r.clock
	}
	if got == "" {
		got = "none"
	}
	return []Finding{about("torrent-type", name, "the .torrent has the type %s, so that browsers show it instead of passing it to a BitTorrent client", got).
		as(Warn, "let the server send .torrent files as "+torrentType)}, r.clock
}

// redacted returns a URL without its password.
func redacted(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return strings.ToValidUTF8(rawURL, "\ufffd")
	}
	return u.Redacted()
}
