package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestUnitsAllowTheListOfAddresses checks that the services of systemd may open sockets of
// AF_NETLINK, because Linux lists the addresses of the machine over these. The router is asked to
// map ports of such an address, and the own addresses are kept from strangers.
func TestUnitsAllowTheListOfAddresses(t *testing.T) {
	units, err := filepath.Glob(filepath.Join("..", "systemd", "*.service"))
	if err != nil || len(units) == 0 {
		t.Fatalf("there are no units: %v", err)
	}
	families := regexp.MustCompile(`(?m)^RestrictAddressFamilies=(.*\s)?AF_NETLINK(\s|$)`)
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		if !families.Match(text) {
			t.Errorf("%s does not allow AF_NETLINK", unit)
		}
	}
}
