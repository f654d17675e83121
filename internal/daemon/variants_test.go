package daemon

import (
	"slices"
	"testing"
)

// TestVariantsOf checks that variants are what visitors call them: systems and architectures, without
// the extensions of the files.
func TestVariantsOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ names, want []string }{
		{[]string{"debian-amd64.iso", "debian-arm64.iso"}, []string{"amd64", "arm64"}},
		{[]string{"app-2.0-linux.tar.gz", "app-2.0-windows.zip"}, []string{"linux", "windows"}},
		{[]string{"app-linux-amd64.tar.xz", "app-linux-arm64.tar.xz", "app-windows-amd64.exe"}, []string{"linux-amd64", "linux-arm64", "windows-amd64"}},
		{[]string{"app-mac.dmg", "app-win.7z", "app-linux.AppImage"}, []string{"mac", "win", "linux"}},
		{[]string{"app.deb", "app.rpm"}, []string{"deb", "rpm"}},
		{[]string{"app-linux.deb", "app-linux.rpm"}, []string{"deb", "rpm"}},
		{[]string{"app-1.0", "app-1.1"}, []string{"0", "1"}},
		{[]string{"linux.zip", "windows.tar.gz"}, []string{"linux", "windows"}},
		{[]string{"app-linux", "app-windows.exe"}, []string{"linux", "windows"}},
		{[]string{"app", "app.exe"}, []string{"app", "app.exe"}},
		{[]string{"a.zip", "a.zip"}, nil},
	} {
		if got := variantsOf(c.names); !slices.Equal(got, c.want) {
			t.Errorf("variantsOf(%q) is %q, want %q", c.names, got, c.want)
		}
	}
}
