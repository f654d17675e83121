package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"testing/synctest"
)

func TestSums(t *testing.T) {
	w := newFixture(t)
	p := w.publisher()
	publish := func(name, data string) {
		t.Helper()
		if _, err := p.Publish(t.Context(), w.write(name, data), Spec{}); err != nil {
			t.Fatal(err)
		}
	}
	summed := func(name, data string) bool {
		r, err := w.Get(t.Context(), name)
		return err == nil && r.Summed && r.Files[0].SHA256 == sha256.Sum256([]byte(data))
	}
	publish("first", "1")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p.listed = make(chan struct{}, 1) // a channel of this synctest bubble
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		synctest.Wait()
		if !summed("first", "1") {
			t.Error("Run computed no checksums of the first release")
		}
		publish("gone", "2")
		w.write("gone", "other")
		publish("second", "22")
		synctest.Wait()
		if !summed("second", "22") {
			t.Error("Run computed no checksums of the later release")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v, want context.Canceled", err)
		}
	})
	list, _, _ := w.List(t.Context(), Query{Text: "second"})
	if len(list) != 1 || !list[0].Summed {
		t.Errorf("the list does not report the sums: %+v", list)
	}
	r, _ := w.Get(t.Context(), "second")
	if err := w.SetSums(t.Context(), "first~1", r.Hash(), make([][32]byte, 1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("SetSums with another info-hash returned %v, want ErrNotFound", err)
	}
}
