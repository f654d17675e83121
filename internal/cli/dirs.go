package cli

import (
	"os"
	"path/filepath"
)

// configDir is where the person's settings lie: $XDG_CONFIG_HOME/spate, or
// ~/.config/spate.
func (a *app) configDir() string { return a.xdg("XDG_CONFIG_HOME", ".config") }

// stateDir is where everything is remembered: dir if it is not empty, else
// $XDG_STATE_HOME/spate, or ~/.local/state/spate.
func (a *app) stateDir(dir string) string {
	if dir != "" {
		return dir
	}
	return a.xdg("XDG_STATE_HOME", filepath.Join(".local", "state"))
}

func (a *app) xdg(variable, under string) string {
	if d := a.Getenv(variable); filepath.IsAbs(d) {
		return filepath.Join(d, "spate")
	}
	home := a.Getenv("HOME")
	if home == "" {
		home = a.Getenv("USERPROFILE")
	}
	if home == "" {
		home = os.TempDir()
	}
	return filepath.Join(home, under, "spate")
}
