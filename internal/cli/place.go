package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"spate/internal/fault"

	"spate"
)

// place is where the data of a torrent lies or is to lie. Any number of processes
// share a state directory, and a torrent may be in several places at once: what is
// remembered of it, and the locks that keep others out, belong to the place.
type place struct {
	resume string // directory of the resume data
	locks  []*os.File
}

// takePlace makes sure that no other process with the same state works on the
// torrent in the place dir/name or, if this one is to write there, on any.
func takePlace(state, dir, name string, ih spate.InfoHash, writes bool) (p place, err error) {
	key, path, err := placeName(dir, name)
	if err != nil {
		return p, err
	}
	p.resume = filepath.Join(state, key)
	locks := []string{ih.String() + ".lock"}
	if writes {
		locks = append(locks, "write.lock")
	}
	for _, l := range locks {
		f, err := lockFile(filepath.Join(p.resume, l), path)
		if errors.Is(err, errLocked) {
			err = fault.WithHint(err, "stop that process first, or choose another directory")
		}
		if err != nil {
			p.leave()
			return place{}, err
		}
		p.locks = append(p.locks, f)
	}
	return p, nil
}

// placeName returns what the place dir/name is called in a state directory, and its
// path with the links of dir resolved.
func placeName(dir, name string) (key, path string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	path = filepath.Join(dir, name)
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:10]), path, nil
}

// leave lets others in.
func (p *place) leave() {
	for _, f := range p.locks {
		f.Close()
	}
	p.locks = nil
}
