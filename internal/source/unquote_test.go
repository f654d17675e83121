package source

import (
	"os"
	"testing"
)

// TestUnquote checks that blanks, line ends and quotes around pasted text are removed, and
// nothing else.
func TestUnquote(t *testing.T) {
	t.Parallel()
	const link = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=a%20b"
	for before, after := range map[string]string{"": "", " ": "", "\n\t": "", "<": ">", "\"": "\"", " <\u00ab": "\u00bb> \n", "\u201c": "\u201d", "'": "'\r\n", "\u00a0": "\u00a0"} {
		if got := Unquote(before + link + after); got != link {
			t.Errorf("%q: got %q", before+link+after, got)
		}
	}
	for _, same := range []string{"", "x", "-", "it's", "a b", "<a", "a>", "\"", "'", "<", "a \"b\"", link} {
		if got := Unquote(same); got != same {
			t.Errorf("%q: got %q", same, got)
		}
	}
}

// TestUnquoteArgPrefersFile checks that the name of an existing file is not changed.
func TestUnquoteArgPrefersFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := UnquoteArg(" 'x.torrent'"); got != "x.torrent" {
		t.Errorf("without such a file: %q", got)
	}
	if err := os.WriteFile(" 'x.torrent'", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := UnquoteArg(" 'x.torrent'"); got != " 'x.torrent'" {
		t.Errorf("with such a file: %q", got)
	}
}
