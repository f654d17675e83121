package site

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spate"
	"spate/internal/ratelimit"
	"spate/publish"
)

// archived lists a tree with the given files, by path.
func (f fixture) archived(t testing.TB, name string, files map[string]string) *publish.Release {
	t.Helper()
	for path, data := range files {
		at := filepath.Join(f.dir, name, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return sample(t, f.catalog, filepath.Join(f.dir, name), nil)
}

var zipSamples = map[string]string{"a.txt": "hello", "empty": "", "dir/söhne & <b>.bin": strings.Repeat("0123456789", 30), "dir/sub/z": "z"}

// TestZip checks the archive of a tree with three programs that read archives.
func TestZip(t *testing.T) {
	t.Parallel()
	var archives, direct atomic.Int32
	f := newFixture(t, Options{Archive: func(spate.InfoHash) { archives.Add(1) }, Direct: func(spate.InfoHash) { direct.Add(1) }})
	f.archived(t, "My tree", zipSamples)
	resp := f.get("GET", "/z/My%20tree.zip")
	data := body(t, resp)
	body(t, f.get("HEAD", "/z/My%20tree.zip"))
	if archives.Load() != 1 || direct.Load() != 0 {
		t.Errorf("%d archives and %d files counted, want 1 and 0", archives.Load(), direct.Load())
	}
	h := resp.Header
	if resp.StatusCode != 200 || h.Get("Content-Type") != "application/zip" || h.Get("Content-Disposition") != `attachment; filename="My tree.zip"` || h.Get("Accept-Ranges") != "bytes" ||
		h.Get("Content-Length") != fmt.Sprint(len(data)) || !strings.HasPrefix(h.Get("ETag"), `"`) || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Fatalf("the archive: %s, %v", resp.Status, h)
	}
	r, err := zip.NewReader(strings.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range r.File {
		in, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in) // it checks the checksum and the descriptor
		want, ok := zipSamples[strings.TrimPrefix(file.Name, "My tree/")]
		if string(got) != want || err != nil || !ok || file.Mode() != 0o644 || !file.Modified.Equal(sampleTime) || file.NonUTF8 {
			t.Errorf("the archive has %q with %.20q, %v, %v", file.Name, got, err, file.FileHeader)
		}
	}
	if len(r.File) != len(zipSamples) {
		t.Errorf("the archive has %d files, want %d", len(r.File), len(zipSamples))
	}
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, line := range [][]string{
		{"unzip", "-tq", path}, {"7z", "t", path}, {"bsdtar", "-tf", path},
		{"python3", "-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); sys.exit(z.testzip() is not None or len(z.namelist()) != 4)", path},
	} {
		if _, err := exec.LookPath(line[0]); err != nil {
			t.Logf("%s is not installed", line[0])
		} else if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", line, err, out)
		}
	}
	for path, want := range map[string]int{"/z/My%20tree": 404, "/z/none.zip": 404} {
		if resp := f.get("GET", path); resp.StatusCode != want {
			t.Errorf("%s gave %s, want %d", path, resp.Status, want)
		}
	}
	f.release(t, "one.iso", 10)
	if resp := f.get("GET", "/z/one.iso.zip"); resp.StatusCode != 303 || resp.Header.Get("Location") != "/d/one.iso" {
		t.Errorf("the archive of a single file gave %s to %q", resp.Status, resp.Header.Get("Location"))
	}
}

// TestZipResumes resumes an archive at every offset: in local headers, data, descriptors, the central
// directory and its end. The second round asks a site that knows no checksums.
func TestZipResumes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	rel := f.archived(t, "tree", zipSamples)
	first := f.get("GET", "/z/tree.zip")
	whole, tag := body(t, first), first.Header.Get("ETag")
	parts := map[zipPart]int{}
	layout := newZipLayout(rel)
	for off := range len(whole) {
		part, _, _ := layout.locate(int64(off))
		parts[part]++
		if parts[part]%7 == 1 {
			f.crcs = crcs{} // as after a restart
		}
		resp := f.get("GET", "/z/tree.zip", "Range", fmt.Sprintf("bytes=%d-", off), "If-Range", tag)
		if got := body(t, resp); resp.StatusCode != 206 || got != whole[off:] {
			t.Fatalf("resumed at %d of %d, in part %d: %s with %d bytes, want the rest", off, len(whole), part, resp.Status, len(got))
		}
	}
	if len(parts) != 5 {
		t.Errorf("the archive has the parts %v, want all five kinds", parts)
	}
	if got := body(t, f.get("GET", "/z/tree.zip", "Range", "bytes=0-3,-22")); !strings.Contains(got, "PK\x05\x06") {
		t.Errorf("two ranges gave %q", got)
	}
	if resp := f.get("GET", "/z/tree.zip", "Range", "bytes=5-", "If-Range", `"other"`); resp.StatusCode != 200 || body(t, resp) != whole {
		t.Errorf("another ETag gave %s, want the whole archive", resp.Status)
	}
}

// ranges reads the content of a site by ranges.
type ranges struct {
	f    fixture
	path string
}

// ReadAt implements [io.ReaderAt].
func (r ranges) ReadAt(p []byte, off int64) (int, error) {
	resp := r.f.get("GET", r.path, "Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	defer resp.Body.Close()
	return io.ReadFull(resp.Body, p)
}

// TestLargeZip reads the end of an archive of more than 4 GiB, whose files are sparse: a large file, and
// one behind it.
func TestLargeZip(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	const large = 1<<32 + 5
	sparse(t, large, f.dir, "tree", "a large file")
	rel := f.archived(t, "tree", map[string]string{"b": "behind 4 GiB"})
	f.crcs.of(rel).set(0, 0x12345678) // so that the test does not have to read the whole file
	resp := f.get("HEAD", "/z/tree.zip")
	if resp.ContentLength <= large {
		t.Fatalf("the archive has %d bytes", resp.ContentLength)
	}
	r, err := zip.NewReader(ranges{f, "/z/tree.zip"}, resp.ContentLength)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.File) != 2 || r.File[0].UncompressedSize64 != large || r.File[0].CRC32 != 0x12345678 {
		t.Fatalf("the archive has %+v, want a large file with its checksum", r.File[0])
	}
	in, err := r.File[1].Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); string(got) != "behind 4 GiB" || err != nil {
		t.Errorf("the file behind the large one contains %q, %v", got, err)
	}
	at, err := r.File[0].DataOffset()
	if err != nil {
		t.Fatal(err)
	}
	end := make([]byte, 1+zipDescriptor64+4)
	if _, err := (ranges{f, "/z/tree.zip"}).ReadAt(end, at+large-1); err != nil || end[0] != 0 || !bytes.HasPrefix(end[1:], []byte("PK\x07\x08")) || !bytes.HasSuffix(end, []byte("PK\x03\x04")) {
		t.Errorf("the end of the large file is %q, %v", end, err)
	}
}

// TestZipOfManyFiles checks an archive with more files than the format of 1989 allows.
func TestZipOfManyFiles(t *testing.T) {
	t.Parallel()
	rel := &publish.Release{Name: "tree", Published: sampleTime, NumFiles: 70_000}
	for i := range rel.NumFiles {
		rel.Files = append(rel.Files, publish.File{Path: fmt.Sprintf("%05d", i)})
	}
	z := &zipContent{zipLayout: newZipLayout(rel), ctx: t.Context(), sums: new(crcs).of(rel)}
	data, err := io.ReadAll(z)
	if err != nil || int64(len(data)) != z.size {
		t.Fatalf("%d bytes, %v, want %d", len(data), err, z.size)
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(r.File) != rel.NumFiles || r.File[69_999].Name != "tree/69999" {
		t.Errorf("the archive has %d files, %v", len(r.File), err)
	}
}

// TestZipLimits checks that an archive keeps to the budget of direct downloads and to the uplink, counts
// as a download, and is refused while the release is paused.
func TestZipLimits(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]Options{
		"budget": {DownloadRate: 256 << 10, Wait: -1},
		"uplink": {Uplink: func() func(*http.Request) SendLimit {
			line := ratelimit.New(256 << 10)
			return func(*http.Request) SendLimit { return line }
		}()},
	} {
		f := newFixture(t, opts)
		sparse(t, 300<<10, f.dir, "tree", "a")
		rel := sample(t, f.catalog, filepath.Join(f.dir, "tree"), nil)
		ts := httptest.NewServer(f)
		downloadsSlowly(t, ts.URL+"/z/tree.zip", newZipLayout(rel).size)
		ts.Close()
		if got := f.Sent(rel.Hash()); got != newZipLayout(rel).size {
			t.Errorf("%s: %d bytes were counted", name, got)
		}
		paused := true
		f.catalog.Update(t.Context(), "tree~1", publish.Change{Paused: &paused})
		if resp := f.get("GET", "/z/tree.zip"); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: the archive of a paused release gave %s", name, resp.Status)
		}
	}
}

// TestZipOfChangedFile checks that an archive ends early if a file has changed, and is refused if that is
// the first file that it needs.
func TestZipOfChangedFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.archived(t, "tree", map[string]string{"a": "first", "b": "second"})
	if err := os.Chtimes(filepath.Join(f.dir, "tree", "b"), time.Time{}, sampleTime.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(f)
	defer ts.Close()
	resp, err := http.Get(ts.URL + "/z/tree.zip")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("an archive with a changed file was sent as if it were complete")
	}
	if err := os.Chtimes(filepath.Join(f.dir, "tree", "a"), time.Time{}, sampleTime.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if resp := f.get("GET", "/z/tree.zip"); resp.StatusCode != 503 || resp.Header.Get("ETag") != "" {
		t.Errorf("an archive whose first file has changed gave %s", resp.Status)
	}
}
