package publish

import (
	"context"
	"testing"
	"testing/synctest"

	"spate/signature"
)

// TestSigned checks that a release is signed when it is published, that its checksums are
// signed when they are computed, and that a publisher with a new key signs everything
// again.
func TestSigned(t *testing.T) {
	w := newFixture(t)
	key, err := signature.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	p := w.publisher()
	old, err := p.Publish(t.Context(), w.write("unsigned", "1"), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if old.Signatures != (Signatures{}) {
		t.Errorf("signatures without a key: %+v", old.Signatures)
	}
	p.opts.Key = key
	r, err := p.Publish(t.Context(), w.write("a.iso", "22"), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Signatures.Torrent == "" || r.Signatures.Sums != "" {
		t.Errorf("the signatures after Publish are %+v, want one of the torrent only", r.Signatures)
	}
	run := func() {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			p.listed = make(chan struct{}, 1) // a channel of this synctest bubble
			go p.Run(ctx)
			synctest.Wait()
			cancel()
		})
	}
	holds := func(ref string) {
		t.Helper()
		r, err := w.Get(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		torrents, _ := w.Torrents(t.Context(), ref)
		if r.Signatures.PublicKey != key.Public().String() {
			t.Errorf("%s is signed with %q, want the new key", ref, r.Signatures.PublicKey)
		}
		st, err := signature.Verify(key.Public(), torrents.Main, []byte(r.Signatures.Torrent))
		if err != nil || st.File != r.Name+".torrent" {
			t.Errorf("%s: the signature of the torrent is %+v, %v", ref, st, err)
		}
		if st, err := signature.Verify(key.Public(), r.Checksums(), []byte(r.Signatures.Sums)); err != nil || st.File != SumsName {
			t.Errorf("%s: the signature of the checksums is %+v, %v", ref, st, err)
		}
	}
	run()
	holds("a.iso")
	holds("unsigned")
	if key, err = signature.NewKey(); err != nil {
		t.Fatal(err)
	}
	p.opts.Key = key
	run()
	holds("a.iso")
}
