package torrentfile

import "io/fs"

// umask returns 0, because Windows has no file modes.
func umask() fs.FileMode { return 0 }
