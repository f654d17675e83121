package publish

import (
	"context"
	"errors"
)

// replaced is the stamp of versions that a newer version has replaced.
const replaced = "replaced"

// retire marks old as an older version, or withdraws it if its data is not kept. It then
// withdraws the oldest versions if there are more than FolderOptions.Older.
func (f *Folder) retire(ctx context.Context, old *Release) error {
	full, err := f.pub.opts.Catalog.Get(ctx, old.Ref())
	if err != nil {
		return err
	}
	// The kept data is not intact if it is a hard link and the entry was written to. The
	// replacement of the entry has removed a link to the kept data, which touches it.
	changed := full.Intact()
	if errors.Is(changed, ErrTouched) {
		changed = nil
	}
	if k := f.pub.opts.Keeper; k == nil || !k.Holds(old) || changed != nil {
		if err := f.pub.withdrawOnly(ctx, old); err != nil {
			return err
		}
		f.opt.OnChange("withdrawn", old)
		return nil
	}
	none, stamp := "", replaced
	if err := f.pub.opts.Catalog.Update(ctx, old.Ref(), Change{Watched: &none, Stamp: &stamp}); err != nil {
		return err
	}
	list, err := f.pub.opts.Catalog.Family(ctx, old.Slug)
	if err != nil {
		return err
	}
	var errs []error
	older := 0
	for _, r := range list {
		if r.Stamp != replaced || r.Variant != old.Variant {
			continue
		}
		older++
		if older > f.opt.Older {
			errs = append(errs, f.pub.withdrawOnly(ctx, r))
			f.opt.OnChange("withdrawn", r)
		}
	}
	return errors.Join(errs...)
}
