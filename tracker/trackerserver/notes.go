package trackerserver

import (
	"errors"
	"fmt"
	"strings"

	"spate"
	"spate/tracker"
)

// remark is the content of Options.Notes for one torrent.
type remark struct {
	warning string
	failure *Refusal
}

// readNotes reads Options.Notes and replaces all remarks at once. On an error the old ones
// stay.
func (s *Server) readNotes() error {
	if s.opts.Notes == "" {
		return nil
	}
	b, err := s.readFile(s.opts.Notes)
	if err != nil {
		return fmt.Errorf("notes on torrents: %w", err)
	}
	remarks, err := parseNotes(b)
	if err != nil {
		return fmt.Errorf("notes on torrents: %s: %w", s.opts.Notes, err)
	}
	s.remarks.Store(&remarks)
	return nil
}

// parseNotes parses the file Options.Notes.
func parseNotes(b []byte) (map[spate.InfoHash]remark, error) {
	out := map[spate.InfoHash]remark{}
	err := eachLine(b, func(line string) error {
		hash, rest, _ := strings.Cut(line, " ")
		kind, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
		text = strings.TrimSpace(text)
		ih, err := parseHash(hash)
		if err != nil {
			return err
		}
		r := out[ih]
		switch {
		case text == "" || kind != "warning" && kind != "failure":
			return errors.New("want an info-hash, the word warning or failure, and a text")
		case kind == "warning":
			r.warning = text
		default:
			r.failure = &Refusal{Reason: text, Never: true}
		}
		out[ih] = r
		return nil
	})
	return out, err
}

// parseHash parses an info-hash of version 1 or 2, and truncates the latter (BEP 52).
func parseHash(s string) (spate.InfoHash, error) {
	if len(s) != 2*len(spate.InfoHashV2{}) {
		return spate.ParseInfoHash(s)
	}
	v2, err := spate.ParseInfoHashV2(s)
	return v2.Truncate(), err
}

// remarked applies the remark about a torrent: it returns n, or a copy with the warning, or
// the refusal.
func (s *Server) remarked(ih *spate.InfoHash, n *tracker.Note) (*tracker.Note, *Refusal) {
	remarks := s.remarks.Load()
	if remarks == nil {
		return n, nil
	}
	r, ok := (*remarks)[*ih]
	switch {
	case !ok:
		return n, nil
	case r.failure != nil:
		return n, r.failure
	}
	var with tracker.Note
	if n != nil {
		with = *n
	}
	with.Warning = r.warning
	return &with, nil
}
