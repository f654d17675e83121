package weburl

import (
	"net/url"
	"strings"
	"testing"
)

// TestASCIIURL checks that only the host of a URL changes, and only if it has U-labels. An empty
// result stands for an error.
func TestASCIIURL(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for given, want := range map[string]string{
		// U-labels
		"http://bücher.example/announce":         "http://xn--bcher-kva.example/announce",
		"https://bücher.example":                 "https://xn--bcher-kva.example",
		"udp://bücher.example:6969":              "udp://xn--bcher-kva.example:6969",
		"udp://bücher.example:6969/announce?k=v": "udp://xn--bcher-kva.example:6969/announce?k=v",
		"ws://bücher.example/x":                  "ws://xn--bcher-kva.example/x",
		"WSS://BÜCHER.Example:443/x":             "WSS://xn--bcher-kva.example:443/x",
		"ftp://bücher.example/f":                 "ftp://xn--bcher-kva.example/f",
		"http://b%C3%BCcher.example/a":           "http://xn--bcher-kva.example/a",
		"http://bu\u0308cher.example/a":          "http://xn--bcher-kva.example/a", // NFD
		"http://straße.example/":                 "http://xn--strae-oqa.example/",
		"http://пример.испытание/x":              "http://xn--e1afmkfd.xn--80akhbyknj4f/x",
		"http://例え.テスト:8080/x":                   "http://xn--r8jz45g.xn--zckzah:8080/x",
		"http://xn--r8jz45g.テスト/":                "http://xn--r8jz45g.xn--zckzah/",
		"http://💩.example/":                      "http://xn--ls8h.example/",
		"http://a.bücher.b.example?x":            "http://a.xn--bcher-kva.b.example?x",
		"http://bücher.example#f":                "http://xn--bcher-kva.example#f",
		// dots that IDNA reads as full stops, and dots at the end
		"http://例え。テスト/x":          "http://xn--r8jz45g.xn--zckzah/x",
		"http://例え．テスト。/x":         "http://xn--r8jz45g.xn--zckzah./x",
		"http://bücher.example./a": "http://xn--bcher-kva.example./a",
		"http://a.example./x":      "http://a.example./x",
		"http://ａ．ｅｘａｍｐｌｅ/":        "http://a.example/",
		// credentials, port, path, query and case stay
		"http://%C3%BC:p%40@bücher.example:81/ä?ö#ß": "http://%C3%BC:p%40@xn--bcher-kva.example:81/ä?ö#ß",
		"http://u:a@b@bücher.example/@:x":            "http://u:a@b@xn--bcher-kva.example/@:x",
		"http://u:p@A.Example:080/Ä":                 "http://u:p@A.Example:080/Ä",
		"http://bücher.example:/x":                   "http://xn--bcher-kva.example:/x",
		"http://A.Example/%7e/../b//c?":              "http://A.Example/%7e/../b//c?",
		"http://xn--BCHER-KVA.example/x":             "http://xn--BCHER-KVA.example/x",
		"http://my_host-1/x":                         "http://my_host-1/x",
		"http://localhost:6969/announce":             "http://localhost:6969/announce",
		// addresses
		"http://127.0.0.1:1/x":        "http://127.0.0.1:1/x",
		"udp://[2001:DB8::1]:6969/ä":  "udp://[2001:DB8::1]:6969/ä",
		"http://[::ffff:192.0.2.1]/":  "http://[::ffff:192.0.2.1]/",
		"http://[fe80::1%25eth0]:80/": "",
		"http://[fe80::1%25ü]:80/":    "",
		"http://[bücher.example]/":    "",
		"http://[127.0.0.1]/":         "",
		"http://2001:db8::1/":         "",
		"http://1.2.3/":               "",
		"http://1.2.3.256/":           "",
		"http://１２７.0.0.1/":           "",
		// no host names
		"":                              "",
		"a":                             "",
		"http://":                       "",
		"http://:80/":                   "",
		"http:///x":                     "",
		"http:bücher":                   "",
		"http://.":                      "",
		"http://a..example/":            "",
		"http://bücher..example/":       "",
		"http://" + long + ".example/":  "",
		"http://ü" + long + ".example/": "",
		"http://" + strings.Repeat("ü.", 60) + "example/": "",
		"http://xn--ü.example/":                           "",
		"http://-ü.example/":                              "",
		"http://ü\u202e.example/":                         "",
		"http://ü／x.example/":                             "",
		"http://ü＠x.example/":                             "",
		"http://ü：1.example/":                             "",
		"http://%FF.example/":                             "",
		"http://ü*.example/":                              "",
		"http://a*/":                                      "",
	} {
		got, err := ASCIIURL(given)
		if (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("ASCIIURL(%q) = %q, %v; want %q", given, got, err, want)
			continue
		}
		if err != nil {
			continue
		}
		if again, err := ASCIIURL(got); err != nil || again != got {
			t.Errorf("ASCIIURL(%q) = %q, %v: a second conversion changes the URL", got, again, err)
		}
		if u, err := url.Parse(got); err != nil || hasUnicode(u.Host) {
			t.Errorf("ASCIIURL(%q) has the host %q", given, u.Host)
		}
	}
}

// TestASCIIHostPort checks the same for addresses of peers and nodes.
func TestASCIIHostPort(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"bücher.example:6881": "xn--bcher-kva.example:6881", "例え。テスト:1": "xn--r8jz45g.xn--zckzah:1", "💩.example:65535": "xn--ls8h.example:65535",
		"bücher.example.:1": "xn--bcher-kva.example.:1", "A.Example:06881": "A.Example:06881", "xn--BCHER-KVA.example:1": "xn--BCHER-KVA.example:1",
		"192.0.2.7:6881": "192.0.2.7:6881", "[2001:DB8::1]:6881": "[2001:DB8::1]:6881", "localhost:1": "localhost:1",
		"[fe80::1%eth0]:6881": "", "[bücher.example]:1": "", "[192.0.2.7]:1": "", "2001:db8::1:6881": "", "": "", "bücher.example": "", ":1": "",
		"bücher.example:0": "", "bücher.example:65536": "", "bücher.example:x": "", "bücher.example:": "", "ü*.example:1": "", "a b:1": "", "1.2.3:1": "",
	} {
		if got, err := ASCIIHostPort(given); (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("ASCIIHostPort(%q) = %q, %v; want %q", given, got, err, want)
		}
	}
}

// FuzzASCIIURL checks that a converted URL has a host in ASCII and stays as it is.
func FuzzASCIIURL(f *testing.F) {
	f.Add("http://u:p@bücher.example:80/ä?ö#ß")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ASCIIURL(s)
		if err != nil {
			return
		}
		again, err := ASCIIURL(got)
		u, perr := url.Parse(got)
		if err != nil || again != got || perr != nil || hasUnicode(u.Host) {
			t.Errorf("ASCIIURL(%q) = %q, and then %q, %v, %v", s, got, again, err, perr)
		}
	})
}
