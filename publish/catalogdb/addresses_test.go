package catalogdb

import (
	"testing"
	"time"

	"spate/publish"
	"spate/publish/publishtest"
)

// TestAddressesStayAfterARestart checks that the nice address of a deleted release leads to no other
// release after the catalog is opened again, also if an older version of the program, which did not store the
// addresses, has written it.
func TestAddressesStayAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d, _ := open(t, dir)
	for i, slug := range []string{"My File", "my file"} {
		if err := d.Put(t.Context(), publishtest.Release(slug, "1", "", day.AddDate(0, 0, i)), publish.Torrents{Main: []byte("d4:infodee")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.sql.ExecContext(t.Context(), "DELETE FROM addresses"); err != nil {
		t.Fatal(err)
	}
	d.Close()
	for restart := range 3 {
		d, _ = open(t, dir)
		if restart == 1 {
			if err := d.Delete(t.Context(), "My File~1"); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := d.Get(t.Context(), "my-file"); (err == nil) != (restart == 0) {
			t.Errorf("restart %d: my-file leads to %+v, %v", restart, r, err)
		}
		address := d.Address("my file")
		if r, err := d.Get(t.Context(), address); address == "my-file" || err != nil || r.Slug != "my file" {
			t.Errorf("restart %d: the address of the second release is %s, which leads to %+v, %v", restart, address, r, err)
		}
		d.Close()
	}
}
