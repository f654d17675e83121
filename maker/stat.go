package maker

import (
	"fmt"
	"os"

	"spate/internal/filestat"
)

// fileStat is the state of a file that is compared to find changes.
type fileStat struct {
	size     int64
	mtime    int64  // in nanoseconds since 1970
	ctime    int64  // when the data or an attribute last changed, in nanoseconds since 1970; 0 if unknown
	dev, ino uint64 // 0 if the system has none
}

func statOf(fi os.FileInfo) fileStat {
	return fileStat{
		size: fi.Size(), mtime: fi.ModTime().UnixNano(), ctime: filestat.ChangeTime(fi),
		dev: filestat.Device(fi), ino: filestat.Inode(fi),
	}
}

// ChangedError is returned for a file that changed while it was hashed.
type ChangedError struct {
	Path string // path that was opened
	// What is "removed", "replaced", "resized", "modified", or "changed" if the modification time
	// is the same: the permissions or links changed, or the data and the time was put back.
	What string
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
	case before.ctime != now.ctime && before.ctime != 0 && now.ctime != 0:
		return "changed"
	}
	return ""
}
