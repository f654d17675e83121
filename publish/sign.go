package publish

import (
	"context"
	"fmt"

	"spate/metainfo"
	"spate/signature"
)

// SumsName is the file name that a signature of the checksums names.
const SumsName = "SHA256SUMS"

// signed returns the signatures of r and its torrents t by the publisher's key. Without a
// key it returns the zero value.
func (p *Publisher) signed(r *Release, t Torrents) Signatures {
	if p.opts.Key == nil {
		return Signatures{}
	}
	var v2 []byte
	if r.HasV2Hashes {
		v2 = t.AllV2Hashes()
	}
	now := p.opts.Now()
	sign := func(message []byte, file string) string {
		if message == nil {
			return ""
		}
		return string(p.opts.Key.SignRelease(message, file, now, signature.Release{Ref: r.Ref(), Published: r.Published}))
	}
	return Signatures{
		PublicKey: p.opts.Key.Public().String(),
		Sums:      sign(r.Checksums(), SumsName),
		Torrent:   sign(t.Main, r.Name+".torrent"),
		Twin:      sign(t.Twin, r.Name+".torrent"),
		V2Hashes:  sign(v2, r.Name+metainfo.V2HashesExtension),
	}
}

// signAgain signs a release whose signatures are incomplete or were made with another key.
// The checksums are computed after the release was published, so their signature is made
// after the others. Without a key signAgain does nothing.
func (p *Publisher) signAgain(ctx context.Context, ref string) error {
	if p.opts.Key == nil {
		return nil
	}
	r, err := p.opts.Catalog.Get(ctx, ref)
	if err != nil {
		return err
	}
	if had := r.Signatures; had.PublicKey == p.opts.Key.Public().String() && had.Torrent != "" && (had.Sums != "") == r.Summed && (had.V2Hashes != "") == r.HasV2Hashes {
		return nil
	}
	t, err := p.opts.Catalog.Torrents(ctx, ref)
	if err != nil {
		return err
	}
	s := p.signed(r, t)
	if err := p.opts.Catalog.Update(ctx, ref, Change{Signatures: &s}); err != nil {
		return fmt.Errorf("sign %q: %w", ref, err)
	}
	return nil
}
