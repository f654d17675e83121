package onevent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"
)

// maxOutput is the number of bytes of a program's output that are logged.
const maxOutput = 4 << 10

// endGrace is how long a program that was killed, or its children, can hold its output open.
const endGrace = 2 * time.Second

// errTooLong is the cause if a program runs longer than its rule allows.
var errTooLong = errors.New("it ran longer than its timeout, and was ended")

// run runs the program of a rule for one event, and logs its output and its failure.
func (r *Runner) run(ctx context.Context, rule *Rule, e *Event, log *slog.Logger) {
	ctx, cancel := context.WithTimeoutCause(ctx, rule.Timeout, errTooLong)
	defer cancel()
	cmd := exec.CommandContext(ctx, rule.Run[0], rule.Run[1:]...)
	var out firstBytes
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = e.environ(r.opt.Environ), &out, &out, endGrace
	endChildrenToo(cmd)
	err := cmd.Run()
	if err != nil && errors.Is(context.Cause(ctx), errTooLong) {
		err = errTooLong
	}
	if err != nil && ctx.Err() != nil && !errors.Is(err, errTooLong) {
		return // the daemon stops
	}
	if err != nil {
		log.Warn("the program for an event failed", "err", err, "output", out.String())
		return
	}
	log.Info("ran the program for an event", "output", out.String())
}

// firstBytes keeps the first bytes that are written to it.
type firstBytes struct {
	kept bytes.Buffer
	more int // bytes that were not kept
}

// Write implements io.Writer.
func (b *firstBytes) Write(p []byte) (int, error) {
	n := min(len(p), maxOutput-b.kept.Len())
	b.kept.Write(p[:n])
	b.more += len(p) - n
	return len(p), nil
}

// String returns what was kept.
func (b *firstBytes) String() string {
	s := strings.TrimRight(b.kept.String(), "\n")
	if b.more > 0 {
		s += fmt.Sprintf(" … and %d more bytes", b.more)
	}
	return s
}
