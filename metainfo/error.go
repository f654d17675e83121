package metainfo

import (
	"errors"
	"fmt"

	"spate/bencode"
)

// ErrLimit is the cause of an [Error] that stands for one of [Limits].
var ErrLimit = errors.New("over the limit")

// Error says what is wrong with a torrent and where.
type Error struct {
	Field  string // such as "info.files[3].length"; empty for the torrent as a whole
	Offset int    // byte in the input, or -1
	Reason string // lower case

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

// Unwrap returns [ErrLimit], the *[bencode.SyntaxError] underneath, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Warning is something that was accepted though another program may not.
type Warning struct {
	Field  string
	Offset int // byte in the input, or -1
	Reason string
}

// String returns the warning as one line.
func (w Warning) String() string {
	if w.Field == "" {
		return w.Reason
	}
	return w.Field + ": " + w.Reason
}

// mostWarnings bounds MetaInfo.Warnings: a hostile torrent has many.
const mostWarnings = 100

func (p *parser) warn(field string, off int, reason string) {
	switch n := len(p.warnings); {
	case n < mostWarnings:
		p.warnings = append(p.warnings, Warning{field, p.base + off, reason})
	case n == mostWarnings:
		p.warnings = append(p.warnings, Warning{"", -1, "there are more warnings than these"})
	}
}

// warnFile is warn for the file that is read next.
func (p *parser) warnFile(off int, reason string) {
	field := ""
	if len(p.warnings) < mostWarnings {
		field = fmt.Sprintf("info.files[%d]", len(p.m.Info.Files))
	}
	p.warn(field, off, reason)
}

// fail keeps the first error and makes the decoder stop, so that every loop
// ends. It returns false for use in conditions.
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

// limit is fail for a crossed limit.
func (p *parser) limit(field string, off int, format string, args ...any) bool {
	if p.err == nil {
		p.fail(field, off, format, args...)
		p.err.cause = ErrLimit
	}
	return false
}

// syntax turns an error of the decoder into the parser's.
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
