package cli

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"spate/internal/daemon"
	"spate/internal/fault"
)

// tlsFlags are the flags of HTTPS: with a certificate in files, or with a certificate for a
// domain or for the address of this machine from an ACME authority.
type tlsFlags struct {
	cert, key string
	domain    string
	https     bool
	listen    string
	given     bool // --https-listen or --redirect is given
	email     string
	ca        string
	caRoots   string
	redirect  string
}

func (t *tlsFlags) add(f *pflag.FlagSet) {
	t.addFiles(f)
	f.StringVar(&t.domain, "domain", "", "serve HTTPS for `NAME` on :443 with an automatic certificate")
	f.BoolVar(&t.https, "https", false, "serve HTTPS too, with a certificate for the address")
	f.StringVar(&t.listen, "https-listen", ":443", "with --https: serve HTTPS on this `ADDR`")
	f.StringVar(&t.redirect, "redirect", ":80", "redirect HTTP on this `ADDR` to HTTPS, or off")
	f.StringVar(&t.email, "acme-email", "", "give the authority this mail `ADDRESS`")
	f.StringVar(&t.ca, "acme-ca", "", "get certificates from this directory `URL` (default: Let's Encrypt)")
	f.StringVar(&t.caRoots, "acme-ca-roots", "", "verify that authority with the roots in this `FILE`")
}

func (t *tlsFlags) addFiles(f *pflag.FlagSet) {
	f.StringVar(&t.cert, "tls-cert", "", "serve HTTPS with the certificate in this `FILE`")
	f.StringVar(&t.key, "tls-key", "", "read the key of the certificate from this `FILE`")
}

// prepare checks the flags, and sets --listen and --public-url if --domain is given.
// given reports whether a flag is on the command line.
func (t *tlsFlags) prepare(l *listenFlags, publicURL *string, given func(flag string) bool) error {
	if t.https {
		t.given = given("https-listen") || given("redirect")
		return t.checkAddress(*publicURL)
	}
	if t.domain == "" {
		return t.checkFiles()
	}
	if t.cert != "" || t.key != "" {
		return fault.Usagef("--domain gets a certificate automatically: leave out --tls-cert and --tls-key")
	}
	if !daemon.ValidDomain(t.domain) {
		return fault.UsageHint("write it as files.example.org", "--domain %s: no certificate can be issued for this name", t.domain)
	}
	if !given("listen") {
		l.listen = ":443"
	}
	if *publicURL == "" {
		u := url.URL{Scheme: "https", Host: t.domain}
		if _, port, err := net.SplitHostPort(l.listen); err == nil && port != "443" && port != "0" {
			u.Host = net.JoinHostPort(t.domain, port)
		}
		*publicURL = u.String()
	}
	return nil
}

// checkAddress returns an error if --https is given with another kind of certificate, or if the public
// URL is none of an address over plain HTTP.
func (t *tlsFlags) checkAddress(public string) error {
	if t.domain != "" || t.cert != "" || t.key != "" {
		return fault.Usagef("--https gets a certificate for the address of this machine: leave out --domain, --tls-cert and --tls-key")
	}
	if public == "" {
		return nil
	}
	u, err := daemon.ParsePublicURL(public)
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		return fault.UsageHint("use --domain "+u.Hostname()+" instead", "--https gets a certificate for an address, and --public-url names %s", u.Hostname())
	}
	if u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return fault.UsageHint("write it as http://203.0.113.5:6969", "--https serves HTTPS beside plain HTTP, and --public-url names the latter, without a path")
	}
	return nil
}

// checkFiles returns an error if only one of --tls-cert and --tls-key is given.
func (t *tlsFlags) checkFiles() error {
	if (t.cert == "") != (t.key == "") {
		return fault.Usagef("give both --tls-cert and --tls-key, or neither")
	}
	return nil
}

// config converts the flags.
func (t *tlsFlags) config(bind netip.Addr) (c daemon.HTTPSConfig, err error) {
	c = daemon.HTTPSConfig{CertFile: t.cert, KeyFile: t.key, Domain: t.domain, Email: t.email, CA: t.ca, CARoots: t.caRoots}
	if t.https {
		c.AnyPort = !t.given
		if c.Address, err = bound("--https-listen", t.listen, "443", bind); err != nil {
			return c, err
		}
	}
	if (t.domain != "" || t.https) && t.redirect != "" && !strings.EqualFold(t.redirect, off) {
		c.Redirect, err = bound("--redirect", t.redirect, "80", bind)
	}
	return c, err
}
