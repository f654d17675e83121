package torrentfile

import (
	"testing"

	"spate/internal/fault"
)

// TestTrackerURL checks that URLs which no client can use are errors of usage.
func TestTrackerURL(t *testing.T) {
	t.Parallel()
	for url, good := range map[string]bool{
		"http://a/announce": true, "https://a.example:443/x?y=z": true, "udp://a:6969": true, "udp://a:6969/announce": true,
		"ws://a/": true, "WSS://a:1/": true, "http://[2001:db8::1]:80/": true, "http://a:1/%20": true, "http://user:pass@a/": true,

		"": false, "a": false, "http://": false, "http:///announce": false, "ftp://a/": false, "file:///etc/passwd": false,
		"udp://a": false, "udp://a/announce": false, "udp://[2001:db8::1]": false, "UDP://a": false,
		"http://a:0/": false, "http://a:65536/": false, "http://a:99999/": false, "http://a:/": false, "http://a:x/": false, "http://:80/": false,
		"http://a b/": false, "http://a/b c": false, "http://a/b\tc": false, "http://a/b\n": false, " http://a/": false, "http://a/\u00a0": false,
	} {
		_, err := TrackerURL("--announce", url)
		switch {
		case good && err != nil:
			t.Errorf("%q: %v", url, err)
		case !good && fault.CodeOf(err) != fault.Usage:
			t.Errorf("%q: %v, want an error of usage", url, err)
		}
	}
}
