package weburl

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
)

// TestParse checks the normal form of base URLs.
func TestParse(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://a.example":                        "http://a.example",
		"HTTP://A.Example:6969/":                  "http://a.example:6969",
		"http://a.example.:80//":                  "http://a.example",
		"https://a.example:443/x/":                "https://a.example/x",
		"https://a.example:80/":                   "https://a.example:80",
		"http://a.example:443":                    "http://a.example:443",
		"http://a.example:":                       "http://a.example",
		"http://a.example:0080":                   "http://a.example",
		"http://my_host:1":                        "http://my_host:1",
		"http://bücher.example":                   "http://xn--bcher-kva.example",
		"http://BÜCHER.example:8080/Ä":            "http://xn--bcher-kva.example:8080/%C3%84",
		"http://b%C3%BCcher.example":              "http://xn--bcher-kva.example",
		"http://例え。テスト":                           "http://xn--r8jz45g.xn--zckzah",
		"http://xn--BCHER-KVA.example":            "http://xn--bcher-kva.example",
		"http://127.0.0.1:80/x":                   "http://127.0.0.1/x",
		"http://[2001:DB8:0::1]:80":               "http://[2001:db8::1]",
		"http://[::1]:6969/x":                     "http://[::1]:6969/x",
		"http://h/my files":                       "http://h/my%20files",
		"http://h/my%20files/":                    "http://h/my%20files",
		"http://h/a(b)'c":                         "http://h/a%28b%29%27c",
		"http://h/a+b&c=d@e:f;g,h":                "http://h/a+b&c=d@e:f%3Bg%2Ch",
		"http://h/a%2Fb (c)":                      "http://h/a%2Fb%20%28c%29",
		"http://h/a%2fb":                          "http://h/a%2Fb",
		"http://h/%61%7E":                         "http://h/a~",
		"http://h/100%25/%3F/%23":                 "http://h/100%25/%3F/%23",
		`http://h/a\b`:                            "http://h/a%5Cb",
		"http://h/%FF":                            "http://h/%FF",
		"http://h/a/b///":                         "http://h/a/b",
		"":                                        "",
		"a.example":                               "",
		"ftp://a":                                 "",
		"http://":                                 "",
		"http://:80":                              "",
		"http:///x":                               "",
		"http://u:p@a":                            "",
		"http://a?b":                              "",
		"http://a?":                               "",
		"http://a#b":                              "",
		"http://a#":                               "",
		"http://h/100%":                           "",
		"http://h//x":                             "",
		"http://h/a//b":                           "",
		"http://h/a/../b":                         "",
		"http://h/%2e%2E/b":                       "",
		"http://h/./b":                            "",
		"http://h/a%00b":                          "",
		"http://h/a%0Ab":                          "",
		"http://[fe80::1%25eth0]:6969":            "",
		"http://[fe80::1%25eth0]":                 "",
		"http://[127.0.0.1]":                      "",
		"http://[x]":                              "",
		"http://::1":                              "",
		"http://h:0":                              "",
		"http://h:65536":                          "",
		"http://a..example":                       "",
		"http://.":                                "",
		"http://1.2.3":                            "",
		"http://1.2.3.256":                        "",
		`http://a"b`:                              "",
		"http://a<b>":                             "",
		"http://a b":                              "",
		"http://a*":                               "",
		"http://xn--a-ecp.ru\u202e":               "",
		"http://" + string(make([]byte, 64)) + "": "",
	} {
		u, err := Parse(given)
		if (err != nil) != (want == "") || err == nil && u.String() != want {
			t.Errorf("Parse(%q) = %v, %v; want %q", given, u, err, want)
		}
		if err != nil {
			continue
		}
		if again, err := Parse(u.String()); err != nil || again.String() != want {
			t.Errorf("Parse(%q) = %v, %v: the normal form changes", u, again, err)
		}
	}
}

// TestSegments checks that an encoded slash separates no segments, and that the inverse has one
// encoding for all spellings of a path.
func TestSegments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path     string
		segments []string
		encoded  string
	}{
		{"", nil, ""}, {"/", nil, ""}, {"/a", []string{"a"}, "/a"}, {"/a/", []string{"a", ""}, "/a/"},
		{"/%61/b%2Fc", []string{"a", "b/c"}, "/a/b%2Fc"}, {"/(x)", []string{"(x)"}, "/%28x%29"}, {"/%28x%29", []string{"(x)"}, "/%28x%29"},
		{"/a+b/%2b", []string{"a+b", "+"}, "/a+b/+"}, {"//a", []string{"", "a"}, "//a"}, {"/é", []string{"é"}, "/%C3%A9"},
		{"/%c3%a9", []string{"é"}, "/%C3%A9"}, {`/\`, []string{`\`}, "/%5C"}, {"/%252F", []string{"%2F"}, "/%252F"},
	} {
		got, err := Segments(c.path)
		if err != nil || !slices.Equal(got, c.segments) || Encode(got) != c.encoded {
			t.Errorf("Segments(%q) = %q, %v, and encoded %q; want %q, %q", c.path, got, err, Encode(got), c.segments, c.encoded)
		}
		if len(got) == 0 {
			continue
		}
		r := WithPath(httptest.NewRequest("GET", "/other?q=1", nil), got)
		if r.URL.EscapedPath() != c.encoded || r.URL.RawQuery != "q=1" {
			t.Errorf("the request for %q has the URL %s", got, r.URL)
		}
	}
	if _, err := Segments("/%zz"); err == nil {
		t.Error("Segments accepted an incomplete escape")
	}
}

// TestCutPrefix checks that a prefix consists of whole segments.
func TestCutPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, prefix, want string
		ok                 bool
	}{
		{"/pub/x", "/pub", "/x", true}, {"/pub", "/pub", "", true}, {"/pub/", "/pub", "/", true}, {"/publish/x", "/pub", "/publish/x", false},
		{"/x", "", "/x", true}, {"/%70ub/x", "/pub", "/x", true}, {"/a%2Fb/x", "/a/b", "/a%2Fb/x", false}, {"/a/b/x", "/a%2Fb", "/a/b/x", false},
		{"/A/x", "/a", "/A/x", false},
	} {
		path, _ := Segments(c.path)
		prefix, _ := Segments(c.prefix)
		if rest, ok := CutPrefix(path, prefix); ok != c.ok || Encode(rest) != c.want {
			t.Errorf("CutPrefix(%s, %s) = %s, %v; want %s, %v", c.path, c.prefix, Encode(rest), ok, c.want, c.ok)
		}
	}
}

// FuzzParse checks that the normal form of a URL is stable.
func FuzzParse(f *testing.F) {
	f.Add("http://bücher.example:80/a%2Fb(c)/")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Parse(s)
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err == nil {
			again, err = Base(again)
		}
		if err != nil || again.String() != u.String() {
			t.Errorf("the normal form of %q is %s, and then %v, %v", s, u, again, err)
		}
	})
}
