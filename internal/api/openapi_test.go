package api

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestOpenAPI checks that docs/openapi.yaml describes exactly the requests of the server.
func TestOpenAPI(t *testing.T) {
	b, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var path string
	var described []string
	method := regexp.MustCompile(`^    (get|post|patch|delete|put):$`)
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "components:") {
			break
		}
		if strings.HasPrefix(line, "  /") {
			path = strings.TrimSuffix(strings.TrimSpace(line), ":")
		} else if m := method.FindStringSubmatch(line); m != nil {
			described = append(described, strings.ToUpper(m[1])+" "+path)
		}
	}
	routes := NewServer(&fake{}, ServerOptions{}).routes()
	delete(routes, "/")
	slices.Sort(described)
	var got []string
	for _, route := range slices.Sorted(maps.Keys(routes)) {
		got = append(got, strings.Replace(route, "...}", "}", 1)) // a path of several elements
	}
	if !slices.Equal(got, described) {
		t.Errorf("the server answers\n%s\nand the document describes\n%s", strings.Join(got, "\n"), strings.Join(described, "\n"))
	}
}
