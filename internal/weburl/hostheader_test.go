package weburl

import "testing"

// TestOnlyOwn checks which hosts no page of a stranger can have.
func TestOnlyOwn(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:6969": true, "[::1]:6969": true, "[::1]": true, "LocalHost:1": true, "a.localhost": true, "203.0.113.5:6969": true,
		"": false, "evil.example": false, "evil.example:6969": false, "localhost.evil.example": false, "127.0.0.1.evil.example:80": false, "127.1:6969": false, "notlocalhost": false,
	} {
		if got := OnlyOwn(header); got != want {
			t.Errorf("OnlyOwn(%q) = %v", header, got)
		}
	}
	if got := HeaderName("[2001:DB8::1]:80"); got != "2001:db8::1" {
		t.Errorf("HeaderName: %q", got)
	}
}
