package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"spate/internal/netguard"

	"github.com/mholt/acmez/v3/acme"
)

// event prints what happens to the certificate of the address.
func (h *addressHTTPS) event(_ context.Context, event string, data map[string]any) error {
	h.mu.Lock()
	managed := h.managed
	h.mu.Unlock()
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtained":
		h.env.Log.Info("received a certificate", "for", name)
	case "cached_managed_cert":
		if u := h.url(); u != nil {
			h.mu.Lock()
			h.told = ""
			h.mu.Unlock()
			h.env.Notef("received a certificate for %s: the site is at %s too", managed, u)
		}
		h.settle()
	case "cert_failed":
		err, _ := data["error"].(error)
		if name == managed.String() {
			h.problem(explainRefusal(managed, err))
		}
	default:
		h.env.Log.Debug("certificate", "event", event, "name", name)
	}
	return nil
}

// problem prints why there is no certificate, once.
func (h *addressHTTPS) problem(what, advice string) {
	h.mu.Lock()
	again := h.told == what
	h.told = what
	h.mu.Unlock()
	if !again {
		h.env.Warnf("%s", what)
		if advice != "" {
			h.env.Notef("  %s", advice)
		}
	}
	h.settle()
}

// tellPrivate says that the address is none for which an authority issues certificates.
func (h *addressHTTPS) tellPrivate(a netip.Addr) {
	what := "no certificate: no address of this machine is known, and --https needs a public one"
	if a.IsValid() {
		what = fmt.Sprintf("no certificate: --https needs a public address, and %v is none", a)
		switch netguard.KindOf(a) {
		case netguard.Private:
			what = fmt.Sprintf("no certificate: --https needs a public address, and %v is one of a private network", a)
		case netguard.Loopback:
			what = fmt.Sprintf("no certificate: --https needs a public address, and %v is reached from this machine only", a)
		}
	}
	h.problem(what, "let the router pass the ports 443 and 80 to this machine, and name its address with --public-url http://ADDRESS:6969; the site stays at "+h.base().String())
}

// explainRefusal says in plain words why the authority issued no certificate for an address, and what
// helps.
func explainRefusal(a netip.Addr, err error) (what, advice string) {
	const again = "; it tries again"
	var p acme.Problem
	if !errors.As(err, &p) {
		return fmt.Sprintf("no certificate for %s yet: the authority did not answer as expected: %v", a, err), "check that this machine reaches the authority" + again
	}
	kind := p.Type[strings.LastIndexByte(p.Type, ':')+1:]
	detail := p.Detail
	switch kind {
	case "connection", "tls", "unauthorized", "incorrectResponse":
		return fmt.Sprintf("no certificate for %s yet: the authority does not reach spate there on port 443 or 80 (%s)", a, detail),
			"open these ports in the firewall, and let the router pass them to this machine" + again
	case "rejectedIdentifier", "unsupportedIdentifier", "malformed":
		return fmt.Sprintf("no certificate for %s: the authority issues none for this address (%s)", a, detail),
			"another authority may do so (--acme-ca), or use a name with --domain"
	case "invalidProfile":
		return fmt.Sprintf("no certificate for %s: the authority has no short-lived certificates (%s)", a, detail),
			"another authority may do so (--acme-ca), or use a name with --domain"
	case "rateLimited":
		return fmt.Sprintf("no certificate for %s yet: the authority received too many requests (%s)", a, detail), "wait" + again
	}
	return fmt.Sprintf("no certificate for %s yet: the authority refused: %s (%s)", a, detail, kind), "it tries again"
}
