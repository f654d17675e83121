package term

import (
	"io"
	"os"
	"sync"

	"github.com/charmbracelet/x/ansi"
	xterm "golang.org/x/term"
)

// console writes to standard error: lines and, if standard error is a terminal, at most one bar
// below them. It is safe for concurrent use.
type console struct {
	tty *os.File // nil if standard error is not a terminal; then there are no bars

	mu      sync.Mutex // guards the fields below
	w       io.Writer
	bar     string
	log     io.Writer // gets the lines while a screen is shown; nil without a screen
	results []byte    // results that were printed while a screen was shown
}

func newConsole(w io.Writer, termVar string) *console {
	c := &console{w: w}
	if f, ok := w.(*os.File); ok && termVar != "dumb" && xterm.IsTerminal(int(f.Fd())) {
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

// redirect sends the lines to log while a screen is shown. nil ends the redirection.
func (c *console) redirect(log io.Writer) {
	c.clearBar()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = log
}

// keep stores a result if a screen is shown, and reports whether it did.
func (c *console) keep(result string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log == nil {
		return false
	}
	c.results = append(c.results, result...)
	return true
}

// takeKept returns the stored results and deletes them.
func (c *console) takeKept() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.results
	c.results = nil
	return b
}

// line writes one line. The caller escapes it.
func (c *console) line(s string) { c.Write([]byte(s + "\n")) }

// setBar replaces the bar by s, cut to the width of the terminal.
func (c *console) setBar(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tty == nil || c.log != nil {
		return
	}
	s = ansi.Truncate(s, c.width()-1, "")
	if s != c.bar {
		c.bar = s
		io.WriteString(c.w, "\r"+s+"\x1b[K")
	}
}

// clearBar removes the bar.
func (c *console) clearBar() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != "" {
		c.bar = ""
		io.WriteString(c.w, "\r\x1b[K")
	}
}

func (c *console) width() int {
	if w, _, err := xterm.GetSize(int(c.tty.Fd())); err == nil && w > 20 {
		return w
	}
	return 80
}
