package cli

import "testing"

// TestToolsAskNoRouter checks that the tools of 2005 do not ask the router to open ports: they say
// that --upnp_nat_access has no effect.
func TestToolsAskNoRouter(t *testing.T) {
	t.Parallel()
	a := newApp(Env{Environ: []string{"HOME=" + t.TempDir()}})
	c, _, err := a.toolSession()
	if err != nil || c.PortMap != nil {
		t.Errorf("the configuration of port mapping is %v, %v; want none", c.PortMap, err)
	}
}
