package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// useImage unpacks the container image like a container engine, and runs it in a chroot
// directory.
func useImage(t *testing.T, path, head string) {
	need(t, "chroot", "curl")
	l := newLAN(t, 1)
	h := l.Hosts[0]
	blobs := untar(t, path)
	var index, manifest struct {
		Manifests []struct{ Digest string }
		Layers    []struct{ Digest string }
		Config    struct{ Digest string }
	}
	var config struct {
		Config struct {
			User       string
			Entrypoint []string
			Cmd        []string
			Env        []string
			Labels     map[string]string
			Health     struct{ Test []string } `json:"Healthcheck"`
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	blob := func(digest string) []byte {
		t.Helper()
		b := blobs["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")]
		if sum := sha256.Sum256(b); "sha256:"+hex.EncodeToString(sum[:]) != digest {
			t.Fatalf("the blob %s has another digest", digest)
		}
		return b
	}
	parse := func(b []byte, v any) {
		t.Helper()
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("decoding %s: %v", b, err)
		}
	}
	parse(blobs["index.json"], &index)
	parse(blob(index.Manifests[0].Digest), &manifest)
	parse(blob(manifest.Config.Digest), &config)
	root := t.TempDir()
	os.Chmod(root, 0o755)
	zr, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0].Digest)))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(layer); "sha256:"+hex.EncodeToString(sum[:]) != config.Rootfs.DiffIDs[0] {
		t.Error("the layer does not have the digest in the configuration")
	}
	c := exec.Command("tar", "-x", "-p", "--same-owner", "-C", root)
	c.Stdin = bytes.NewReader(layer)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("unpacking the layer: %v\n%s", err, out)
	}
	chroot, err := exec.LookPath("chroot") // the PATH of the image does not contain it
	if err != nil {
		t.Fatal(err)
	}
	var env []string // of docker run
	run := func(args ...string) *proc {
		t.Helper()
		chrooted := []string{chroot, "--userspec=" + config.Config.User, root}
		return h.in(t).start("env", slices.Concat([]string{"-i"}, quiet, config.Config.Env, env, chrooted, config.Config.Entrypoint, args)...)
	}
	if got := config.Config.Labels["org.opencontainers.image.revision"]; got != head {
		t.Errorf("the image has the revision %q, want %s", got, head)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("the image runs as user %q, want 65532:65532", config.Config.User)
	}
	if got := run("version").ok().out.String(); !strings.Contains(got, head[:12]) {
		t.Errorf("spate version in the image does not print the commit: %s", got)
	}
	noise(t, filepath.Join(root, "data", "x.iso"), 100_000)
	os.Chmod(filepath.Join(root, "data", "x.iso"), 0o644)
	// The address of a container is no address for others, so that it must be named.
	run(config.Config.Cmd...).fails(2, "SPATE_PUBLIC_URL=http://HOST:6969")
	env = []string{"SPATE_PUBLIC_URL=http://" + h.IP + ":6969"}
	p := run(append(config.Config.Cmd, "--json")...)
	p.line("the daemon", func(s string) bool { return strings.Contains(s, `"ready"`) })
	page := fmt.Sprintf("http://%s:6969/r/x.iso", h.IP)
	eventually(t, "the file in /data has a page", func() bool {
		return exec.Command("ip", "netns", "exec", h.ns, "curl", "-sf", "-o", "/dev/null", page).Run() == nil
	})
	if test := config.Config.Health.Test; len(test) < 2 || test[0] != "CMD" || test[1] != config.Config.Entrypoint[0] {
		t.Errorf("the health check is %q", test)
	} else {
		run(test[2:]...).ok()
	}
	p.stop(syscall.SIGTERM)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the daemon in the image exited with code %d:\n%s", code, p.log)
	}
}

// untar returns the contents of the files of an archive by name.
func untar(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	var names []string
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = b
		names = append(names, h.Name)
	}
	if !slices.IsSorted(names) {
		t.Errorf("the names in %s are not sorted: %q", path, names)
	}
	return all
}
