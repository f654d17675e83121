package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDownloadInPage downloads releases in their pages, at an address that makes the page no
// secure context: over HTTP with a reload, from another page, beside one that lies, and to
// repair a damaged file.
func TestDownloadInPage(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	l := newLAN(t, 2)
	file := noise(t, filepath.Join(t.TempDir(), "system.iso"), 12_000_000)
	key := filepath.Join(t.TempDir(), "site.key")
	command(t, spateBin, "keys", "new", key)
	_, r := l.Hosts[0].serve("publish", file, "--piece-length", "16KiB", "--http-up", "0", "--no-webrtc", "--sign", key)
	base := "http://" + l.Hosts[0].IP + r.HTTPAddr[strings.LastIndexByte(r.HTTPAddr, ':'):]
	visit := l.Hosts[1].start("node", filepath.Join(tools, "download.mjs"), base+"/r/system.iso", file, os.Getenv("SPATE_SHOTS"))
	if code := visit.wait(); code != 0 {
		t.Errorf("download.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
}

// TestPageDownloadsFromSeed downloads a release in its page from the publisher's seed over WebRTC,
// with nothing over HTTP.
func TestPageDownloadsFromSeed(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	l := newLAN(t, 2)
	file := noise(t, filepath.Join(t.TempDir(), "system.iso"), 4_000_000)
	p, r := l.Hosts[0].serve("publish", file)
	base := "http://" + l.Hosts[0].IP + r.HTTPAddr[strings.LastIndexByte(r.HTTPAddr, ':'):]
	visit := l.Hosts[1].start("node", filepath.Join(tools, "download.mjs"), base+"/r/system.iso", file, "", "seed")
	if code := visit.wait(); code != 0 {
		t.Errorf("download.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
	p.line("a finished download", func(s string) bool { return strings.Contains(s, `"event":"finished"`) })
}

// TestDownloadInSecurePage downloads a release in its page over HTTPS, at an address that is not on
// loopback, from the publisher's seed and from another page.
func TestDownloadInSecurePage(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	l := newLAN(t, 2)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, l.Hosts[0].IP)
	file := noise(t, filepath.Join(dir, "system.iso"), 4_000_000)
	p, r := l.Hosts[0].serve("publish", file, "--piece-length", "16KiB", "--tls-cert", cert, "--tls-key", key)
	if !strings.HasPrefix(r.PageURL, "https://"+l.Hosts[0].IP) {
		t.Errorf("the page is at %s", r.PageURL)
	}
	visit := l.Hosts[1].start("node", filepath.Join(tools, "download.mjs"), r.PageURL, file, "", "secure")
	if code := visit.wait(); code != 0 {
		t.Errorf("download.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
	p.line("a finished download", func(s string) bool { return strings.Contains(s, `"event":"finished"`) })
}

// writeCertificate writes a certificate for an address, which nobody trusts, and its key.
func writeCertificate(t *testing.T, cert, key, addr string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IPAddresses: []net.IP{net.ParseIP(addr)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: b}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDownloadInFirefox downloads releases in their pages in Firefox: from the publisher's seed over
// WebRTC, over HTTP with a reload, and from another page.
func TestDownloadInFirefox(t *testing.T) {
	t.Parallel()
	need(t, "firefox-esr")
	tools := webTools(t)
	l := newLAN(t, 3)
	file := noise(t, filepath.Join(t.TempDir(), "system.iso"), 3_000_000)
	_, seed := l.Hosts[0].serve("publish", file)
	_, web := l.Hosts[1].serve("publish", file, "--piece-length", "16KiB", "--no-webrtc", "--up", "2M")
	visit := l.Hosts[2].start("node", filepath.Join(tools, "firefoxdownload.mjs"), seed.PageURL, web.PageURL, file)
	if code := visit.wait(); code != 0 {
		t.Errorf("firefoxdownload.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
}

// TestInterruptedPageDownload kills a browser during a download in a page, and gives another too
// little room. Both downloads go on with the stored pieces.
func TestInterruptedPageDownload(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	l := newLAN(t, 2)
	file := noise(t, filepath.Join(t.TempDir(), "system.iso"), 4_000_000)
	_, r := l.Hosts[0].serve("publish", file, "--piece-length", "16KiB", "--up", "2M")
	visit := l.Hosts[1].start("node", filepath.Join(tools, "interrupted.mjs"), r.PageURL, file)
	if code := visit.wait(); code != 0 {
		t.Errorf("interrupted.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
}

// TestPlayWhileDownloading plays music in a page while it comes, to its end.
func TestPlayWhileDownloading(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	l := newLAN(t, 2)
	file := noise(t, filepath.Join(t.TempDir(), "tone.wav"), 3_000_000)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	header := "RIFF\xb8\xc6\x2d\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x80\xbb\x00\x00\x00\xee\x02\x00\x04\x00\x10\x00data\x94\xc6\x2d\x00" // 48 kHz, 16 bits, two channels
	if _, err := f.WriteAt([]byte(header), 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	_, r := l.Hosts[0].serve("publish", file, "--piece-length", "16KiB", "--no-webrtc")
	visit := l.Hosts[1].start("node", filepath.Join(tools, "media.mjs"), r.PageURL)
	if code := visit.wait(); code != 0 {
		t.Errorf("media.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
}

// TestPageTakesRangesFromPeers downloads a release in its page: most of it over HTTP from a peer that
// got it before, and again beside a peer that sends wrong ranges.
func TestPageTakesRangesFromPeers(t *testing.T) {
	t.Parallel()
	tools := webTools(t)
	need(t, "curl")
	l := newLAN(t, 3)
	file := noise(t, filepath.Join(t.TempDir(), "system.iso"), 8_000_000)
	_, r := l.Hosts[0].serve("publish", file, "--no-webrtc")
	mirror := l.Hosts[1].spate("get", r.PageURL, "-o", t.TempDir(), "--seed", "forever", "--peer-port", "7001", "--json")
	mirror.line("the end of the download", func(s string) bool { return strings.Contains(s, `"event":"done"`) })
	seed := l.Hosts[1].IP + ":7001"
	eventually(t, "the peer serves ranges", func() bool {
		out := l.Hosts[2].start("curl", "-s", "-o", os.DevNull, "-w", "%{http_code}", "-H", "Range: bytes=0-99", "http://"+seed+"/piece-data/"+r.InfoHashV1)
		out.wait()
		return strings.Contains(out.out.String(), "206")
	})
	visit := l.Hosts[2].start("node", filepath.Join(tools, "ranges.mjs"), r.PageURL, file, r.InfoHashV1, r.AnnounceURLs[0], seed)
	if code := visit.wait(); code != 0 {
		t.Errorf("ranges.mjs reports errors:\n%s\n%s", visit.out.String(), tail(visit.log.String()))
	}
	t.Log(visit.out.String())
}
