//go:build !unix

package foldertest

import "testing"

func mkfifo(t testing.TB, _ string) {
	t.Helper()
	t.Skip("this system has no named pipes")
}
