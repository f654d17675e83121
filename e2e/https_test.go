package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// acmeServer builds Pebble, an ACME server for tests, and its DNS server from the module in
// tools/. roots contains the root certificate of Pebble's own HTTPS.
func acmeServer(t *testing.T) (pebble, dns, certs string) {
	t.Helper()
	dir := t.TempDir()
	pebble, dns = filepath.Join(dir, "pebble"), filepath.Join(dir, "challtestsrv")
	for out, pkg := range map[string]string{pebble: "pebble", dns: "pebble-challtestsrv"} {
		c := exec.Command("go", "build", "-modfile=tools/go.mod", "-o", out, "github.com/letsencrypt/pebble/v2/cmd/"+pkg)
		c.Dir = ".."
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if b, err := c.CombinedOutput(); err != nil {
			missing(t, "Pebble, whose build failed ("+tail(string(b))+"),")
		}
	}
	c := exec.Command("go", "list", "-m", "-modfile=tools/go.mod", "-f", "{{.Dir}}", "github.com/letsencrypt/pebble/v2")
	c.Dir = ".."
	b, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return pebble, dns, filepath.Join(strings.TrimSpace(string(b)), "test", "certs")
}

// pebble starts Pebble on the host, which issues certificates for six days, and returns the file with
// the root of the certificates. It answers on loopback with the certificate of Pebble's module below certs.
func (h *host) pebble(bin, certs string, args ...string) (p *proc, roots string) {
	return h.pebbleAt("127.0.0.1", filepath.Join(certs, "localhost", "cert.pem"), filepath.Join(certs, "localhost", "key.pem"), bin, args...)
}

// pebbleAt starts Pebble at an address, with the certificate and the key of its own HTTPS.
func (h *host) pebbleAt(addr, cert, key, bin string, args ...string) (p *proc, roots string) {
	t := h.t
	t.Helper()
	config := filepath.Join(t.TempDir(), "pebble.json")
	b, _ := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": addr + ":14000", "managementListenAddress": "127.0.0.1:15000", "httpPort": 80, "tlsPort": 443,
		"certificate": cert, "privateKey": key,
		"profiles": map[string]any{"shortlived": map[string]any{"description": "six days", "validityPeriod": 6 * 24 * 3600}},
	}})
	if err := os.WriteFile(config, b, 0o644); err != nil {
		t.Fatal(err)
	}
	p = h.start("env", append([]string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", bin, "-config", config}, args...)...)
	roots = filepath.Join(t.TempDir(), "roots.pem")
	eventually(t, "Pebble answers", func() bool {
		return exec.Command("ip", "netns", "exec", h.ns, "curl", "-fsk", "-o", roots, "https://127.0.0.1:15000/roots/0").Run() == nil
	})
	return p, roots
}

// TestDomain publishes with --domain. The certificate comes from an ACME server that
// validates the machine over TLS or HTTP, as Let's Encrypt does.
func TestDomain(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	pebble, dns, certs := acmeServer(t)
	l := newLAN(t, 2)
	h, visitor := l.Hosts[0], l.Hosts[1]
	const name = "files.example.org"

	h.start(dns, "-defaultIPv4", h.IP, "-defaultIPv6", "", "-dnsserver", "127.0.0.1:8053", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", "127.0.0.1:8055")
	_, roots := h.pebble(pebble, certs, "-dnsserver", "127.0.0.1:8053")

	file := noise(t, filepath.Join(t.TempDir(), "a.iso"), 3_000_000)
	p, r := h.serve("publish", file, "--domain", name, "--acme-ca", "https://127.0.0.1:14000/dir", "--acme-ca-roots", filepath.Join(certs, "pebble.minica.pem"))
	if want := "https://" + name + "/r/a.iso"; r.PageURL != want {
		t.Errorf("the page is at %s, want %s", r.PageURL, want)
	}
	if len(r.AnnounceURLs) != 2 || r.AnnounceURLs[0] != "https://"+name+"/announce" || r.AnnounceURLs[1] != "udp://"+name+":443/announce" {
		t.Errorf("the announce URLs are %q, want one for HTTPS and one for UDP with the domain", r.AnnounceURLs)
	}
	eventually(t, "a certificate", func() bool {
		return strings.Contains(p.log.String(), "received a certificate for "+name)
	})

	curl := func(args ...string) string {
		t.Helper()
		return visitor.start("curl", append([]string{"-s", "--cacert", roots, "--connect-to", name + "::" + h.IP + ":"}, args...)...).ok().out.String()
	}
	if got := curl("-o", os.DevNull, "-w", "%{http_version} %{http_code}", r.PageURL); got != "2 200" {
		t.Errorf("HTTP version and status of the page: %q, want HTTP/2 and 200", got)
	}
	head := strings.ToLower(curl("-I", r.PageURL))
	for _, want := range []string{"strict-transport-security: max-age=", "content-security-policy: default-src 'none'", "x-content-type-options: nosniff"} {
		if !strings.Contains(head, want) {
			t.Errorf("the page does not contain %q:\n%s", want, head)
		}
	}
	if got := curl("-o", os.DevNull, "-w", "%{http_code} %{redirect_url}", "http://"+name+"/r/a.iso?x=1"); got != "308 https://"+name+"/r/a.iso?x=1" {
		t.Errorf("plain HTTP answers %q, want a redirect to HTTPS", got)
	}

	// Download as other users do, with host names and certificates.
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte(h.IP+" "+name+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	visitor.start("sh", "-c", `mount --bind "$1" /etc/hosts && shift && exec "$@"`, "sh", hosts,
		"env", "SSL_CERT_FILE="+roots, spateBin, "get", r.PageURL, "-o", out, "--state", t.TempDir()).ok()
	if !same(file, filepath.Join(out, "a.iso")) {
		t.Error("the downloaded file differs")
	}
}

// TestHTTPSAtAddress publishes with --https. The certificate is for the address of the machine, IPv4 or
// IPv6, and lies in the state directory: a restart needs no authority. The authority validates the
// address over TLS, or over plain HTTP if port 443 leads elsewhere.
func TestHTTPSAtAddress(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	pebble, _, certs := acmeServer(t)
	l := newLAN(t, 2)
	h, visitor := l.Hosts[0], l.Hosts[1]
	authority, roots := h.pebble(pebble, certs)
	file := noise(t, filepath.Join(t.TempDir(), "a.iso"), 3_000_000)
	ca := []string{"--https", "--acme-ca", "https://127.0.0.1:14000/dir", "--acme-ca-roots", filepath.Join(certs, "pebble.minica.pem")}
	curl := func(args ...string) string {
		t.Helper()
		return visitor.start("curl", append([]string{"-gs", "--cacert", roots, "-o", os.DevNull, "-w", "%{http_version} %{http_code}"}, args...)...).ok().out.String()
	}

	state := t.TempDir()
	for _, c := range []struct {
		name string
		host string
		args []string
	}{
		{"IPv4 by TLS", h.IP, []string{"--state", state, "--redirect", "off"}},
		{"IPv6 by HTTP", "[" + h.IP6 + "]", []string{"--state", t.TempDir(), "--https-listen", ":8443", "--public-url", "http://[" + h.IP6 + "]:6969"}},
		{"restart", h.IP, []string{"--state", state, "--redirect", "off"}},
	} {
		if c.name == "restart" {
			authority.stop(syscall.SIGKILL)
		}
		p, r := h.serve(slices.Concat([]string{"publish", file}, ca, c.args)...)
		site, plain := "https://"+c.host, "http://"+c.host+":6969"
		if strings.Contains(c.name, "HTTP") {
			site += ":8443"
		}
		if r.PageURL != site+"/r/a.iso" {
			t.Errorf("%s: the page is at %s, not at %s", c.name, r.PageURL, site)
		}
		if len(r.AnnounceURLs) == 0 || r.AnnounceURLs[0] != plain+"/announce" {
			t.Errorf("%s: torrents name the trackers %q, want first the one of plain HTTP", c.name, r.AnnounceURLs)
		}
		if got := curl(r.PageURL); got != "2 200" {
			t.Errorf("%s: HTTP version and status of the page: %q, want HTTP/2 and 200", c.name, got)
		}
		if got := curl(plain + "/r/a.iso"); got != "1.1 200" {
			t.Errorf("%s: plain HTTP answers %q, want HTTP/1.1 and 200", c.name, got)
		}
		out := t.TempDir()
		visitor.start("env", "SSL_CERT_FILE="+roots, spateBin, "get", r.PageURL, "-o", out, "--state", t.TempDir()).ok()
		if !same(file, filepath.Join(out, "a.iso")) {
			t.Errorf("%s: the downloaded file differs", c.name)
		}
		p.stop(syscall.SIGTERM)
	}
}

// TestHTTPSBehindHomeRouter publishes with --https in a home whose router maps ports above 1023 only, and
// port 443 to such a port: the page has a certificate for the address of the router.
func TestHTTPSBehindHomeRouter(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	pebble, _, _ := acmeServer(t)
	on := newHomes(t, "o:upnp")
	const authority, home = "44.1.0.10", "44.1.1.1"
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, authority)
	_, roots := on("srv").pebbleAt(authority, cert, key, pebble)
	file := noise(t, filepath.Join(dir, "a.iso"), 300_000)
	args := []string{"publish", file, "--https", "--acme-ca", "https://" + authority + ":14000/dir", "--acme-ca-roots", cert, "--redirect", "off"}

	// The router can be slow, so that the addresses follow after the ready line.
	answers := func(url string) func() bool {
		return func() bool {
			p := on("srv2").start("curl", "-s", "-m", "10", "--cacert", roots, "-o", os.DevNull, "-w", "%{http_code}", url)
			p.wait()
			return p.out.String() == "200"
		}
	}
	p, _ := on("o1").serve(args...)
	eventually(t, "the page answers over HTTPS on the internet", answers("https://"+home+"/r/a.iso"))
	eventually(t, "the page answers over plain HTTP on the internet", answers("http://"+home+":6969/r/a.iso"))
	eventually(t, "a note", func() bool { return strings.Contains(p.log.String(), "the site is at https://"+home+" too") })
	if n := strings.Count(mappings(t, on("o-gw")), "\n"); n != 5 {
		t.Errorf("the router maps %d ports, want TCP and UDP of 2, and HTTPS", n)
	}
	p.interrupt()
	if left := mappings(t, on("o-gw")); left != "" {
		t.Errorf("the router still maps\n%s", left)
	}
}
