// Package filetrust checks who else can change or read the files that decide what the program does
// or that are secret: configuration files, keys, passwords, tokens, lists of a tracker and the state
// directory. It opens them so that no other user can plant them in a directory such as /tmp.
//
// The rule is that of ssh, but milder where a refusal would stop working setups. What every user
// can do is refused, and what a group or another user can do is a warning:
//
//   - every user can change the file: refused
//   - another user, except root, has put the file or a link to it into a directory in which every
//     user can create files: refused
//   - a group can change it, except the private group of its owner: a warning
//   - it belongs to another user, except root: a warning
//   - every user can replace it, because its directory has mode 0777: a warning
//   - it is secret, and every user or the group of this user can read it: a warning
//
// On Windows there are no modes, and the package checks nothing.
package filetrust

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"spate/internal/folder"
)

// Kind says what other users gain from a file.
type Kind int

// The kinds.
const (
	Power  Kind = iota // a user who can change the file decides what the program does
	Secret             // also, a user who can read the file learns a secret
)

// Warn receives the weaknesses that are no reason to refuse a file.
type Warn func(format string, args ...any)

// ErrUnsafe is the cause of the errors about files that are refused.
var ErrUnsafe = errors.New("the file is not safe")

// RefusedError reports a file that every user can change or has planted.
type RefusedError struct {
	Path string
	Why  string // what another user can do, after the path
	Fix  string // what to do about it
}

// Error implements error.
func (e *RefusedError) Error() string { return e.Path + " " + e.Why + ": " + e.Fix }

// Unwrap returns [ErrUnsafe].
func (e *RefusedError) Unwrap() error { return ErrUnsafe }

// Read returns the content of the file at path, which may be a link or a pipe because the user chose
// it. It returns a [*folder.SizeError] if the file has more than limit bytes, and a [*RefusedError]
// if the file is refused.
func Read(path string, limit int64, kind Kind, warn Warn) ([]byte, error) {
	f, err := Open(path, kind, warn)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &folder.SizeError{Path: path, Limit: limit}
	}
	return b, err
}

// Open opens the file at path for reading, and checks the open file.
func Open(path string, kind Kind, warn Warn) (*os.File, error) {
	flags, err := planted(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|flags, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = check(path, info, kind, warn)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Check checks the file or directory at path, for callers that open it in another way. A missing
// file is no error.
func Check(path string, kind Kind, warn Warn) error {
	if _, err := planted(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil // opening it returns the error
	}
	return check(path, info, kind, warn)
}

// OpenAppend opens the file at path for appending, and creates it with the given mode if it is
// missing. It returns a [*RefusedError] for a file or a link that another user has planted, and an
// error for a pipe that no program reads.
func OpenAppend(path string, mode fs.FileMode) (*os.File, error) {
	flags, err := planted(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|appendFlags|flags, mode)
	if isNoReader(err) {
		return nil, fmt.Errorf("%s is a pipe that no program reads", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if s, ok := subjectOf(path, info, err); ok && s.planted() {
		f.Close()
		return nil, s.refused(path)
	}
	return f, nil
}

// check checks an open file or a directory.
func check(path string, info fs.FileInfo, kind Kind, warn Warn) error {
	s, ok := subjectOf(path, info, nil)
	if !ok {
		return nil
	}
	if s.planted() {
		return s.refused(path)
	}
	for _, w := range judge(path, s, kind) {
		if w.refuse {
			return &RefusedError{path, w.why, w.fix}
		}
		if warn != nil {
			warn("%s %s: %s", path, w.why, w.fix)
		}
	}
	return nil
}

// subject holds the attributes of a file that judge compares.
type subject struct {
	mode    fs.FileMode
	dirMode fs.FileMode // mode of the directory if every user can write to it, or else 0
	uid, me uint32      // the owner, and the user of this process
	private bool        // the group of the file contains only its owner
}

// subjectOf returns the attributes of a file, and whether they can be judged. Pipes and devices,
// such as /dev/null, cannot.
func subjectOf(path string, info fs.FileInfo, err error) (s subject, ok bool) {
	if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return s, false
	}
	o, ok := ownerOf(info)
	s = subject{mode: info.Mode(), uid: o.uid, me: myUID(), private: info.Mode()&0o060 != 0 && privateGroup(o)}
	for _, p := range []string{path, real(path)} {
		if above, err := os.Stat(filepath.Dir(p)); err == nil && above.Mode()&0o002 != 0 {
			s.dirMode = above.Mode()
		}
	}
	return s, ok
}

// foreign reports whether the file belongs to another user, except root.
func (s *subject) foreign() bool { return s.uid != s.me && s.uid != 0 }

// planted reports whether another user has put the file into a directory such as /tmp.
func (s *subject) planted() bool { return s.dirMode&fs.ModeSticky != 0 && s.foreign() }

// refused returns the error about a planted file.
func (s *subject) refused(path string) error { return plantedError(path, s.uid) }

// plantedError returns the error about an entry that the user uid has planted.
func plantedError(path string, uid uint32) error {
	return &RefusedError{path, "is in a directory to which every user can write, and belongs to another user (" + userName(uid) + ")", "name a file in another directory"}
}

// real returns the path of the target if path is a link.
func real(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}

// weakness describes what another user can do with a file. why continues a sentence that starts with
// the path.
type weakness struct {
	why, fix string
	refuse   bool
}

// judge returns the weaknesses of the file at path, the first of those that are refused first.
func judge(path string, s subject, kind Kind) (list []weakness) {
	perm := s.mode.Perm()
	tighten := "chmod go-w " + path
	if kind == Secret && !s.mode.IsDir() {
		tighten = "chmod 600 " + path
	}
	add := func(refuse bool, why, fix string) { list = append(list, weakness{why, fix, refuse}) }
	switch {
	case perm&0o002 != 0 && !s.mode.IsDir():
		add(true, "can be changed by every user", tighten)
	case perm&0o002 != 0:
		add(false, "can be changed by every user", tighten)
	case perm&0o020 != 0 && !s.private:
		add(false, "can be changed by its group", tighten)
	}
	if s.foreign() {
		add(false, "belongs to another user ("+userName(s.uid)+")", "use a copy of your own, or chown it")
	}
	if s.dirMode&0o002 != 0 && s.dirMode&fs.ModeSticky == 0 {
		add(false, "can be replaced by every user", "chmod o-w "+filepath.Dir(path))
	}
	if kind == Secret && !s.mode.IsDir() {
		switch {
		case perm&0o004 != 0:
			add(false, "can be read by every user", tighten)
		case perm&0o040 != 0 && s.uid == s.me && !s.private:
			add(false, "can be read by its group", tighten)
		}
	}
	return list
}
