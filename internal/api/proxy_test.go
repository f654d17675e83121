package api

import (
	"net/http"
	"testing"
)

// TestRemoteClientUsesNoProxy checks that a client of a remote daemon does not send its token
// through a proxy of the environment.
func TestRemoteClientUsesNoProxy(t *testing.T) {
	t.Parallel()
	c, err := NewRemote("https://daemon.example", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if transport, ok := c.http.Transport.(*http.Transport); !ok || transport.Proxy != nil {
		t.Errorf("the transport is %#v, want one without a proxy", c.http.Transport)
	}
}
