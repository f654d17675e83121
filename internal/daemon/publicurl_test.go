package daemon

import (
	"net/netip"
	"testing"
)

// TestParsePublicURL checks which public URLs are accepted.
func TestParsePublicURL(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://a.example/x/": "https://a.example/x", "http://a.example:6969": "http://a.example:6969",
		"ftp://a": "", "a.example": "", "http://u:p@a": "", "http://a?b": "", "http://a#b": "",
	} {
		u, err := ParsePublicURL(given)
		if err != nil != (want == "") || err == nil && u.String() != want {
			t.Errorf("ParsePublicURL(%q) = %v, %v; want %q", given, u, err, want)
		}
	}
}

// TestPublicURL checks the default of the public URL.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addr   string
		secure bool
		want   string
	}{
		{"127.0.0.1:6969", false, "http://127.0.0.1:6969"}, {"[::1]:80", false, "http://[::1]"}, {"[::1]:80", true, "https://[::1]:80"}, {"[::1]:443", true, "https://[::1]"},
	} {
		if u, guessed := publicURL(nil, netip.MustParseAddrPort(c.addr), c.secure); guessed || u.String() != c.want {
			t.Errorf("publicURL of %s = %v, guessed %v; want %q", c.addr, u, guessed, c.want)
		}
	}
	if _, guessed := publicURL(nil, netip.MustParseAddrPort("0.0.0.0:1"), false); !guessed {
		t.Error("the URL of a listener on all addresses is no guess")
	}
	u, _ := publicURL(nil, netip.MustParseAddrPort("[::1]:80"), false)
	if got := announceURLs(u, "[::1]:81", false); len(got) != 2 || got[0][0] != "http://[::1]/announce" || got[1][0] != "udp://[::1]:81/announce" {
		t.Errorf("announce URLs %v", got)
	}
	u, _ = ParsePublicURL("https://bücher.example/x%2Fy (z)")
	if got := announceURLs(u, "[::1]:81", false); len(got) != 1 || got[0][0] != "https://xn--bcher-kva.example/x%2Fy%20%28z%29/announce" {
		t.Errorf("announce URLs behind a proxy %v", got)
	}
}
