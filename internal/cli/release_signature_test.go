package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spate/internal/source"
	"spate/signature"
)

// TestOtherAndOlderReleases checks that get refuses a signed release that is not the requested
// one, or that is older than the newest release of the page that get has seen.
func TestOtherAndOlderReleases(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	day := func(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
	s, state := newSignedSite(t, key), t.TempDir()
	for _, step := range []struct {
		what      string
		ref       string
		published time.Time
		path      string
		code      int
		says      string
	}{
		{"the first that is seen", "a~1.1", day(11), "/r/a", 0, "remembered as the key"},
		{"the same", "a~1.1", day(11), "/t/a.torrent", 0, "the signature is valid"},
		{"an older one for the newest", "a~1.0", day(10), "/r/a", CodeBadData, "the page has a~1.0 of 10 November 2026, but had the newer a~1.1 of 11 November 2026 before"},
		{"the older one, by its name", "a~1.0", day(10), "/r/a~1.0", 0, "the signature is valid"},
		{"another version than that", "a~1.1", day(11), "/r/a~1.0", CodeBadData, "is of another release, a~1.1"},
		{"a newer one", "a~1.2", day(12), "/r/a", 0, "the signature is valid"},
		{"the previous version, after a newer one", "a~1.1", day(11), "/r/a", CodeBadData, "a~1.2"},
		{"a release without a name", "", time.Time{}, "/r/a", CodeBadData, "the page has an unnamed release"},
		{"another release", "b~1", day(20), "/r/a", CodeBadData, "is of another release, b~1"},
		{"another release with control characters in its name", "b\x1b[2J\t~1", day(20), "/r/a", CodeBadData, "is of another release"},
		{"a variant", "a~1.2~arm64", day(12), "/r/a~~arm64", 0, "the signature is valid"},
		{"another variant", "a~1.2~amd64", day(12), "/r/a~~arm64", CodeBadData, "is of another release, a~1.2~amd64"},
		{"any variant", "a~1.2~amd64", day(12), "/r/a", 0, "the signature is valid"},
		{"a URL that names no release", "b~1", day(1), "/dl/a.torrent", 0, "the signature is valid"},
	} {
		s.sig = key.SignRelease(s.torrent, "a.torrent", time.Now(), signature.Release{Ref: step.ref, Published: step.published})
		code, said := check(state, s.URL+step.path, "")
		if code != step.code || !strings.Contains(said, step.says) || strings.Contains(said, "\x1b") {
			t.Errorf("%s: exit code %d, want %d and %q\n%q", step.what, code, step.code, step.says, said)
		}
	}
	// --verify-key does not disable the check; signature.Seen.Forget does.
	s.sig = key.SignRelease(s.torrent, "a.torrent", time.Now(), signature.Release{Ref: "a~1.0", Published: day(10)})
	if code, said := check(state, s.URL+"/r/a", key.Public().String()); code != CodeBadData {
		t.Errorf("with the key: exit code %d\n%s", code, said)
	}
	seen, err := signature.OpenSeen(filepath.Join(state, source.SeenReleases))
	if err == nil {
		err = seen.Forget(strings.TrimPrefix(s.URL, "http://"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, said := check(state, s.URL+"/r/a", ""); code != 0 {
		t.Errorf("after it was forgotten: exit code %d\n%s", code, said)
	}
	os.WriteFile(filepath.Join(state, source.SeenReleases), []byte("what is this\n"), 0o600)
	if code, said := check(state, s.URL+"/r/a", ""); code == 0 || !strings.Contains(said, "correct the file") {
		t.Errorf("a file that cannot be read: exit code %d\n%s", code, said)
	}
}
