package maker

import (
	"fmt"
	"os"
)

// fileStat is the state of a file that is compared to find changes.
type fileStat struct {
	size     int64
	mtime    int64  // in nanoseconds since 1970
	dev, ino uint64 // 0 if the system has none
}

func statOf(fi os.FileInfo) fileStat {
	s := fileStat{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	s.dev, s.ino = inodeOf(fi)
	return s
}

// ChangedError is returned for a file that changed while it was hashed.
type ChangedError struct {
	Path string // path that was opened
	What string // "removed", "replaced", "resized" or "modified"
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s was %s while it was hashed; try again when no program writes to it", e.Path, e.What)
}

// changed returns the kind of the difference between before and now, as in
// ChangedError.What, or "" if they are equal.
func (before fileStat) changed(now fileStat) string {
	switch {
	case before.ino != now.ino || before.dev != now.dev:
		return "replaced"
	case before.size != now.size:
		return "resized"
	case before.mtime != now.mtime:
		return "modified"
	}
	return ""
}
