package e2e

import "path/filepath"

// tool starts one of the tools of 2005 through a link with its name.
func (h *host) tool(name string, args ...string) *proc {
	h.t.Helper()
	link := filepath.Join(h.t.TempDir(), name)
	command(h.t, "ln", "-s", spateBin, link)
	return h.start(link, args...)
}
