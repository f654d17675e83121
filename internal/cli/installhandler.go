package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/desktop"
	"spate/internal/fault"
	"spate/internal/ui"
)

func (a *app) installHandlerCmd() *cobra.Command {
	var remove bool
	cmd := &cobra.Command{
		Use:   "install-handler",
		Short: "open magnet links and .torrent files with spate",
		Long: `Make spate open the program for magnet links and .torrent files of this user's desktop:
write spate.desktop into the directory of applications, and make it the first default
in mimeapps.list, whose other lines stay. With --remove, undo that: the program that
was the default before is it again. Each changed file is printed.`,
		Example: `  spate install-handler
  spate install-handler --remove`,
		Args: need(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.installHandler(cmd.Context(), remove) },
	}
	cmd.Flags().BoolVar(&remove, "remove", false, "stop opening them with spate")
	return cmd
}

// handlerByHand says what to do on systems whose settings this program does not change.
var handlerByHand = map[string]string{
	"darwin": "macOS opens links only with applications: make one in Automator or Script Editor that runs `spate open URL`, " +
		"and choose it for .torrent files under Get Info, Open with",
	"windows": `run: reg add HKCU\Software\Classes\magnet /v "URL Protocol" /f, and: ` +
		`reg add HKCU\Software\Classes\magnet\shell\open\command /ve /d "\"C:\path\to\spate.exe\" open \"%1\"" /f; ` +
		"choose spate.exe for .torrent files under Open with",
}

// handlerEvent is the JSON output of install-handler.
type handlerEvent struct {
	Event   string           `json:"event"` // installed or removed
	Changed []desktop.Change `json:"changed"`
}

func (a *app) installHandler(ctx context.Context, remove bool) error {
	if by, ok := handlerByHand[runtime.GOOS]; ok {
		return fault.New(fault.Failed, by, "spate does not change the settings of this system")
	}
	place := desktop.Place{Data: filepath.Dir(a.xdg("XDG_DATA_HOME", filepath.Join(".local", "share"))), Config: filepath.Dir(a.xdg("XDG_CONFIG_HOME", ".config"))}
	e := handlerEvent{Event: "installed", Changed: []desktop.Change{}}
	var err error
	var done []desktop.Change
	if remove {
		e.Event = "removed"
		done, err = place.Remove()
	} else {
		var program string
		if program, err = ownProgram(); err != nil {
			return err
		}
		done, err = place.Install(program, ui.Icon())
	}
	e.Changed = append(e.Changed, done...)
	if len(done) > 0 {
		a.updateDesktop(ctx, place.Applications())
	}
	if a.JSON {
		if perr := a.PrintJSON(e); err == nil {
			err = perr
		}
		return err
	}
	for _, c := range done {
		if err := a.Printf("%s %s\n", c.What, c.Path); err != nil {
			return err
		}
	}
	if err == nil && len(done) == 0 {
		a.Notef("nothing to change")
	}
	return err
}

// ownProgram returns the path of this program for a desktop entry: the one by which PATH finds it if
// there is one, because that stays when a package manager installs another version.
func ownProgram() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	found, err := exec.LookPath("spate")
	if err != nil || !filepath.IsAbs(found) {
		return own, nil
	}
	a, err := os.Stat(own)
	if err != nil {
		return own, nil
	}
	if b, err := os.Stat(found); err == nil && os.SameFile(a, b) {
		return found, nil
	}
	return own, nil
}

// updateTime bounds the run of update-desktop-database.
const updateTime = 30 * time.Second

// updateDesktop updates the cache of the applications of a desktop, if the system has one.
func (a *app) updateDesktop(ctx context.Context, dir string) {
	path, err := exec.LookPath("update-desktop-database")
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, path, dir).CombinedOutput(); err != nil {
		a.Log.Warn("the cache of the desktop was not updated", "err", err, "output", string(out))
	}
}
