package invisible

import (
	"strings"
	"testing"
	"unicode"
)

// TestOfFollowsUnicode compares the table with the properties in the standard library.
func TestOfFollowsUnicode(t *testing.T) {
	t.Parallel()
	notIgnorable := func(r rune) bool {
		return unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark) || 0xfff9 <= r && r <= 0xfffb || 0x13430 <= r && r <= 0x13440
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		ignorable := unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && !notIgnorable(r)
		want := Visible
		switch {
		case r == 0x200c, r == 0x200d, r == 0x34f:
			want = Joiner
		case unicode.Is(unicode.Variation_Selector, r):
			want = Selector
		case 0xe0020 <= r && r <= 0xe007f:
			want = Tag
		case ignorable, unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point),
			r == 0x2800, 0xfff9 <= r && r <= 0xfffb:
			want = Unsafe
		}
		if got := Of(r); got != want {
			t.Errorf("Of(%U) = %d, want %d", r, got, want)
		}
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	cases := []struct{ text, want string }{
		{"plain", "plain"},
		{"naïve 漢字", "naïve 漢字"},
		{"👨\u200d👩\u200d👧\u200d👦", "👨\u200d👩\u200d👧\u200d👦"},
		{"❤️\u200d🔥", "❤️\u200d🔥"},
		{"👍🏽", "👍🏽"},
		{"1️⃣ #️⃣", "1️⃣ #️⃣"},
		{"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"},
		{"می\u200cخواهم", "می\u200cخواهم"},               // Persian
		{"क्\u200dष श्री\u200c", "क्\u200dष श्री\u200c"}, // Hindi
		{"葛\U000e0100城", "葛\U000e0100城"},
		{"a\u200db", "a_b"},
		{"a\u200cb", "a_b"},
		{"\u200dx", "_x"},
		{"é\u200d\u200d\u200c", "é\u200d__"},
		{"a\ufe0fb", "a_b"},
		{"é\ufe0f\ufe0e", "é\ufe0f_"},
		{"漢\ufe00\ufe01\U000e0101", "漢\ufe00__"},
		{"x\U000e0041\U000e007f", "x__"},
		{"🏴\u200d\U000e0067", "🏴\u200d_"},
		{"漢\u200b\u200d", "漢__"}, // what is replaced is no base
		{"a\u200bb\ufeffc\u00add", "a_b_c_d"},
		{"\u3164\u115f\u1160\uffa0\u2800", "_____"},
	}
	for _, c := range cases {
		var f Filter
		got := strings.Map(func(r rune) rune {
			if f.Keep(r) {
				return r
			}
			return '_'
		}, c.text)
		if got != c.want {
			t.Errorf("%+q became %+q, want %+q", c.text, got, c.want)
		}
	}
}
