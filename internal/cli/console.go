package cli

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// console is standard error: lines, and at most one bar below them when it is a
// terminal. Safe for concurrent use.
type console struct {
	mu  sync.Mutex
	w   io.Writer
	tty *os.File // nil: no terminal, no bars
	bar string
	log io.Writer // takes the lines while a screen has the terminal; nil: no screen

	results []byte // of standard output, which is the screen's meanwhile
}

func newConsole(w io.Writer, termVar string) *console {
	c := &console{w: w}
	if f, ok := w.(*os.File); ok && termVar != "dumb" && term.IsTerminal(int(f.Fd())) {
		c.tty = f
	}
	return c
}

// Write writes whole lines above the bar.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log != nil {
		return c.log.Write(p)
	}
	if c.bar == "" {
		return c.w.Write(p)
	}
	io.WriteString(c.w, "\r\x1b[K")
	n, err := c.w.Write(p)
	io.WriteString(c.w, c.bar)
	return n, err
}

// giveUp lets a screen have the terminal: lines go to log until it is nil again.
func (c *console) giveUp(log io.Writer) {
	c.clearBar()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = log
}

// keep takes a result while a screen has the terminal, and reports whether one
// has.
func (c *console) keep(result string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log == nil {
		return false
	}
	c.results = append(c.results, result...)
	return true
}

// kept returns the results that were kept.
func (c *console) kept() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.results
	c.results = nil
	return b
}

// line writes one line, which must be harmless already.
func (c *console) line(s string) { c.Write([]byte(s + "\n")) }

// setBar draws s, cut to the terminal's width, in place of the bar before.
func (c *console) setBar(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tty == nil || c.log != nil {
		return
	}
	if r := []rune(s); len(r) > c.width()-1 {
		s = string(r[:c.width()-1])
	}
	if s != c.bar {
		c.bar = s
		io.WriteString(c.w, "\r"+s+"\x1b[K")
	}
}

func (c *console) clearBar() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != "" {
		c.bar = ""
		io.WriteString(c.w, "\r\x1b[K")
	}
}

func (c *console) width() int {
	if w, _, err := term.GetSize(int(c.tty.Fd())); err == nil && w > 20 {
		return w
	}
	return 80
}
