package publishtest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"spate/publish"
	"spate/publish/publishtest"
)

// Test a catalog of your own: call TestCatalog from a test of its package.
func ExampleTestCatalog() {
	test := func(t *testing.T) {
		publishtest.TestCatalog(t, func(*testing.T) publish.Catalog { return publish.NewMemory() })
	}
	_ = test // func TestMemory(t *testing.T) in your package
	// Output:
}

// Make a release for tests of code that reads a catalog.
func ExampleRelease() {
	c := publish.NewMemory()
	r := publishtest.Release("debian", "12.4", "amd64", time.Unix(0, 0))
	err := c.Put(context.Background(), r, publish.Torrents{Main: []byte("de")})
	fmt.Println(r.Ref(), err)
	// Output: debian~12.4~amd64 <nil>
}
