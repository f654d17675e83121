package api

import (
	"context"
	"errors"
	"io"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/units"
	"spate/internal/upload"
	"spate/publish"
)

// Uploads implements [UploadBackend].
func (b backend) Uploads(context.Context) (list []upload.Info, err error) {
	u, err := b.d.Uploads()
	if err != nil {
		return []upload.Info{}, nil
	}
	return u.List(), nil
}

// Upload implements [UploadBackend].
func (b backend) Upload(_ context.Context, id string) (i upload.Info, err error) {
	err = b.uploadsDo(func(u *upload.Store) (err error) { i, err = u.Info(id); return err })
	return i, err
}

// CreateUpload implements [UploadBackend].
func (b backend) CreateUpload(_ context.Context, r upload.Request) (i upload.Info, err error) {
	err = b.uploadsDo(func(u *upload.Store) (err error) { i, err = u.Create(r); return err })
	return i, err
}

// SettleUpload implements [UploadBackend].
func (b backend) SettleUpload(_ context.Context, id string) (i upload.Info, err error) {
	err = b.uploadsDo(func(u *upload.Store) (err error) { i, err = u.Settle(id); return err })
	return i, err
}

// AppendUpload implements [UploadBackend].
func (b backend) AppendUpload(_ context.Context, id string, offset int64, body io.Reader, interrupt func()) (i upload.Info, err error) {
	u, err := b.d.Uploads()
	if err == nil {
		i, err = u.Append(id, offset, body, interrupt)
	}
	var wrong *upload.OffsetError
	if errors.As(err, &wrong) || errors.Is(err, upload.ErrTooLong) {
		return i, err
	}
	return i, toAPI(err)
}

// DeleteUpload implements [UploadBackend].
func (b backend) DeleteUpload(_ context.Context, id string) error {
	return b.uploadsDo(func(u *upload.Store) error { return u.Delete(id) })
}

// uploadsDo calls f with the uploads, and converts its error.
func (b backend) uploadsDo(f func(*upload.Store) error) error {
	u, err := b.d.Uploads()
	if err == nil {
		err = f(u)
	}
	return toAPI(err)
}

// Browse implements [PublishingBackend].
func (b backend) Browse(_ context.Context, path string) (daemon.Listing, error) {
	l, err := b.d.Browse(path)
	return l, toAPI(err)
}

// RenderNotes implements [PublishingBackend].
func (b backend) RenderNotes(_ context.Context, notes string) (string, error) {
	if len(notes) > publish.MaxNotes {
		return "", toAPI(fault.Usagef("the notes are longer than the limit of %s", units.Plural(publish.MaxNotes, "byte")))
	}
	html, whole := b.d.RenderNotes(notes)
	if !whole {
		html += "<p>…</p>"
	}
	return html, nil
}

// ReleaseHealth implements [PublishingBackend].
func (b backend) ReleaseHealth(ctx context.Context, ref string) (daemon.ReleaseHealth, error) {
	r, err := b.d.Catalog().Get(ctx, ref)
	if err != nil {
		return daemon.ReleaseHealth{}, notFound(ref, err)
	}
	h := b.d.ReleaseHealth(ctx, r)
	h.Uploaded = b.d.Uploaded(r)
	return h, nil
}

// WithdrawData implements [PublishingBackend].
func (b backend) WithdrawData(ctx context.Context, ref string) error {
	return toAPI(b.d.WithdrawData(ctx, ref))
}

// Limits implements [PublishingBackend].
func (b backend) Limits(context.Context) (daemon.Limits, error) { return b.d.Limits(), nil }

// ChangeLimits implements [PublishingBackend].
func (b backend) ChangeLimits(_ context.Context, c daemon.LimitsChange) error {
	return toAPI(b.d.ChangeLimits(c))
}
