package trackerclient_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"spate/internal/netguard/guardtest"
	"spate/tracker/trackerclient"
)

// serveOn serves f on l, and returns its port.
func serveOn(t *testing.T, l net.Listener, f http.HandlerFunc) string {
	t.Helper()
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	s.Start()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestRedirectsDoNotReachLocalAddresses checks that a tracker at a public address, over
// IPv4 or a slow IPv6, cannot redirect to this machine or the local network. If the address
// of a host name changes, the dialled address counts.
func TestRedirectsDoNotReachLocalAddresses(t *testing.T) {
	const public4, public6, lan = "198.51.100.7", "2001:db8::7", "10.9.9.9"
	if !guardtest.InNamespace(t, public4, public6, lan, "169.254.169.254") {
		return
	}
	var asked atomic.Int32
	count := func(http.ResponseWriter, *http.Request) { asked.Add(1) }
	inside := serveOn(t, listen(t, "127.0.0.1:0"), count)
	for _, host := range []string{lan, "169.254.169.254"} {
		serveOn(t, listen(t, host+":"+inside), count)
	}
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.URL.Query().Get("to")+":"+inside+"/announce", http.StatusFound)
	}
	four := serveOn(t, listen(t, public4+":0"), redirect)
	six := serveOn(t, guardtest.ListenSlowly(t, "["+public6+"]:0"), redirect)
	var lookups atomic.Int32
	c := newClient(t, trackerclient.Options{Resolver: guardtest.Resolver(func(name string) []string {
		switch {
		case name == "four.test", name == "changes.test" && lookups.Add(1) <= 2: // the first lookup, which is one query for each family
			return []string{public4}
		case name == "six.test":
			return []string{public6, "127.0.0.1"}
		}
		return []string{"127.0.0.1"}
	})})
	if _, err := c.Announce(t.Context(), "http://changes.test:"+inside+"/admin", request()); !errors.Is(err, trackerclient.ErrForbiddenAddress) || asked.Load() != 0 {
		t.Fatalf("a name that changes: %v", err)
	}
	for _, from := range []string{"four.test:" + four, "six.test:" + six} {
		for _, to := range []string{"127.0.0.1", lan, "169.254.169.254", "inside.test"} {
			_, err := c.Announce(t.Context(), "http://"+from+"/announce?to="+to, request())
			if err == nil || asked.Load() != 0 {
				t.Fatalf("from %s to %s: %v, asked %d times", from, to, err, asked.Load())
			}
		}
	}
}

// TestUDPSendsNothingToForbiddenAddresses checks that no packet goes to a forbidden address
// of a host name, whatever other addresses the name has.
func TestUDPSendsNothingToForbiddenAddresses(t *testing.T) {
	const lan, metadata = "10.9.9.9", "169.254.169.254"
	if !guardtest.InNamespace(t, lan, metadata) {
		return
	}
	var got [3]atomic.Int32
	port := "0"
	for i, host := range []string{"127.0.0.1", lan, metadata} {
		pc, err := net.ListenPacket("udp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		_, port, _ = net.SplitHostPort(pc.LocalAddr().String())
		go func() {
			b := make([]byte, 100)
			for {
				if _, _, err := pc.ReadFrom(b); err != nil {
					return
				}
				got[i].Add(1)
			}
		}()
	}
	c := newClient(t, trackerclient.Options{UDPTimeout: time.Millisecond, Resolver: guardtest.Names(map[string][]string{
		"all.test": {metadata, "127.0.0.1", lan}, "metadata.test": {metadata}, "local.test": {"127.0.0.1", "::1"},
	})})
	for url, forbidden := range map[string]bool{
		"udp://metadata.test:" + port: true, "udp://metadata.test:" + port + "/announce": true,
		"udp://local.test:" + port + "/admin": true, "udp://local.test:" + port + "/announce/../admin": true, "udp://local.test:" + port + "/announce/%2e%2e/admin": true,
		"udp://all.test:" + port + "/admin": false,
	} {
		_, err := c.Announce(t.Context(), url, request())
		if errors.Is(err, trackerclient.ErrForbiddenAddress) != forbidden {
			t.Errorf("%s: %v", url, err)
		}
	}
	if a, b, m := got[0].Load(), got[1].Load(), got[2].Load(); a != 0 || b == 0 || m != 0 {
		t.Errorf("%d packets to this machine, %d to the local network, %d to the metadata service", a, b, m)
	}
}
