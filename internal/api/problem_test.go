package api

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCodesAreDocumented checks that the documents list exactly the codes of errors.
func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	var codes, rows []string
	for _, p := range problems {
		codes = append(codes, p.Code)
		rows = append(rows, fmt.Sprintf("`%s` %d", p.Code, p.Status))
	}
	schema, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?s)\n    ErrorCode:.*?enum: \[(.*?)\]`).FindSubmatch(schema)
	if m == nil || string(m[1]) != strings.Join(codes, ", ") {
		t.Errorf("openapi.yaml lists %s, want %s", m, codes)
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| (`[a-z_]+`) \\| ([0-9]+) \\|").FindAllSubmatch(page, -1) {
		got = append(got, string(m[1])+" "+string(m[2]))
	}
	if !slices.Equal(got, rows) {
		t.Errorf("api.md lists %s, want %s", got, rows)
	}
}
