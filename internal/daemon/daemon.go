package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/onevent"
	"spate/internal/units"
	"spate/internal/upload"
	"spate/publish"
	"spate/publish/catalogdb"
)

// Config configures a [Daemon].
type Config struct {
	PublisherConfig // the daemon sets Catalog and Keeper

	Folders     []WatchedFolder
	Spec        publish.Spec         // options of releases from folders; the daemon sets Announce
	Rescan      time.Duration        // interval between scans of the folders, even without events
	Older       int                  // number of old versions to keep of a changed entry
	KeepDir     string               // directory of the data of old versions; empty: "versions" in State
	Names       *publish.NamePattern // makes entries of folders versions of one release; nil: none
	FollowLinks bool                 // follow links that lead out of a folder

	Torrents TorrentsConfig // the torrents that are added
	Timed    TimedConfig    // the schedule and the monthly volume

	API    string     // HOST:PORT for the API on the network; empty: only the socket
	Answer APIHandler // makes the handler of the API
	Socket string     // path of the socket of the API

	RPC       string     // HOST:PORT for the RPC protocol of Transmission; empty: off
	AnswerRPC APIHandler // makes its handler

	// SocketGroup is the group whose members may use the socket too. nil: only the user of the
	// daemon may.
	SocketGroup *int

	Events *onevent.Runner // does what the settings say for events; may be nil

	UploadDir string   // directory of uploads and their published data; empty: "uploads" in State
	Browse    []string // directories in which callers may choose data to publish: see [Daemon.Browse]

	// IdleExit stops the daemon once it had nothing to do for this time. 0: never.
	IdleExit time.Duration
}

// WatchedFolder is a folder whose entries are published.
type WatchedFolder struct {
	Group string // heading of its releases in lists; may be empty
	Dir   string // absolute path
}

// Observer gets the events of a daemon.
type Observer interface {
	// Ready is called once all sockets listen.
	Ready() error
	// Show is called after Ready and runs until ctx ends.
	Show(ctx context.Context) error
	// Changed is called for each release that is published or withdrawn. what is
	// "published" or "withdrawn". It may be called concurrently.
	Changed(what string, r *publish.Release)
	// TorrentChanged is called for each change of an added torrent. what is "added", "metadata",
	// "completed", "stalled", "finished", "paused", "resumed", "moved", "removed" or "failed". It may
	// be called concurrently.
	TorrentChanged(what string, i *TorrentInfo)
}

// Daemon is a [Publisher] with a catalog on disk, watched folders and an API.
type Daemon struct {
	*Publisher
	conf     Config
	started  time.Time
	life     context.Context // cancelled when the daemon stops
	db       *catalogdb.DB
	folders  []*publish.Folder
	observer Observer
	torrents *Torrents // nil for a publisher in the foreground
	feeds    *Feeds    // nil for a publisher in the foreground
	timed    *timed    // the schedule and the monthly volume; nil for a publisher in the foreground
	apiAddr  string    // address of the API on the network, or ""
	rpcAddr  string    // address of the Transmission RPC, or ""

	restored publish.Restored
	checks   checks
	door     *clientDoor // the listener for the graphical client
	requests activity    // requests of the API

	uploads  *upload.Store // nil for a publisher in the foreground
	limitsMu sync.Mutex    // held during a change of the limits

	listeners eventListeners
}

// New opens the files and sockets of a daemon and seeds the releases in the catalog.
// [Daemon.Close] closes it.
func New(ctx context.Context, env *Env, c Config) (_ *Daemon, err error) {
	if c.KeepDir == "" {
		c.KeepDir = filepath.Join(c.State, "versions")
	}
	outside := []string{c.State, c.KeepDir, c.uploadDir()}
	for _, f := range c.Torrents.Folders {
		outside = append(outside, f.Dir)
	}
	for _, f := range c.Torrents.Drops {
		outside = append(outside, f.Dir)
	}
	if err := checkOutside(c.Folders, outside...); err != nil {
		return nil, err
	}
	d := &Daemon{Publisher: &Publisher{env: env, conf: c.PublisherConfig}, conf: c, started: env.Now().UTC(), life: ctx, door: newClientDoor()}
	d.requests.now, d.requests.last = env.Now, env.Now()
	d.Publisher.conf.Finished, d.Publisher.conf.Session.OnReach = d.tellFinish(c.Finished), d.tellReach(c.Session.OnReach)
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	if d.sockets, d.lock, err = env.openAndLock(ctx, &c.Listen, c.State); err != nil {
		return nil, err
	}
	if err := d.openCatalog(ctx); err != nil {
		return nil, err
	}
	if err := pruneResume(ctx, d.Publisher.conf.resumeDir(), d.db); err != nil {
		env.Warnf("resume data of old releases was not removed: %v", err)
	}
	if err := d.Publisher.open(ctx); err != nil {
		return nil, err
	}
	if err := d.openTimed(c.Timed); err != nil {
		return nil, err
	}
	if err := d.openTorrents(c.Torrents); err != nil {
		return nil, err
	}
	if err := d.openFeeds(); err != nil {
		return nil, err
	}
	if err := d.openUploads(); err != nil {
		return nil, err
	}
	d.loadLimits()
	if err := removeSocket(c.Socket); err != nil {
		return nil, err
	}
	d.restored, err = d.publisher.Restore(ctx)
	for _, p := range d.restored.Problems {
		env.Log.Warn("a release could not be restored as before", "err", p)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Close closes the files and sockets that New opened.
func (d *Daemon) Close() {
	d.Publisher.stop()
	if d.torrents != nil {
		d.torrents.release()
		d.feeds.close()
	}
	if d.db != nil {
		d.db.Close()
	}
	d.Publisher.unlock()
}

// Restored describes the changes of the releases in the catalog at the start.
func (d *Daemon) Restored() publish.Restored { return d.restored }

// Folders returns the watched folders.
func (d *Daemon) Folders() []*publish.Folder { return d.folders }

// Started returns when the daemon was opened.
func (d *Daemon) Started() time.Time { return d.started }

// Verb returns "serve", or "publish" if the daemon is a publisher in the foreground.
func (d *Daemon) Verb() string {
	if d.db == nil {
		return "publish"
	}
	return "serve"
}

// State returns the state directory.
func (d *Daemon) State() string { return d.conf.State }

// Now returns the time.
func (d *Daemon) Now() time.Time { return d.env.Now() }

// APIAddr returns the address of the API on the network, or "".
func (d *Daemon) APIAddr() string { return d.apiAddr }

// RPCAddr returns the address of the RPC protocol of Transmission, or "".
func (d *Daemon) RPCAddr() string { return d.rpcAddr }

// checkOutside returns an error if one of dirs is inside a watched folder, because its
// content would be published.
func checkOutside(folders []WatchedFolder, dirs ...string) error {
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		for _, f := range folders {
			if rel, err := filepath.Rel(f.Dir, abs); err == nil && !strings.HasPrefix(rel, ".") || rel == "." {
				return fault.WithSetting(fault.Usagef("%s is inside the watched folder %s", dir, f.Dir), "watched-state")
			}
		}
	}
	return nil
}

// openCatalog opens the catalog and the directory of older versions.
func (d *Daemon) openCatalog(ctx context.Context) error {
	db, warnings, err := catalogdb.Open(ctx, filepath.Join(d.conf.State, "catalog"), d.env.Now())
	if err != nil {
		return fault.WithSetting(err, "state")
	}
	for _, w := range warnings {
		d.env.Warnf("%v", w)
	}
	d.db = db
	keeper, err := publish.NewKeeper(d.conf.KeepDir)
	if err != nil {
		return err
	}
	if d.conf.Older > 0 {
		if err := atomicfile.ProbeNew(d.conf.KeepDir); err != nil {
			return fault.WithSetting(err, "keep-dir")
		}
	}
	if err := keeper.Sweep(ctx, db); err != nil {
		d.env.Warnf("data of old versions was not removed: %v", err)
	}
	d.Publisher.conf.Catalog, d.Publisher.conf.Keeper = db, keeper
	return nil
}

// Run serves, watches the folders and answers the API until ctx ends, which is not an error, or
// until a part fails.
func (d *Daemon) Run(ctx context.Context, o Observer) error {
	d.observer = o
	return d.Publisher.Serve(ctx, d.work)
}

// work watches the folders and answers the API until ctx ends.
func (d *Daemon) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	part := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
				cancel(err)
			}
		})
	}
	if err := d.openFolders(); err != nil {
		return err
	}
	if err := d.serveAPI(ctx, part); err != nil {
		return err
	}
	close(d.door.ready)
	part(d.runDoor)
	d.env.notifySystem("READY=1")
	if err := d.observer.Ready(); err != nil {
		return err
	}
	for _, f := range d.folders {
		part(f.Run)
	}
	part(d.checkHourly)
	part(d.sweepUploads)
	part(d.conf.Events.Run)
	part(d.tellTorrents)
	part(d.torrents.Run)
	part(d.exitWhenIdle)
	part(d.runTimed)
	part(d.feeds.Run)
	err := d.observer.Show(ctx)
	if errors.Is(context.Cause(ctx), errIdle) {
		return nil
	}
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// openFolders opens the watched folders.
func (d *Daemon) openFolders() error {
	spec := d.conf.Spec
	spec.Announce = nil // use the trackers of the publisher
	var turn sync.Mutex // only one folder hashes at a time
	for _, w := range d.conf.Folders {
		f, err := publish.NewFolder(w.Dir, d.publisher, &turn, publish.FolderOptions{
			Spec: spec, Group: w.Group, Older: d.conf.Older, FollowLinks: d.conf.FollowLinks, Names: d.conf.Names,
			Settle: d.conf.Settle, Rescan: d.conf.Rescan, Written: d.writes, OnChange: d.changed, Log: d.env.Log,
		})
		if err != nil {
			return err
		}
		d.folders = append(d.folders, f)
	}
	return nil
}

// Publish checks and publishes a request until ctx ends or the daemon stops.
func (d *Daemon) Publish(ctx context.Context, r PublishRequest, done func(path string, r *publish.Release) error) error {
	if r.Upload != "" {
		return d.publishUpload(ctx, r, done)
	}
	if err := absolute(r.Paths...); err != nil {
		return err
	}
	if err := r.Check(); err != nil {
		return err
	}
	if err := r.Measure(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.life, func() { cancel(errors.New("the publisher stops")) })()
	return d.Publisher.Publish(ctx, r, func(path string, r *publish.Release) error {
		d.changed("published", r)
		return done(path, r)
	})
}

// Change is a change of a release. A nil field stays as it is.
type Change struct {
	Paused *bool
	Group  *string
	Notes  *string
}

// Change changes the release ref, or all versions and variants of the slug ref.
func (d *Daemon) Change(ctx context.Context, ref string, c Change) error {
	if c.Notes != nil && len(*c.Notes) > publish.MaxNotes {
		return fault.Usagef("the notes are longer than the limit of %s", units.Plural(publish.MaxNotes, "byte"))
	}
	var err error
	switch {
	case c.Paused != nil && *c.Paused:
		err = d.publisher.Pause(ctx, ref)
	case c.Paused != nil:
		err = d.publisher.Resume(ctx, ref)
	}
	if err == nil && (c.Group != nil || c.Notes != nil) {
		err = d.publisher.Describe(ctx, ref, c.Group, c.Notes)
	}
	return NotFound(ref, err)
}

// Withdraw withdraws the releases that ref names: see [publish.Publisher.Named]. It returns an
// error for an entry of a watched folder, because the daemon would publish it again.
func (d *Daemon) Withdraw(ctx context.Context, ref string) error {
	list, err := d.publisher.Named(ctx, ref)
	if err != nil {
		return NotFound(ref, err)
	}
	for _, r := range list {
		if r.Watched == "" {
			continue
		}
		if _, err := os.Lstat(r.Watched); err == nil {
			return fault.New(fault.Exists, "remove it from the folder, or pause the release", "%s is in a watched folder, and would be published again", r.Watched)
		}
	}
	if err := d.publisher.Withdraw(ctx, ref); err != nil {
		return NotFound(ref, err)
	}
	for _, r := range list {
		d.changed("withdrawn", r)
	}
	return nil
}

// NotFound returns an error about the release ref if err is [publish.ErrNotFound], otherwise
// err.
func NotFound(ref string, err error) error {
	if !errors.Is(err, publish.ErrNotFound) {
		return err
	}
	return fault.New(fault.NotFound, "", "no release %s is published here", strings.ToValidUTF8(ref, "\ufffd"))
}

// absolute returns an error if a path is relative or contains a zero byte.
func absolute(paths ...string) error {
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			return fault.Usagef("the path %q is not absolute", p)
		}
		if strings.ContainsRune(p, 0) {
			return fault.Usagef("the path %q has a zero byte in it", p)
		}
	}
	return nil
}

// notifySystem sends a state to the service manager (sd_notify(3)), if there is one.
func (e *Env) notifySystem(state string) {
	name := e.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		e.Log.Warn("the service manager was not told", "state", state, "err", err)
	}
}
