package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spate/internal/fault"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain.iso":         "plain.iso",
		"naïve 日本語 👍.txt":   "naïve 日本語 👍.txt",
		"\x1b[2J":           `\x1b[2J`,
		"a\nb\tc":           `a\nb\tc`,
		"a\u202egpj.exe":    `a\u202egpj.exe`,
		"\u009b31m":         `\x9b31m`,
		"\xff\xfe":          `\xff\xfe`,
		"zero\u200bwidth":   `zero\u200bwidth`,
		"\u2028":            `\u2028`,
		"tag\U000e0041":     `tag\U000e0041`,
		"\ufffd is allowed": "\ufffd is allowed",
	} {
		if got := escape(in); got != want {
			t.Errorf("escape(%q) = %q, want %q", in, got, want)
		}
	}
	if got := escapeText("a\tb\n\x1b"); got != "a\tb\n"+`\x1b` {
		t.Errorf("escapeText: %q", got)
	}
}

func TestJSONIsSafeAndTrue(t *testing.T) {
	in := "a\u202e\u009b\U000e0041<&>\n"
	b, _ := json.Marshal(in)
	out := escapeJSON(b)
	if strings.ContainsAny(string(out), "\u202e\u009b\U000e0041") {
		t.Errorf("not safe: %q", out)
	}
	var back string
	if err := json.Unmarshal(out, &back); err != nil || back != in {
		t.Errorf("%q became %q, %v", in, back, err)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fault.Usagef("x"), 2},
		{fs.ErrNotExist, 3},
		{fault.New(fault.BadData, "", "x"), 4},
		{context.DeadlineExceeded, 5},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 6},
		{fault.New(fault.Interrupted, "", "x"), 7},
		{&net.OpError{Op: "write", Err: syscall.ENOSPC}, 9},
		{fault.WithHint(fs.ErrExist, "h"), 13},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("exitCode(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

// A run with a clock that steps shows one line for every 5 %, and one after 30
// quiet seconds.
func TestProgressLines(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	a := newApp(Env{Stderr: &out, Now: func() time.Time { return now }})
	p := a.newProgress("hashing")
	for done := int64(0); done <= 1000; done++ {
		now = now.Add(10 * time.Millisecond)
		p.update(done, 1000)
	}
	p.finish()
	p.update(1, 2)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 20 || !strings.HasPrefix(lines[0], "hashing: 5 %") || !strings.HasPrefix(lines[19], "hashing: 100 %") {
		t.Errorf("%d lines:\n%s", len(lines), out.String())
	}
	out.Reset()
	p = a.newProgress("waiting")
	for range 65 {
		now = now.Add(time.Second)
		p.update(0, 1000)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines in 65 quiet seconds:\n%s", n, out.String())
	}
	out.Reset()
	a.quiet = true
	a.newProgress("quiet").update(1, 1)
	if out.Len() > 0 {
		t.Errorf("-q shows %q", out.String())
	}
}

func TestLockNamesHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "lock")
	f, err := lockFile(path, "the state directory")
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockFile(path, "the state directory")
	if want := fmt.Sprintf("in use by process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second lock: %v, want %q", err, want)
	}
	f.Close()
	if f, err = lockFile(path, "the state directory"); err != nil {
		t.Error("after the holder is gone:", err)
	}
	f.Close()
}

func TestSignals(t *testing.T) {
	signals := make(chan os.Signal, 2)
	var out bytes.Buffer
	signals <- syscall.SIGTERM
	block := make(chan struct{})
	defer close(block)
	// Standard output that takes nothing stands for a verb that hangs.
	env := Env{Args: []string{"version"}, Stdout: blockingWriter{block}, Stderr: &out, Signals: signals}
	signals <- os.Interrupt
	if code := Main(env); code != codeKilled {
		t.Errorf("exit code %d after two signals", code)
	}
}

type blockingWriter struct{ c chan struct{} }

func (w blockingWriter) Write(p []byte) (int, error) { <-w.c; return len(p), nil }
