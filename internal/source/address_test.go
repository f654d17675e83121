package source

import (
	"testing"

	"spate/publish"
)

// TestAnswersNiceAddress checks that a signed release is the requested one if the URL has its nice address, and
// not if the URL only looks alike.
func TestAnswersNiceAddress(t *testing.T) {
	t.Parallel()
	got := publish.ParseRef("My File~2~x64")
	for asked, want := range map[string]bool{
		"My File": true, "my-file": true, "my-file~~x64": true, "my-file~2~x64": true,
		"my-file~1~x64": false, "my-file-2": false, "my-files": false, "MY-FILE": false, "": false,
	} {
		if answers(publish.ParseRef(asked), got) != want {
			t.Errorf("the URL of %q accepts %s: %t, want %t", asked, got, !want, want)
		}
	}
}
