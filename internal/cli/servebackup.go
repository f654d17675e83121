package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/atomicfile"
	"spate/internal/daemon"
	"spate/internal/fault"
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
	if err := torrentfile.CheckExisting(path, true); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fault.New(fault.Exists, "name another file, or remove this one", "%s exists already", path)
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

// fetchCatalog asks the daemon of state for a copy of the catalog, and writes it to path.
func fetchCatalog(ctx context.Context, state, path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(path)
		}
	}()
	if err := api.New(state).ReadBackup(ctx, f); err != nil {
		return apiError(err)
	}
	return errors.Join(f.Sync(), atomicfile.SyncDir(filepath.Dir(path)))
}

// copyCatalog writes a copy of the catalog to path. If a daemon runs, the daemon makes the copy.
func (a *app) copyCatalog(ctx context.Context, state, path string) error {
	if _, err := api.New(state).Status(ctx); err == nil {
		return fetchCatalog(ctx, state, path) // also for a member of the service's group, to whom the state does not belong
	}
	if err := a.daemonEnv().PrepareState(state); err != nil {
		return err
	}
	lock, err := daemon.LockFile(filepath.Join(state, "lock"), "the state directory "+state)
	if err != nil {
		return fetchCatalog(ctx, state, path)
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
