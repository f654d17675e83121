package api

import (
	"context"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"spate/internal/eventstream"
)

// object is an object of the document.
type object = map[string]any

// document is docs/openapi.yaml.
type document struct {
	*testing.T
	root object
	used map[string]bool // references that were resolved
}

func readDocument(t *testing.T) *document {
	b, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := &document{T: t, used: map[string]bool{}}
	if err := yaml.Unmarshal(b, &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// resolve returns what v refers to, or v.
func (d *document) resolve(v any) object {
	o, ok := v.(object)
	if !ok {
		d.Fatalf("%v is no object", v)
	}
	for {
		ref, ok := o["$ref"].(string)
		if !ok {
			return o
		}
		d.used[ref] = true
		at := d.root
		for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			if at, ok = at[name].(object); !ok {
				d.Fatalf("%s leads to nothing", ref)
			}
		}
		o = at
	}
}

// operation is a method of a path, with the parameters of both.
type operation struct {
	object
	parameters []object
}

// has reports whether the operation has a parameter.
func (o operation) has(in, name string) bool {
	return slices.ContainsFunc(o.parameters, func(p object) bool { return p["in"] == in && p["name"] == name })
}

// operations returns all operations, by the patterns of their routes.
func (d *document) operations() map[string]operation {
	all := map[string]operation{}
	for path, v := range d.root["paths"].(object) {
		item := d.resolve(v)
		for method, v := range item {
			if method == "parameters" {
				continue
			}
			op := operation{object: v.(object)}
			for _, list := range []any{item["parameters"], op.object["parameters"]} {
				list, _ := list.([]any)
				for _, p := range list {
					op.parameters = append(op.parameters, d.resolve(p))
				}
			}
			all[strings.ToUpper(method)+" "+path] = op
		}
	}
	return all
}

// patternOf returns the pattern of a route as the document writes it.
func patternOf(route string) string { return strings.Replace(route, "...}", "}", 1) }

// TestOpenAPI checks that docs/openapi.yaml describes exactly the requests of the server, with their
// scopes and the parameters in their paths, and that each can fail.
func TestOpenAPI(t *testing.T) {
	d := readDocument(t)
	ops := d.operations()
	routes := NewServer(&fake{}, ServerOptions{}).routes()
	delete(routes, "/")
	ids := map[any]bool{}
	for pattern, route := range routes {
		op, ok := ops[patternOf(pattern)]
		if !ok {
			t.Errorf("the document lacks %s", pattern)
			continue
		}
		delete(ops, patternOf(pattern))
		scopes := []string{}
		for _, alternative := range op.object["security"].([]any) {
			for _, s := range d.list(alternative.(object)["token"]) {
				scopes = append(scopes, s.(string))
			}
		}
		if want := route.scope.Names(); !slices.Equal(scopes, want) {
			t.Errorf("%s needs the scopes %q, and the document says %q", pattern, want, scopes)
		}
		for _, name := range []string{"ref", "path", "code", "id"} {
			if in := strings.Contains(pattern, "{"+name); in != op.has("path", name) {
				t.Errorf("%s: the parameter %s is in the path: %v", pattern, name, in)
			}
		}
		responses := op.object["responses"].(object)
		if ref, _ := responses["default"].(object)["$ref"].(string); ref != "#/components/responses/Error" {
			t.Errorf("%s has no error", pattern)
		}
		if id := op.object["operationId"]; id == nil || ids[id] || op.object["summary"] == nil {
			t.Errorf("%s has no operationId of its own, or no summary", pattern)
		} else {
			ids[id] = true
		}
	}
	for pattern := range ops {
		t.Errorf("the server has no %s", pattern)
	}
}

// list returns v, which is a list or nil.
func (d *document) list(v any) []any {
	l, _ := v.([]any)
	return l
}

// TestOpenAPIParameters checks which requests have pages, conditions and an Idempotency-Key: those for
// which the document says so, and no others.
func TestOpenAPIParameters(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	ops := d.operations()
	for route := range NewServer(&fake{}, ServerOptions{}).routes() {
		op, ok := ops[patternOf(route)]
		if !ok {
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer("{ref}", "a", "{path...}", "film.mkv", "{code}", NotFound, "{id}", "a").Replace(path)
		send := func(query, name, value string) *httptest.ResponseRecorder {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // streams end at once
			s := NewServer(&fake{hub: eventstream.New(nil, eventstream.Options{})}, ServerOptions{})
			r := httptest.NewRequestWithContext(ctx, method, path+query, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set(name, value)
			w := httptest.NewRecorder()
			func() {
				defer func() { recover() }() // the fake does not have all
				s.ServeHTTP(w, r)
			}()
			return w
		}
		for _, name := range []string{"offset", "limit"} {
			if got := method == "GET" && send("?"+name+"=x", "X", "").Code == 400; got != op.has("query", name) {
				t.Errorf("%s has the parameter %s: %v", route, name, got)
			}
		}
		if got := strings.Contains(send("", "Idempotency-Key", "\x01").Body.String(), "an Idempotency-Key is"); got != op.has("header", "Idempotency-Key") {
			t.Errorf("%s has an Idempotency-Key: %v", route, got)
		}
		if got := send("", "If-Match", "x").Code == 412; method == "PATCH" && got != op.has("header", "If-Match") {
			t.Errorf("%s has If-Match: %v", route, got)
		}
	}
}
