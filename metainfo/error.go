package metainfo

import (
	"errors"
	"fmt"

	"spate/bencode"
)

// ErrLimit is wrapped by an [Error] if the torrent exceeds one of the [Limits].
var ErrLimit = errors.New("over the limit")

// Error describes an error in a torrent and its location.
type Error struct {
	Field  string // such as "info.files[3].length"; empty if the error is not in one field
	Offset int    // in bytes from the start of the input, or -1
	Reason string // in lower case

	cause error
}

// Error implements error.
func (e *Error) Error() string {
	s := "torrent"
	if e.Field != "" {
		s += ": " + e.Field
	}
	s += ": " + e.Reason
	if e.Offset >= 0 {
		s += fmt.Sprintf(" (byte %d)", e.Offset)
	}
	return s
}

// Unwrap returns [ErrLimit], the underlying *[bencode.SyntaxError], or nil.
func (e *Error) Unwrap() error { return e.cause }

// Warning is a defect that this package accepts but other programs may reject.
type Warning struct {
	Field  string
	Offset int // in bytes from the start of the input, or -1
	Reason string
}

// String returns the warning as one line.
func (w Warning) String() string {
	if w.Field == "" {
		return w.Reason
	}
	return w.Field + ": " + w.Reason
}

// maxWarnings limits MetaInfo.Warnings, because a hostile torrent can have many
// defects.
const maxWarnings = 100

func (p *parser) warn(field string, off int, reason string) {
	switch n := len(p.warnings); {
	case n < maxWarnings:
		p.warnings = append(p.warnings, Warning{field, p.base + off, reason})
	case n == maxWarnings:
		p.warnings = append(p.warnings, Warning{"", -1, "further warnings were dropped"})
	}
}

// warnFile is like warn for the file that is read next.
func (p *parser) warnFile(off int, reason string) {
	field := ""
	if len(p.warnings) < maxWarnings {
		field = fmt.Sprintf("info.files[%d]", len(p.m.Info.Files))
	}
	p.warn(field, off, reason)
}

// fail records the first error and makes the decoder fail, which ends all loops. It always
// returns false, as the result of the calling method.
func (p *parser) fail(field string, off int, format string, args ...any) bool {
	if p.err == nil {
		p.d.Fail(max(off, 0), "")
		if off >= 0 {
			off += p.base
		}
		p.err = &Error{Field: field, Offset: off, Reason: fmt.Sprintf(format, args...)}
	}
	return false
}

// limit is like fail for an exceeded limit.
func (p *parser) limit(field string, off int, format string, args ...any) bool {
	if p.err == nil {
		p.fail(field, off, format, args...)
		p.err.cause = ErrLimit
	}
	return false
}

// syntax converts an error of the decoder to one of the parser.
func (p *parser) syntax(field string, d *bencode.Decoder) bool {
	err := d.Err()
	if err == nil {
		return p.err == nil
	}
	if p.err == nil {
		var s *bencode.SyntaxError
		errors.As(err, &s)
		p.fail(field, s.Offset, "%s", s.Reason)
		p.err.cause = err
		if errors.Is(err, bencode.ErrLimit) {
			p.err.cause = fmt.Errorf("%w: %w", ErrLimit, err)
		}
	}
	return false
}
