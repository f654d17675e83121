package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// useRPM installs the package with rpm on a machine, verifies its files, and removes it.
func useRPM(t *testing.T, path, head string) {
	need(t, "rpm")
	m := newMachine(t, newLAN(t, 1).Hosts[0])
	inside := m.copy(path)
	// Debian's rpm has no database of dependencies, and asks for this flag.
	m.run("rpm", "--install", "--nodeps", "--force-debian", inside)
	if got := m.run("spate", "version"); !strings.Contains(got, "commit "+head[:12]) {
		t.Errorf("spate version does not print the commit: %s", got)
	}
	m.run("rpm", "--verify", "--nodeps", "spate")
	m.hasDocuments()
	if got := m.run("rpm", "--query", "--queryformat", "%{PACKAGER}, %{URL}, %{LICENSE}", "spate"); !strings.Contains(got, "Pat Example <pat@example.org>, https://example.org/spate, Apache-2.0") {
		t.Errorf("the package has another maintainer, homepage or license: %s", got)
	}
	m.run("getent", "passwd", "spate") // the script after the installation adds the user
	if err := os.WriteFile(m.root+"/etc/spate/spate.toml", []byte("# changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.run("rpm", "--install", "--replacepkgs", "--nodeps", "--force-debian", inside)
	if b, err := os.ReadFile(m.root + "/etc/spate/spate.toml"); err != nil || string(b) != "# changed\n" {
		t.Errorf("installing the package again changed its settings: %q, %v", b, err)
	}
	m.run("rpm", "--erase", "--nodeps", "--force-debian", "spate")
	for _, gone := range []string{"usr/bin/spate", "usr/share/man/man5/spate.toml.5.gz", "usr/share/doc/spate/README.md"} {
		if _, err := os.Lstat(filepath.Join(m.root, gone)); err == nil {
			t.Errorf("removing the package left /%s", gone)
		}
	}
}

// useAPK checks the parts of the package as apk reads them: a compressed archive with the control
// files, which contain the hash of the second one with the data. Debian has no apk that could
// install it.
func useAPK(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	control, rest := apkPart(t, b)
	data, rest := apkPart(t, rest)
	if len(rest) > 0 {
		t.Fatalf("the package has %d more bytes", len(rest))
	}
	info := string(control.files[".PKGINFO"])
	for _, want := range []string{"pkgname = spate\n", "maintainer = Pat Example <pat@example.org>\n", "url = https://example.org/spate\n", "datahash = " + data.hash + "\n"} {
		if !strings.Contains(info, want) {
			t.Errorf(".PKGINFO does not contain %q:\n%s", want, info)
		}
	}
	for name, text := range map[string][]byte{"post-install": control.files[".post-install"], "pre-deinstall": control.files[".pre-deinstall"], "spate.initd": data.files["etc/init.d/spate"]} {
		sh := exec.Command("sh", "-n")
		sh.Stdin = bytes.NewReader(text)
		if out, err := sh.CombinedOutput(); err != nil || len(text) == 0 {
			t.Errorf("the script %s: %v\n%s", name, err, out)
		}
	}
	for _, name := range []string{"usr/bin/spate", "usr/share/man/man5/spate.toml.5.gz", "usr/share/doc/spate/README.md", "etc/spate/spate.toml"} {
		if len(data.files[name]) == 0 {
			t.Errorf("the package has no %s", name)
		}
	}
}

// archivePart is one of the compressed archives in a package of Alpine.
type archivePart struct {
	hash  string // SHA-256 of the compressed bytes
	files map[string][]byte
}

// apkPart reads the first compressed archive in b and returns it with the bytes after it.
func apkPart(t *testing.T, b []byte) (part archivePart, rest []byte) {
	t.Helper()
	in := bytes.NewReader(b) // gzip reads no further than the end of the archive from a ByteReader
	zr, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	zr.Multistream(false)
	all, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	part.files = map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(all)); ; {
		h, err := r.Next()
		if err != nil {
			break // the archive of the control files has no end
		}
		if part.files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	rest = b[len(b)-in.Len():]
	hash := sha256.Sum256(b[:len(b)-len(rest)])
	part.hash = hex.EncodeToString(hash[:])
	return part, rest
}

// checkBill checks the bill of materials of the program.
func checkBill(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		BOMFormat    string `json:"bomFormat"`
		SerialNumber string `json:"serialNumber"`
		Components   []struct {
			Ref     string `json:"bom-ref"`
			Name    string
			Version string
			PURL    string `json:"purl"`
		}
		Dependencies []struct {
			Ref       string
			DependsOn []string `json:"dependsOn"`
		}
	}
	if err := json.Unmarshal(b, &bill); err != nil || bill.BOMFormat != "CycloneDX" || !strings.HasPrefix(bill.SerialNumber, "urn:uuid:") {
		t.Errorf("the bill of materials: %v\n%.300s", err, b)
	}
	found := map[string]string{}
	for _, c := range bill.Components {
		found[c.Name] = c.Version
		if !strings.HasPrefix(c.PURL, "pkg:golang/") || c.Version == "" {
			t.Errorf("the component %+v has no version or package URL", c)
		}
	}
	for _, name := range []string{"stdlib", "modernc.org/sqlite", "aead.dev/minisign"} {
		if found[name] == "" {
			t.Errorf("the bill of materials does not contain %s", name)
		}
	}
	if len(bill.Dependencies) != 1 || len(bill.Dependencies[0].DependsOn) != len(bill.Components) {
		t.Error("the bill of materials does not say what the program depends on")
	}
}
