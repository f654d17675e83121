package webseed

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"spate/internal/netguard"
	"spate/internal/netguard/guardtest"
)

// TestRedirectsDoNotReachLocalAddresses checks that a public server, over IPv4 or a slow
// IPv6, cannot redirect to this machine or the local network. No URL with a query is
// requested from these, whatever its host name. If the address of a name changes, the
// dialled address counts.
func TestRedirectsDoNotReachLocalAddresses(t *testing.T) {
	const public4, public6, lan, metadata = "198.51.100.7", "2001:db8::7", "10.9.9.9", "169.254.169.254"
	if !guardtest.InNamespace(t, public4, public6, lan, metadata) {
		return
	}
	serve := func(l net.Listener, f http.HandlerFunc) string {
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
		s.Start()
		t.Cleanup(s.Close)
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return port
	}
	listen := func(address string) net.Listener {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	var asked, lookups atomic.Int32
	count := func(http.ResponseWriter, *http.Request) { asked.Add(1) }
	inside := serve(listen("127.0.0.1:0"), count)
	for _, host := range []string{lan, metadata} {
		serve(listen(host+":"+inside), count)
	}
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.URL.Path[1:]+":"+inside+"/x", http.StatusFound)
	}
	four := serve(listen(public4+":0"), redirect)
	six := serve(guardtest.ListenSlowly(t, "["+public6+"]:0"), redirect)
	c := NewClient(Options{Stall: time.Minute, Resolver: guardtest.Resolver(func(name string) []string {
		switch {
		case name == "four.test", name == "changes.test" && lookups.Add(1) <= 2: // the first lookup, which is one query for each family
			return []string{public4}
		case name == "six.test":
			return []string{public6, "127.0.0.1"}
		case name == "lan.test":
			return []string{lan}
		}
		return []string{"127.0.0.1"}
	})})
	defer c.Close()
	forbidden := func(u string) {
		t.Helper()
		_, err := read(c, source(t, single(t, "x", 9), u), 0, 9, 9)
		if !errors.Is(err, netguard.ErrForbidden) || asked.Load() != 0 {
			t.Errorf("%s: %v, asked %d times", u, err, asked.Load())
		}
	}
	for _, from := range []string{"four.test:" + four, "six.test:" + six} {
		for _, to := range []string{"127.0.0.1", lan, metadata, "inside.test", "lan.test"} {
			forbidden("http://" + from + "/" + to)
		}
	}
	lookups.Store(0)
	forbidden("http://changes.test:" + four + "/changes.test")
	for _, host := range []string{"inside.test", "lan.test", lan, "localhost"} {
		forbidden("http://" + host + ":" + inside + "/x?reboot=1")
	}
	forbidden("http://" + metadata + ":" + inside + "/x")
}
