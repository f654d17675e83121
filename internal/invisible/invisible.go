// Package invisible finds the characters of a text that a reader cannot see, and those that
// reorder the text or end the line. Names of files, terminals and pages treat them by this
// one table.
package invisible

// Class says what a reader sees of a character.
type Class uint8

const (
	// Visible characters show something, or are ordinary spaces.
	Visible Class = iota
	// Unsafe characters show nothing, reorder the text, or control a terminal: control
	// characters, separators of lines, bidirectional controls, noncharacters, and all
	// characters that Unicode calls Default_Ignorable_Code_Point, except those of the
	// other classes. They also include the blank of Braille.
	Unsafe
	// Joiner characters join or separate the characters around them. Scripts such as
	// Persian and Hindi need them, and so do emoji.
	Joiner
	// Selector characters select a variant of the character before them.
	Selector
	// Tag characters spell the region of a flag, after the emoji of a black flag.
	Tag
)

// Of returns the class of r.
func Of(r rune) Class {
	switch {
	case r < 0x300:
		return ofLatin(r)
	case 0x3165 <= r && r < 0xfdd0: // most letters of East Asia, and private use
		return Visible
	case r < 0x2000:
		return ofLow(r)
	case r < 0x3165:
		return ofPunctuation(r)
	case r <= 0xffff:
		return ofSpecials(r)
	}
	return ofHigh(r)
}

func ofLatin(r rune) Class {
	if r < 0x20 || 0x7f <= r && r < 0xa0 || r == 0xad { // U+00AD is the soft hyphen
		return Unsafe
	}
	return Visible
}

func ofLow(r rune) Class {
	switch r {
	case 0x034f: // combining grapheme joiner
		return Joiner
	case 0x180b, 0x180c, 0x180d, 0x180f: // variants of Mongolian letters
		return Selector
	case 0x061c, // bidirectional
		0x115f, 0x1160, // fillers of Hangul
		0x17b4, 0x17b5, // inherent vowels of Khmer
		0x180e: // vowel separator of Mongolian
		return Unsafe
	}
	return Visible
}

func ofPunctuation(r rune) Class {
	switch {
	case r == 0x200c, r == 0x200d:
		return Joiner
	case 0x200b <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f,
		r == 0x2800, // blank of Braille
		r == 0x3164: // filler of Hangul
		return Unsafe
	}
	return Visible
}

func ofSpecials(r rune) Class {
	switch {
	case 0xfe00 <= r && r <= 0xfe0f:
		return Selector
	case 0xfdd0 <= r && r <= 0xfdef, r == 0xfeff, r == 0xffa0, 0xfff0 <= r && r <= 0xfffb, r >= 0xfffe:
		return Unsafe
	}
	return Visible
}

func ofHigh(r rune) Class {
	switch {
	case 0xe0020 <= r && r <= 0xe007f:
		return Tag
	case 0xe0100 <= r && r <= 0xe01ef:
		return Selector
	case 0xe0000 <= r && r <= 0xe0fff,
		0x1bca0 <= r && r <= 0x1bca3, 0x1d173 <= r && r <= 0x1d17a, // shorthand and musical notation
		r&0xfffe == 0xfffe: // noncharacters
		return Unsafe
	}
	return Visible
}

// Filter decides for each character of a text whether it may stay, so that a reader can see
// that it is there. The zero value is at the start of a text.
//
// A joiner, a selector or a tag may stay if it can have an effect on the visible character
// before it, as in an emoji of a family. Otherwise it is a hidden difference between two
// texts that look the same. The decision depends only on the characters before, so that the
// start of an accepted text is also accepted.
type Filter struct {
	base rune  // the last visible character; 0 if there is none
	last Class // class of the last character
}

// Keep reports whether r may stay after the characters that Keep was called with before.
func (f *Filter) Keep(r rune) bool {
	class := Of(r)
	keep := class == Visible
	switch class {
	case Visible:
		f.base = r
	case Unsafe:
		f.base = 0
	case Joiner:
		keep = f.base >= 0xa0 && f.last != Joiner
	case Selector:
		keep = (f.base >= 0xa0 || isKeycap(f.base)) && f.last == Visible
	case Tag:
		keep = f.base == 0x1f3f4 && (f.last == Visible || f.last == Tag)
	}
	if keep {
		f.last = class
	}
	return keep
}

// isKeycap reports whether an emoji of a key starts with r.
func isKeycap(r rune) bool { return '0' <= r && r <= '9' || r == '#' || r == '*' }
