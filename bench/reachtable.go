//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// speaksMapping lists the kinds of homes whose router maps ports for its hosts by one of the
// protocols, at a public address.
var speaksMapping = []string{"upnp", "igd", "pmp"}

// printReach writes a table for each pair of programs, or for each pair of homes if each cell
// has one.
func printReach(w io.Writer, o *reachOptions, results []reachResult) {
	how := "Seconds from the start of the getter until the first 64 KiB and until the end"
	if o.mixed {
		for _, from := range o.publishers {
			for _, to := range o.getters {
				fmt.Fprintf(w, "## Publisher at %s, getter at %s\n\n%s. Rows are publishers, columns getters.\n\n", from, to, how)
				reachGrid(w, results, o.programs, o.programs, func(r *reachResult, row, column string) bool {
					return r.Publisher == from && r.Getter == to && r.Seed == row && r.Get == column
				})
			}
		}
		return
	}
	for _, p := range o.programs {
		fmt.Fprintf(w, "## %s\n\n%s. Rows are the publisher's home, columns the getter's.\n\n", p, how)
		reachGrid(w, results, o.publishers, o.getters, func(r *reachResult, row, column string) bool {
			return r.Seed == p && r.Publisher == row && r.Getter == column
		})
		fmt.Fprintln(w, summary(results, p))
	}
}

// reachGrid writes a table. is reports whether a result belongs to a row and a column.
func reachGrid(w io.Writer, results []reachResult, rows, columns []string, is func(r *reachResult, row, column string) bool) {
	fmt.Fprintf(w, "| | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, row := range rows {
		fmt.Fprintf(w, "| %s |", row)
		for _, column := range columns {
			cell := "-"
			for i := range results {
				if is(&results[i], row, column) {
					cell = results[i].times()
				}
			}
			fmt.Fprintf(w, " %s |", cell)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// summary returns the number of getters of a program that have the file, and how long those of a
// publisher whose router maps ports waited for the first bytes after both had announced.
func summary(results []reachResult, program string) string {
	have, all, mapped, of, most := 0, 0, 0, 0, 0.0
	for _, r := range results {
		if r.Seed != program {
			continue
		}
		all++
		if r.Last != nil {
			have++
		}
		if !slices.Contains(speaksMapping, r.Publisher) {
			continue
		}
		of++
		if r.Last != nil {
			mapped++
		}
		if r.First != nil && r.Announced != nil {
			most = max(most, *r.First-*r.Announced)
		}
	}
	s := fmt.Sprintf("%s: %d of %d getters have the file", program, have, all)
	if of > 0 {
		s += fmt.Sprintf("; with a publisher whose router maps ports %d of %d, with their first bytes at most %.1f s after both announced", mapped, of, most)
	}
	return s + ".\n"
}
