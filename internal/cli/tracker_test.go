package cli

import "testing"

// TestServedTorrents checks that the description of the served torrents names each list.
func TestServedTorrents(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]trackerOptions{
		"any torrent":                           {},
		"the torrents in dir":                   {allowedDir: "dir"},
		"the torrents on the list f":            {allowList: "f"},
		"the torrents in dir and on the list f": {allowedDir: "dir", allowList: "f"},
	} {
		if got := o.served(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
