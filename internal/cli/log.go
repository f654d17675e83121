package cli

import (
	"io"
	"log/slog"
)

// newLogHandler returns the handler of the logs on standard error: logfmt lines
// without the date's noise. slog quotes what is not printable, and escapes
// control characters in it.
func newLogHandler(w io.Writer, level slog.Leveler) slog.Handler {
	return slog.NewTextHandler(&escapingWriter{w}, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, at slog.Attr) slog.Attr {
			if len(groups) == 0 && at.Key == slog.TimeKey {
				return slog.String(slog.TimeKey, at.Value.Time().Format("15:04:05.000"))
			}
			return at
		},
	})
}

// escapingWriter makes whole lines harmless.
type escapingWriter struct{ w io.Writer }

func (e *escapingWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(e.w, escapeText(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
