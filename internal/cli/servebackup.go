package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/torrentfile"
	"spate/publish/catalogdb"
)

func (a *app) serveBackupCmd() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "write a copy of the catalog",
		Long: `Write a copy of the catalog, whether a spate serve runs or not. It contains releases,
torrents, notes and counters, but not the data. To restore it, copy it to
catalog/catalog.db in the state directory while no spate serve runs. Without --state,
this is the catalog of the installed service if this user has none.`,
		Args: need(1, 1, "a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.backup(cmd.Context(), a.serveState(state), args[0])
		},
	}
	stateFlag(cmd.Flags(), &state)
	return cmd
}

func (a *app) backup(ctx context.Context, state, file string) error {
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := torrentfile.CheckExisting(path, false); err != nil {
		return err
	}
	if err := a.copyCatalog(ctx, state, path); err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(map[string]string{"event": "backup", "path": path})
	}
	a.Notef("the catalog is in %s", path)
	return nil
}

// copyCatalog writes a copy of the catalog to path. If a daemon runs, the daemon writes it.
func (a *app) copyCatalog(ctx context.Context, state, path string) error {
	if err := a.daemonEnv().PrepareState(state); err != nil {
		return err
	}
	lock, err := daemon.LockFile(filepath.Join(state, "lock"), "the state directory "+state)
	if err != nil {
		if err := api.New(state).Backup(ctx, path); err != nil {
			return apiError(err)
		}
	} else {
		defer lock.Close()
		if err := torrentfile.CheckTarget(path, false); err != nil {
			return err
		}
		db, warnings, err := catalogdb.Open(ctx, filepath.Join(state, "catalog"), a.Now())
		if err != nil {
			return err
		}
		defer db.Close()
		for _, w := range warnings {
			a.Warnf("%v", w)
		}
		if err := db.Backup(ctx, path); err != nil {
			return err
		}
	}
	return nil
}
