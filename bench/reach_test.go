//go:build linux

package main

import (
	"io"
	"strings"
	"testing"
)

// TestReachSelectsCells checks which cells the flags select, and that unknown words are errors.
func TestReachSelectsCells(t *testing.T) {
	for _, c := range []struct {
		line  string
		cells int // 0: an error
	}{
		{"", 4 * 9 * 9},
		{"-programs spate -publishers upnp,igd -getters masq", 2},
		{"-programs spate,qbittorrent -mixed -dht -publishers open -getters open", 4},
		{"-programs aria2", 0},
		{"-getters upnp,router", 0},
		{"-relay -programs spate -publishers masq,full -getters symmetric", 2},
		{"-relay -dht", 0},
		{"-late-relay -crowd 2 -programs spate,libtorrent -publishers masq -getters masq", 2},
		{"-crowd 2 -dht", 0},
		{"-relay -late-relay", 0},
		{"-crowd 0", 0},
		{"-parallel 0", 0},
		{"spate", 0},
	} {
		o, err := parseReach(strings.Fields(c.line), io.Discard)
		if (err == nil) != (c.cells > 0) {
			t.Errorf("%q: error %v", c.line, err)
		} else if err == nil && len(o.cells()) != c.cells {
			t.Errorf("%q: %d cells, want %d", c.line, len(o.cells()), c.cells)
		}
	}
}

// TestReachTable checks the cells and the sentence below a table.
func TestReachTable(t *testing.T) {
	o, err := parseReach(strings.Fields("-programs spate -publishers upnp,masq -getters fw,cgn"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	cells := o.cells()
	results := []reachResult{
		{reachCell: cells[0], Announced: pointer(0.5), First: pointer(0.7), Last: pointer(4)},
		{reachCell: cells[1], Announced: pointer(1), First: pointer(4), Last: pointer(8)},
		{reachCell: cells[2]},
		{reachCell: cells[3], Error: "x"},
	}
	var b strings.Builder
	printReach(&b, o, results)
	for _, want := range []string{
		"| upnp | 0.7 / 4.0 | 4.0 / 8.0 |\n| masq | never | failed |\n",
		"spate: 2 of 4 getters have the file; with a publisher whose router maps ports 2 of 2, with their first bytes at most 3.0 s after both announced.",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
}
