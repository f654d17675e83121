package maker

import (
	"fmt"
	"os"
)

// fileStat is what tells that a file is still the one that was scanned.
type fileStat struct {
	size     int64
	mtime    int64  // nanoseconds since 1970
	dev, ino uint64 // 0 where the system has none
}

func statOf(fi os.FileInfo) fileStat {
	s := fileStat{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	s.dev, s.ino = inodeOf(fi)
	return s
}

// ChangedError is a file that did not stay the same while it was hashed.
type ChangedError struct {
	Path string // as it was opened
	What string // "removed", "replaced", "resized" or "modified"
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s was %s while it was hashed; try again when nothing writes to it", e.Path, e.What)
}

// changed says how now differs from before; "" means not at all.
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
