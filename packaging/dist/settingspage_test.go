package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestSettingsPage checks that spate.toml(5) describes every setting of docs/spate.toml.
func TestSettingsPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/spate.toml")
	if err != nil {
		t.Fatal(err)
	}
	all := settings(string(b))
	if len(all) < 50 {
		t.Errorf("found only %d settings", len(all))
	}
	text := string(settingsPage(string(b), time.Unix(0, 0)).text)
	for _, s := range all {
		if s.meaning == "" {
			t.Errorf("%s has no description", s.key)
		}
		if !strings.Contains(text, quote(s.key+" = "+s.value)) {
			t.Errorf("the page does not describe %s", s.key)
		}
	}
	for _, key := range []string{"watch", "version-pattern", "public-url", "theme"} {
		if !strings.Contains(text, ".TP\n\\fB"+quote(key+" = ")) {
			t.Errorf("the page does not describe %s", key)
		}
	}
}
