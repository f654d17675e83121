package cli

import "runtime/debug"

// gcPercent is the garbage collector's target (GOGC) for verbs that read or make a torrent and
// end. A torrent of a million files takes 440 MB instead of 530 MB to make with it, for a
// sixth more CPU time.
const gcPercent = 30

// saveMemory makes the garbage collector run more often, because most of the memory of these
// verbs is the list of files, which lives until the end. It keeps a value that the user has set
// in GOGC.
func (a *app) saveMemory() {
	if a.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
