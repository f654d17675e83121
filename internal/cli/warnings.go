package cli

import "sync"

// warnings holds the warnings of a command that none of its results contains yet.
type warnings struct {
	mu   sync.Mutex
	list []string
}

// warn prints a warning about the data or the torrent of a command, and records it for the next
// result that the command prints as JSON.
func (a *app) warn(text string) {
	a.Warnf("%s", text)
	a.warned.mu.Lock()
	defer a.warned.mu.Unlock()
	a.warned.list = append(a.warned.list, text)
}

// takeWarnings returns the recorded warnings and forgets them.
func (a *app) takeWarnings() []string {
	a.warned.mu.Lock()
	defer a.warned.mu.Unlock()
	list := a.warned.list
	a.warned.list = nil
	return list
}
