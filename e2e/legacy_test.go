package e2e

import "path/filepath"

// tool starts a program of 2005 with a state directory of its own, under its own
// name.
func (h *host) tool(name string, args ...string) *proc {
	h.t.Helper()
	link := filepath.Join(h.t.TempDir(), name)
	command(h.t, "ln", "-s", spateBin, link)
	return h.start(link, args...)
}
