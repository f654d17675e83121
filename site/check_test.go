package site

import (
	"encoding/hex"
	"html"
	"strings"
	"testing"

	"spate/publish"
)

// TestCheckCommands checks that a page shows how to compare a downloaded file with its SHA-256 on each
// system, in quotes that the shell of that system reads, and that it shows nothing without checksums.
func TestCheckCommands(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for name, want := range map[string][]string{
		"plain.iso":      {"Get-FileHash plain.iso", "shasum -a 256 plain.iso", "sha256sum plain.iso"},
		"it's [1] $x.sh": {`Get-FileHash -LiteralPath 'it''s [1] $x.sh'`, `shasum -a 256 'it'\''s [1] $x.sh'`, `sha256sum 'it'\''s [1] $x.sh'`},
	} {
		r := f.release(t, name, 1000)
		if page := body(t, f.get("GET", publish.PagePath(name))); strings.Contains(page, "sha256sum") {
			t.Errorf("%s: the page shows how to check before the checksums are known", name)
		}
		f.summed(t, r)
		full, err := f.catalog.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		sum := full.Files[0].SHA256
		page := html.UnescapeString(body(t, f.get("GET", publish.PagePath(name))))
		for _, w := range append(want, hex.EncodeToString(sum[:])+"</code></p>") {
			if !strings.Contains(page, w) {
				t.Errorf("%s: the page does not contain %s", name, w)
			}
		}
	}
}
