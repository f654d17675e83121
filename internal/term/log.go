package term

import (
	"io"
	"log/slog"

	"spate/internal/termsafe"
)

// newLogHandler returns a handler that writes logfmt lines with the time of day to w. slog
// quotes and escapes control characters in values.
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

// escapingWriter escapes the lines that are written to it.
type escapingWriter struct{ w io.Writer }

func (e *escapingWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(e.w, termsafe.Text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
