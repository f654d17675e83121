package portmap

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPCPRequestHasTheLayoutOfTheRFC checks each field of a MAP request (RFC 6887, sections 7.1
// and 11.1), and that it carries no option.
func TestPCPRequestHasTheLayoutOfTheRFC(t *testing.T) {
	t.Parallel()
	q := pcpRequest{
		client: netip.MustParseAddr("192.168.1.2"), lifetime: time.Hour, nonce: nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		protocol: UDP, internal: 6881, suggested: netip.AddrPortFrom(netip.Addr{}, 6882),
	}
	want := unhex(t, "02 01 0000 00000e10 00000000000000000000ffffc0a80102"+
		"0102030405060708090a0b0c 11 000000 1ae1 1ae2 00000000000000000000ffff00000000")
	if got := q.append(nil); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// TestPCPReply checks a reply, and that replies to other requests are recognized.
func TestPCPReply(t *testing.T) {
	t.Parallel()
	b := unhex(t, "02 81 00 00 00000708 0000002a 000000000000000000000000"+
		"0102030405060708090a0b0c 06 000000 1ae1 1ae9 00000000000000000000ffffcb007107")
	r, err := parsePCP(b)
	if err != nil {
		t.Fatal(err)
	}
	want := pcpResponse{lifetime: 30 * time.Minute, epoch: 42, nonce: nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, protocol: TCP, internal: 6881, external: netip.MustParseAddrPort("203.0.113.7:6889")}
	if r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	q := pcpRequest{nonce: want.nonce, protocol: TCP, internal: 6881}
	if !r.answers(&q) {
		t.Error("the reply does not answer its request")
	}
	for _, other := range []pcpRequest{{nonce: nonce{9}, protocol: TCP, internal: 6881}, {nonce: want.nonce, protocol: UDP, internal: 6881}, {nonce: want.nonce, protocol: TCP, internal: 6882}} {
		if r.answers(&other) {
			t.Errorf("the reply answers %+v", other)
		}
	}
	for _, bad := range [][]byte{nil, b[:20], b[:24], b[:58], append([]byte{1}, b[1:]...), unhex(t, "0201"+hex.EncodeToString(b[2:])), make([]byte, 1104)} {
		if _, err := parsePCP(bad); err == nil {
			t.Errorf("parsed %x", bad)
		}
	}
}

// TestNATPMPPackets checks requests and replies (RFC 6886, sections 3.2 and 3.3).
func TestNATPMPPackets(t *testing.T) {
	t.Parallel()
	if got, want := appendNATPMPMap(nil, TCP, 6881, 6882, time.Hour), unhex(t, "00 02 0000 1ae1 1ae2 00000e10"); !bytes.Equal(got, want) {
		t.Errorf("request %x, want %x", got, want)
	}
	for in, want := range map[string]natpmpResponse{
		"00 80 0000 00000007 cb007107":              {epoch: 7, address: netip.MustParseAddr("203.0.113.7")},
		"00 81 0000 00000007 1ae1 1ae2 00000e10":    {operation: 1, epoch: 7, internal: 6881, external: 6882, lifetime: time.Hour},
		"00 82 0002 00000007 1ae1 0000 00000000":    {operation: 2, result: 2, epoch: 7},
		"00 81 0001 00000007":                       {operation: 1, result: 1, epoch: 7},
		"00 80 0000 00000007 cb007107 000000000000": {epoch: 7, address: netip.MustParseAddr("203.0.113.7")},
	} {
		if got, err := parseNATPMP(unhex(t, in)); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "0080000000000007", "00 00 0000 00000007 cb007107", "02 81 0000 00000007 cb007107", "00 81 0000 00000007 1ae1 1ae2", "00 85 0000 00000007 1ae1 1ae2 00000e10"} {
		if r, err := parseNATPMP(unhex(t, bad)); err == nil {
			t.Errorf("%s: parsed as %+v", bad, r)
		}
	}
}

// TestSearchAnswerMustLeadToItsSender checks that an answer to a search cannot direct requests to
// another machine.
func TestSearchAnswerMustLeadToItsSender(t *testing.T) {
	t.Parallel()
	const good = "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLocation: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n"
	from := netip.MustParseAddr("192.168.1.1")
	u, err := parseSearchAnswer([]byte(good), from)
	if err != nil || u.String() != "http://192.168.1.1:5000/rootDesc.xml" {
		t.Errorf("got %v, %v", u, err)
	}
	if _, err := parseSearchAnswer([]byte(strings.TrimSuffix(good, "\r\n")), from); err != nil {
		t.Errorf("an answer without an empty line at the end: %v", err)
	}
	for old, replacement := range map[string]string{
		"192.168.1.1:5000": "192.168.1.9:5000", "http://192": "https://192", "http:": "file:", "192.168.1.1": "router.example", "5000": "0",
		":5000": ":99999", "200 OK": "404 Not Found", "InternetGatewayDevice": "MediaServer", "HTTP/1.1": "NOTIFY", "192.168.1.1:": "me@192.168.1.1:", "Location": "X",
	} {
		if u, err := parseSearchAnswer([]byte(strings.Replace(good, old, replacement, 1)), from); err == nil {
			t.Errorf("%s instead of %s: got %v", replacement, old, u)
		}
	}
}

// TestDescriptions checks the services that are found in descriptions of gateways.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	at, _ := url.Parse("http://192.168.1.1:5000/rootDesc.xml")
	describe := func(services ...string) string {
		return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceType>x</deviceType><serviceList>` + strings.Join(services, "") + `</serviceList></device></root>`
	}
	of := func(kind, control string) string {
		return "<service><serviceType>" + kind + "</serviceType><controlURL>" + control + "</controlURL></service>"
	}
	for name, c := range map[string]struct {
		xml  string
		want []string
	}{
		"both versions, the newer one first": {describe(of(wanIP1, "/a"), of("urn:other", "/x"), of(wanIP2, "/b"), of(firewall, "c")), []string{"http://192.168.1.1:5000/b", "http://192.168.1.1:5000/a", "http://192.168.1.1:5000/c"}},
		"the URL of another host":            {describe(of(wanIP1, "http://198.51.100.1/ctl")), nil},
		"a base of another host is ignored":  {strings.Replace(describe(of(wanIP1, "/a")), "<device>", "<URLBase>http://198.51.100.1/</URLBase><device>", 1), []string{"http://192.168.1.1:5000/a"}},
		"a base of the same host":            {strings.Replace(describe(of(wanPPP1, "a")), "<device>", "<URLBase>http://192.168.1.1:80/x/</URLBase><device>", 1), []string{"http://192.168.1.1:80/x/a"}},
		"another encoding":                   {strings.Replace(strings.Replace(describe(of(wanIP1, "/a")), "?>", ` encoding="ISO-8859-1"?>`, 1), ">x<", ">\xe4<", 1), []string{"http://192.168.1.1:5000/a"}},
		"an HTML entity":                     {strings.Replace(describe(of(wanIP1, "/a")), ">x<", ">&nbsp;&<", 1), []string{"http://192.168.1.1:5000/a"}},
		"no control URL":                     {describe("<service><serviceType>" + wanIP1 + "</serviceType></service>"), nil},
	} {
		list, err := parseDescription([]byte(c.xml), at)
		var got []string
		for _, s := range list {
			got = append(got, s.control.String())
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "unfinished": "<root><device>", "too deep": strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100), "crossed": "<root><a><b></a></b></root>",
		"too many elements": "<root>" + strings.Repeat("<a></a>", maxXMLTokens) + "</root>",
	} {
		if _, err := parseDescription([]byte(bad), at); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestActions checks requests and answers of SOAP.
func TestActions(t *testing.T) {
	t.Parallel()
	b := appendAction(nil, wanIP1, "AddPortMapping", []argument{{"NewPortMappingDescription", "a<b>&"}})
	if !strings.Contains(string(b), "<NewPortMappingDescription>a&lt;b&gt;&amp;</NewPortMappingDescription>") {
		t.Errorf("the argument is not escaped: %s", b)
	}
	const envelope = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%</s:Body></s:Envelope>`
	in := strings.Replace(envelope, "%", `<u:GetExternalIPAddressResponse xmlns:u="`+wanIP1+`"><NewExternalIPAddress>203.0.113.7</NewExternalIPAddress></u:GetExternalIPAddressResponse>`, 1)
	if out, err := parseAction([]byte(in), "GetExternalIPAddress"); err != nil || out["NewExternalIPAddress"] != "203.0.113.7" {
		t.Errorf("got %v, %v", out, err)
	}
	if _, err := parseAction([]byte(in), "AddPortMapping"); err == nil {
		t.Error("the answer to another action is accepted")
	}
	in = strings.Replace(envelope, "%", `<s:Fault><faultcode>s:Client</faultcode><detail><UPnPError><errorCode>725</errorCode><errorDescription>OnlyPermanent</errorDescription></UPnPError></detail></s:Fault>`, 1)
	var refused *ActionError
	if _, err := parseAction([]byte(in), "AddPortMapping"); !errors.As(err, &refused) || refused.Code != 725 || refused.Description != "OnlyPermanent" {
		t.Errorf("got %v", err)
	}
}

// TestEpochShowsRestartOfRouter checks the rules of RFC 6887, section 8.5.
func TestEpochShowsRestartOfRouter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		client time.Duration // between the replies
		before uint32
		after  uint32
		kept   bool
	}{
		{time.Minute, 100, 160, true}, {time.Minute, 100, 158, true}, {time.Minute, 100, 165, true}, {0, 100, 99, true},
		{time.Minute, 100, 3, false}, {time.Minute, 100, 98, false}, {time.Hour, 0, 1800, false}, {time.Minute, 100, 300, false},
	} {
		var e epoch
		now := time.Unix(1e9, 0)
		if !e.next(now, c.before) {
			t.Error("the first reply shows a restart")
		}
		if got := e.next(now.Add(c.client), c.after); got != c.kept {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// fuzzSeeds adds inputs to the corpus of a fuzz target.
func fuzzSeeds(f *testing.F, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
}

func FuzzPCP(f *testing.F) {
	q := pcpRequest{client: netip.MustParseAddr("192.168.1.2"), protocol: TCP, internal: 6881}
	fuzzSeeds(f, string(q.append(nil)), "\x02\x81\x00\x00\x00\x00\x07\x08\x00\x00\x00\x2a"+strings.Repeat("\x00", 48))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parsePCP(b); err == nil && r.result == 0 && (len(b) < pcpMapLen || r.external.Addr().Is4In6()) {
			t.Errorf("%x: %+v", b, r)
		}
	})
}

func FuzzNATPMP(f *testing.F) {
	fuzzSeeds(f, "\x00\x80\x00\x00\x00\x00\x00\x07\xcb\x00\x71\x07", "\x00\x81\x00\x00\x00\x00\x00\x07\x1a\xe1\x1a\xe2\x00\x00\x0e\x10")
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseNATPMP(b); err == nil && r.result == 0 && !r.address.IsValid() && len(b) < natpmpMapLen {
			t.Errorf("%x: %+v", b, r)
		}
	})
}

func FuzzSSDP(f *testing.F) {
	fuzzSeeds(f, "HTTP/1.1 200 OK\r\nST: InternetGatewayDevice\r\nLocation: http://192.168.1.1:5000/d.xml\r\n\r\n", "HTTP/1.1 200 OK\nLocation: x\n")
	from := netip.MustParseAddr("192.168.1.1")
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := parseSearchAnswer(b, from)
		if err != nil {
			return
		}
		if host, err := netip.ParseAddr(u.Hostname()); err != nil || host.Unmap().WithZone("") != from || u.Scheme != "http" {
			t.Errorf("%q leads to %v", b, u)
		}
	})
}

func FuzzDescription(f *testing.F) {
	fuzzSeeds(f, `<root><URLBase>http://192.168.1.1/</URLBase><service><serviceType>`+wanIP1+`</serviceType><controlURL>/c</controlURL></service></root>`)
	at, _ := url.Parse("http://192.168.1.1:5000/d.xml")
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := parseDescription(b, at)
		if len(list) > maxServices {
			t.Errorf("%d services", len(list))
		}
		for _, s := range list {
			if s.control.Hostname() != "192.168.1.1" || s.control.Scheme != "http" {
				t.Errorf("a service leads to %v", s.control)
			}
		}
	})
}

func FuzzAction(f *testing.F) {
	fuzzSeeds(f, `<s:Envelope><s:Body><u:XResponse><NewReservedPort>1</NewReservedPort></u:XResponse></s:Body></s:Envelope>`)
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := parseAction(b, "X")
		for k, v := range out {
			if len(v) > maxXMLText {
				t.Errorf("%d bytes of %s", len(v), k)
			}
		}
		if err != nil && out != nil {
			t.Error("an error with results")
		}
	})
}
