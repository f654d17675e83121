package portmap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// onLoopback returns a mapper whose router is this machine. A nil answer leaves a port of it
// closed.
func onLoopback(t *testing.T, pmpAnswer, ssdpAnswer func([]byte) [][]byte) *Mapper {
	m, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.route = func(v6 bool) (network, error) {
		if v6 {
			return network{}, ErrNoGateway
		}
		return network{loopback, loopback}, nil
	}
	m.pmpPort, m.ssdpPort = answerUDP(t, pmpAnswer), answerUDP(t, ssdpAnswer)
	return m
}

// hurry shortens the waiting times for a router that does not help.
func hurry(m *Mapper) *Mapper {
	m.pmpWaits, m.searchTime, m.requestTime = []time.Duration{50 * time.Millisecond}, 100*time.Millisecond, 200*time.Millisecond
	return m
}

// answerUDP answers packets on a loopback port until the test ends.
func answerUDP(t *testing.T, answer func([]byte) [][]byte) uint16 {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	if answer == nil {
		c.Close()
		return port
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			for _, reply := range answer(b[:n]) {
				c.WriteToUDPAddrPort(reply, from)
			}
		}
	})
	t.Cleanup(func() { c.Close(); wg.Wait() })
	return port
}

// status maps one port of TCP and UDP, and returns the status after the first attempt.
func status(t *testing.T, m *Mapper) Family {
	t.Helper()
	return statusOf(t, m, 6881)
}

// statusOf is status for any port.
func statusOf(t *testing.T, m *Mapper, port uint16) Family {
	t.Helper()
	if err := m.Map(Rule{Protocols: TCP | UDP, Internal: port}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { m.Run(ctx); close(done) }()
	<-m.Settled()
	s := m.Status().IPv4
	cancel()
	<-done
	return s
}

// pcpAnswer answers PCP requests; change modifies the reply to a MAP request.
func pcpAnswer(change func([]byte) [][]byte) func([]byte) [][]byte {
	return func(q []byte) [][]byte {
		if len(q) < pcpHeaderLen || q[0] != pcpVersion {
			return nil
		}
		r := append([]byte{pcpVersion, q[1] | pcpReply, 0, 0, 0, 0, 0x0e, 0x10, 0, 0, 0, 9}, make([]byte, 12)...)
		if q[1] != pcpMap {
			return [][]byte{r}
		}
		r = append(r, q[pcpHeaderLen:]...)
		copy(r[pcpHeaderLen+20:], appendAddr16(nil, outside))
		if change == nil {
			return [][]byte{r}
		}
		return change(r)
	}
}

// TestRoutersWithPCP checks a correct router and hostile ones. Lies must not be believed.
func TestRoutersWithPCP(t *testing.T) {
	t.Parallel()
	changed := func(f func(r []byte)) func([]byte) [][]byte {
		return pcpAnswer(func(r []byte) [][]byte { f(r); return [][]byte{r} })
	}
	for name, c := range map[string]struct {
		answer func([]byte) [][]byte
		want   bool
	}{
		"a correct router": {pcpAnswer(nil), true},
		"garbage before the reply": {pcpAnswer(func(r []byte) [][]byte {
			return [][]byte{[]byte("garbage"), {}, make([]byte, 1500), append([]byte{3}, r[1:]...), r}
		}), true},
		"another nonce":         {changed(func(r []byte) { r[pcpHeaderLen] ^= 1 }), false},
		"another internal port": {changed(func(r []byte) { r[pcpHeaderLen+17] ^= 1 }), false},
		"another protocol":      {changed(func(r []byte) { r[pcpHeaderLen+12] = 132 }), false},
		"port 0":                {changed(func(r []byte) { clear(r[pcpHeaderLen+18 : pcpHeaderLen+20]) }), false},
		"a private address":     {changed(func(r []byte) { copy(r[pcpHeaderLen+20:], appendAddr16(nil, netip.MustParseAddr("192.168.1.1"))) }), false},
		"not authorized":        {changed(func(r []byte) { r[3] = 2 }), false},
		"endless garbage": {func([]byte) [][]byte {
			return [][]byte{[]byte("x"), []byte("x"), []byte("x"), []byte("x")}
		}, false},
		"nothing": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := onLoopback(t, c.answer, nil)
			if !c.want {
				hurry(m)
			}
			s := status(t, m)
			got := s.Reached(TCP, 6881)
			if want := netip.AddrPortFrom(outside, 6881); c.want && (got != want || s.Way != PCP || s.Err != nil) {
				t.Errorf("got %+v", s)
			}
			if !c.want && got.IsValid() {
				t.Errorf("the lie is believed: %+v", s)
			}
		})
	}
}

// TestRouterWithOnlyNATPMP checks that a router that refuses PCP is asked by NAT-PMP.
func TestRouterWithOnlyNATPMP(t *testing.T) {
	t.Parallel()
	s := status(t, onLoopback(t, func(q []byte) [][]byte {
		r := []byte{0, q[1] | natpmpReply, 0, 0, 0, 0, 0, 5}
		switch {
		case q[0] != 0:
			r[3] = 1
			return [][]byte{r}
		case q[1] == natpmpAddress:
			return [][]byte{append(r, outside.AsSlice()...)}
		}
		r = append(r, q[4:6]...)
		r = binary.BigEndian.AppendUint16(r, 7000)
		return [][]byte{append(r, q[8:]...)}
	}, nil))
	if got := s.Reached(UDP, 6881); got != netip.AddrPortFrom(outside, 7000) || s.Way != NATPMP {
		t.Errorf("got %+v", s)
	}
}

// TestLowPortsAreNotAskedForByPCP checks that a router which speaks both protocols is asked by NAT-PMP
// for a port below 1024, because many a router hangs after it was asked for one by PCP, and that a router
// with PCP alone is asked by PCP.
func TestLowPortsAreNotAskedForByPCP(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"both protocols": true, "only PCP": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var byPCP atomic.Int32
			byBoth := pcpAnswer(func(r []byte) [][]byte {
				byPCP.Add(1)
				return [][]byte{r}
			})
			s := statusOf(t, onLoopback(t, func(q []byte) [][]byte {
				switch {
				case q[0] == pcpVersion:
					return byBoth(q)
				case !both:
					return [][]byte{{pcpVersion, q[1] | pcpReply, 0, pcpUnsupportedVersion, 0, 0, 0, 0, 0, 0, 0, 9}}
				case q[1] == natpmpAddress:
					return [][]byte{append([]byte{0, q[1] | natpmpReply, 0, 0, 0, 0, 0, 5}, outside.AsSlice()...)}
				}
				r := append([]byte{0, q[1] | natpmpReply, 0, 0, 0, 0, 0, 5}, q[4:]...)
				copy(r[10:], q[6:8])
				return [][]byte{r}
			}, nil), 443)
			if got := s.Reached(TCP, 443); got != netip.AddrPortFrom(outside, 443) || s.Way != PCP {
				t.Errorf("got %+v", s)
			}
			if n := byPCP.Load(); (n == 0) != both {
				t.Errorf("asked for mappings by PCP %d times", n)
			}
		})
	}
}

// fakeIGD is a router with UPnP.
type fakeIGD struct {
	kind      string
	permanent bool            // only permanent leases
	taken     map[string]bool // "TCP 6881"
	external  string

	mu      sync.Mutex
	rules   map[string]string // "TCP 6881" to the lease
	actions []string
}

func (g *fakeIGD) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, `<root><device><serviceList><service><serviceType>%s</serviceType><controlURL>/ctl</controlURL></service></serviceList></device></root>`, g.kind)
		return
	}
	b, _ := io.ReadAll(r.Body)
	_, action, _ := strings.Cut(strings.Trim(r.Header.Get("Soapaction"), `"`), "#")
	arg := func(name string) string {
		_, rest, _ := strings.Cut(string(b), "<"+name+">")
		v, _, _ := strings.Cut(rest, "<")
		return v
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.actions = append(g.actions, action)
	key, code, out := arg("NewProtocol")+" "+arg("NewExternalPort"), 0, ""
	switch action {
	case "GetExternalIPAddress":
		out = "<NewExternalIPAddress>" + g.external + "</NewExternalIPAddress>"
	case "AddPortMapping":
		switch {
		case g.taken[key]:
			code = upnpConflict
		case g.permanent && arg("NewLeaseDuration") != "0":
			code = upnpOnlyPermanent
		default:
			g.rules[key] = arg("NewLeaseDuration")
		}
	case "GetSpecificPortMappingEntry":
		if _, ok := g.rules[key]; !ok {
			code = upnpNoSuchEntry
		}
		out = "<NewInternalClient>127.0.0.1</NewInternalClient><NewInternalPort>6881</NewInternalPort>"
	case "DeletePortMapping":
		delete(g.rules, key)
	default:
		code = upnpInvalidAction
	}
	if code != 0 {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>%d</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code)
		return
	}
	fmt.Fprintf(w, `<s:Envelope><s:Body><u:%sResponse>%s</u:%sResponse></s:Body></s:Envelope>`, action, out, action)
}

// igdAt returns a mapper whose router has the description at a URL.
func igdAt(t *testing.T, description string) *Mapper {
	return onLoopback(t, nil, func(q []byte) [][]byte {
		if !strings.HasPrefix(string(q), "M-SEARCH") {
			return nil
		}
		return [][]byte{[]byte("garbage"), fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: %s\r\n\r\n", description)}
	})
}

// TestRoutersWithUPnP checks the answers to the peculiarities of routers.
func TestRoutersWithUPnP(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]*fakeIGD{
		"version 1":                         {kind: wanIP1},
		"version 2 without AddAny":          {kind: wanIP2},
		"PPP":                               {kind: wanPPP1},
		"only permanent leases":             {kind: wanIP1, permanent: true},
		"a taken port":                      {kind: wanIP1, taken: map[string]bool{"TCP 6881": true}},
		"a port that UDP cannot have":       {kind: wanIP1, taken: map[string]bool{"UDP 6881": true}},
		"a taken port and permanent leases": {kind: wanIP1, permanent: true, taken: map[string]bool{"TCP 6881": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.external, g.rules = outside.String(), map[string]string{}
			srv := httptest.NewServer(g)
			defer srv.Close()
			m := igdAt(t, srv.URL+"/desc.xml")
			var kept []Permanent
			m.opt.Keep = func(p []Permanent) { kept = p }
			s := status(t, m)
			tcp, udp := s.Reached(TCP, 6881), s.Reached(UDP, 6881)
			if !tcp.IsValid() || tcp != udp || s.Way != UPnP || s.Err != nil || (tcp.Port() == 6881) != (len(g.taken) == 0) {
				t.Errorf("got %+v", s)
			}
			if len(g.rules) != 0 {
				t.Errorf("left %v", g.rules)
			}
			if len(kept) != 0 || g.permanent && kept == nil {
				t.Errorf("the record of permanent mappings is %v", kept)
			}
			if g.permanent != s.Mappings[0].Permanent {
				t.Errorf("the mapping is permanent: %v", s.Mappings[0].Permanent)
			}
		})
	}
}

// TestPinholes checks that a pinhole of IPv6 is opened, renewed by its identifier and closed.
func TestPinholes(t *testing.T) {
	t.Parallel()
	var actions []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, action, _ := strings.Cut(strings.Trim(r.Header.Get("Soapaction"), `"`), "#")
		if action == "AddPinhole" && !strings.Contains(string(b), "<InternalClient>2001:db8::2</InternalClient><InternalPort>6881</InternalPort><Protocol>17</Protocol><LeaseTime>3600</LeaseTime>") {
			t.Errorf("the request is %s", b)
		}
		if action != "AddPinhole" && !strings.Contains(string(b), "<UniqueID>7</UniqueID>") {
			t.Errorf("%s does not name the pinhole: %s", action, b)
		}
		actions = append(actions, action)
		fmt.Fprintf(w, `<s:Envelope><s:Body><u:%sResponse><UniqueID>7</UniqueID></u:%sResponse></s:Body></s:Envelope>`, action, action)
	}))
	defer srv.Close()
	control, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	local := netip.MustParseAddr("2001:db8::2")
	u := &upnp{net: network{local: local}, client: clientOf(loopback, loopback), timeout: addTime, service: service{firewall, control}}
	q := request{UDP, 6881, 6881, time.Hour}
	g, err := u.add(t.Context(), q, grant{})
	if want := (grant{external: 6881, address: local, lease: time.Hour, id: "7"}); err != nil || g != want {
		t.Fatalf("got %+v, %v", g, err)
	}
	if again, err := u.add(t.Context(), q, g); err != nil || again != g {
		t.Errorf("renewed as %+v, %v", again, err)
	}
	if err := u.remove(t.Context(), q, g); err != nil {
		t.Error(err)
	}
	if want := []string{"AddPinhole", "UpdatePinhole", "DeletePinhole"}; !slices.Equal(actions, want) {
		t.Errorf("the router was asked for %q, want %q", actions, want)
	}
}

// TestOfflineRouterIsSaid checks the error for a router without an external address, as those
// behind another NAT are.
func TestOfflineRouterIsSaid(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(&fakeIGD{kind: wanIP1, rules: map[string]string{}})
	defer srv.Close()
	if s := status(t, hurry(igdAt(t, srv.URL))); !errors.Is(s.Err, ErrNoExternal) {
		t.Errorf("got %+v", s)
	}
}

// TestHostileRoutersWithUPnP checks that answers without end, redirects and lies only prevent the
// mapping, and that no request reaches another server.
func TestHostileRoutersWithUPnP(t *testing.T) {
	t.Parallel()
	victim := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the router has caused a request for %s", r.URL)
	}))
	defer victim.Close()
	for name, h := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, victim.URL, http.StatusTemporaryRedirect)
		},
		"a description without end": func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				if _, err := io.WriteString(w, strings.Repeat("<a></a>", 1000)); err != nil {
					return
				}
			}
			t.Error("7 MB of a description were read")
		},
		"a slow drip": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "<")
				w.(http.Flusher).Flush()
				select {
				case <-time.After(50 * time.Millisecond):
				case <-r.Context().Done():
				}
			}
		},
		"headers without end": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
		},
		"an error":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"no XML":     func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") },
		"no address": (&fakeIGD{kind: wanIP1, external: "me", rules: map[string]string{}}).ServeHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(h)
			defer srv.Close()
			if s := status(t, hurry(igdAt(t, srv.URL))); s.Way != None || s.Err == nil {
				t.Errorf("got %+v", s)
			}
		})
	}
	t.Run("the URL of another host", func(t *testing.T) {
		t.Parallel()
		if s := status(t, hurry(igdAt(t, "http://127.0.0.2:1/desc.xml"))); !errors.Is(s.Err, ErrNoAnswer) {
			t.Errorf("got %+v", s)
		}
	})
}
