package maker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnmatched checks that each pattern without effect is reported once, and no other.
func TestUnmatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"t/a.txt": []byte("a"), "t/d/b.txt": []byte("b"), "t/d/e/c.bin": []byte("c"), "t/.git/config": []byte("x"), "t/.env": []byte("x"),
	})
	for _, c := range []struct{ path, include, exclude, want string }{
		{"t", "", "*.nfo", "-*.nfo"},
		{"t", "", "*.nfo *.bin", "-*.nfo"},
		{"t", "", "*.nfo,*.txt", "-*.nfo,*.txt"},
		{"t", "", "*.bin c.bin", ""}, // both match
		{"t", "", "d d/b.txt c.bin d/e/*", ""},
		{"t", "", "d d/nothing", "-d/nothing"},
		{"t", "", ".git/* .env .hg/*", "-.hg/*"}, // left out anyway, but not in vain
		{"t", "", "./a.txt /d/e", ""},
		{"t", "", "./b.txt /e", "-./b.txt -/e"},
		{"t", "", "t/a.txt", "-t/a.txt"},
		{"t", "", "A.TXT", "-A.TXT"},
		{"t", "*.txt", "", ""},
		{"t", "*.txt *.nfo", "", "+*.nfo"},
		{"t", "*.txt *.bin", "d/e", "+*.bin"},
		{"t", "a.txt .env", "", "+.env"},
		{"t", "*.none", "", "+*.none"},
		{"t/a.txt", "*.txt", "*.bin", "+*.txt -*.bin"},
	} {
		var got []string
		o := Options{Include: strings.Fields(c.include), Exclude: strings.Fields(c.exclude)}
		o.Unmatched = func(u Unmatched) { got = append(got, map[bool]string{true: "+", false: "-"}[u.Include]+u.Pattern) }
		if _, err := Make(context.Background(), filepath.Join(dir, filepath.FromSlash(c.path)), o); err != nil && !errors.Is(err, ErrEmpty) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Fields(c.want), got); diff != "" && c.want+fmt.Sprint(got) != "[]" {
			t.Errorf("include %q, exclude %q: the reported patterns differ:\n%s", c.include, c.exclude, diff)
		}
	}
	var got []string
	o := Options{Name: "n", Include: []string{"a"}, Exclude: []string{"b"}, Unmatched: func(u Unmatched) { got = append(got, u.Pattern) }}
	if _, err := MakeReader(context.Background(), strings.NewReader("data"), -1, o); err != nil || fmt.Sprint(got) != "[a b]" {
		t.Errorf("MakeReader reported %v, %v; want both patterns", got, err)
	}
}
