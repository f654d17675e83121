package publish_test

import (
	"testing"

	"spate/publish"
	"spate/publish/publishtest"
)

func TestMemory(t *testing.T) {
	publishtest.TestCatalog(t, func(*testing.T) publish.Catalog { return publish.NewMemory() })
}
