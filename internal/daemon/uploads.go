package daemon

import (
	"context"
	"path/filepath"
	"time"

	"spate/internal/fault"
	"spate/internal/upload"
	"spate/publish"
)

// openUploads loads the uploads of a daemon.
func (d *Daemon) openUploads() (err error) {
	d.uploads, err = upload.New(d.conf.uploadDir(), upload.Options{Now: d.env.Now, Warn: d.env.Warnf, Used: d.publishesIn})
	if err != nil {
		return fault.WithSetting(err, "upload-dir")
	}
	return nil
}

// uploadDir returns the directory of uploads.
func (c *Config) uploadDir() string {
	if c.UploadDir == "" {
		return filepath.Join(c.State, "uploads")
	}
	return c.UploadDir
}

// publishesIn reports whether a release has its data in or below dir.
func (d *Daemon) publishesIn(dir string) (bool, error) {
	list, _, err := d.Catalog().List(d.life, publish.Query{All: true})
	if err != nil {
		return false, err
	}
	real, err := filepath.EvalSymlinks(dir) // the catalog has the paths without links
	if err != nil {
		real = dir
	}
	for _, r := range list {
		if r.Path != "" && (inside(r.Path, dir) || inside(r.Path, real)) {
			return true, nil
		}
	}
	return false, nil
}

// Uploads returns the uploads. It returns an error for a publisher in the foreground, which has none.
func (d *Daemon) Uploads() (*upload.Store, error) {
	if d.uploads == nil {
		return nil, fault.New(fault.NotFound, "start spate serve, which takes uploads", "spate publish takes no uploads")
	}
	return d.uploads, nil
}

// sweepEvery is the interval at which old uploads are deleted.
const sweepEvery = time.Hour

// sweepUploads deletes old uploads until ctx ends.
func (d *Daemon) sweepUploads(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := d.uploads.Sweep(); err != nil {
			d.env.Log.Warn("old uploads were not deleted", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// publishUpload publishes the data of an upload.
func (d *Daemon) publishUpload(ctx context.Context, r PublishRequest, done func(path string, r *publish.Release) error) error {
	uploads, err := d.Uploads()
	if err != nil {
		return err
	}
	if len(r.Paths) > 0 {
		return fault.Usagef("a release has either an upload or paths")
	}
	taken, err := uploads.Take(r.Upload)
	if err != nil {
		return err
	}
	r.Upload, r.Paths = "", []string{taken.Path}
	r.Force = true // nobody writes to it any more
	published := false
	err = d.Publish(ctx, r, func(path string, release *publish.Release) error {
		published = true
		if err := taken.Done(); err != nil {
			d.env.Log.Warn("the record of an upload was not deleted", "upload", path, "err", err)
		}
		return done(path, release)
	})
	if !published {
		taken.Undone()
	}
	return err
}

// Uploaded reports whether the data of r was uploaded, so that the daemon may delete it.
func (d *Daemon) Uploaded(r *publish.Release) bool {
	if d.uploads == nil || r.Path == "" {
		return false
	}
	_, ok := d.uploadedPath(r)
	return ok
}

// uploadedPath returns the path of the data of r as the uploads know it.
func (d *Daemon) uploadedPath(r *publish.Release) (string, bool) {
	if d.uploads.Owns(r.Path) {
		return r.Path, true
	}
	dir, err := filepath.EvalSymlinks(d.uploads.Published())
	if err != nil || !inside(r.Path, dir) || r.Path == dir {
		return "", false
	}
	rel, err := filepath.Rel(dir, r.Path)
	return filepath.Join(d.uploads.Published(), rel), err == nil
}

// WithdrawData withdraws the releases that ref names, and deletes their data. It changes nothing if
// some of the data was not uploaded, because the daemon deletes no files of others.
func (d *Daemon) WithdrawData(ctx context.Context, ref string) error {
	list, err := d.publisher.Named(ctx, ref)
	if err != nil {
		return NotFound(ref, err)
	}
	for _, r := range list {
		if !d.Uploaded(r) {
			return fault.UsageHint("withdraw the release without its data", "the data of %s was not uploaded: it is not deleted", r.Ref())
		}
	}
	if err := d.Withdraw(ctx, ref); err != nil {
		return err
	}
	for _, r := range list {
		path, _ := d.uploadedPath(r)
		if err := d.uploads.RemoveData(path); err != nil {
			return err
		}
	}
	return nil
}
