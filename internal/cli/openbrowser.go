package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"
)

// browserTime is the time after which the program that opens a browser counts as successful. Some run
// until the browser ends.
const browserTime = 5 * time.Second

// browse opens a URL in the user's browser.
func (a *app) browse(ctx context.Context, url string) error {
	var argv []string
	switch runtime.GOOS {
	case "darwin":
		argv = []string{"open", url}
	case "windows":
		argv = []string{"rundll32", "url.dll,FileProtocolHandler", url}
	default:
		if a.Getenv("DISPLAY") == "" && a.Getenv("WAYLAND_DISPLAY") == "" && a.Getenv("BROWSER") == "" {
			return errors.New("there is no display")
		}
		argv = []string{"xdg-open", url}
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("there is no program %s", argv[0])
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.Env, cmd.SysProcAttr = a.env.Environ, detached()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w", argv[0], err)
		}
	case <-time.After(browserTime):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
