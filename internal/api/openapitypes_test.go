package api

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spate/internal/daemon"
	"spate/internal/doctor"
	"spate/internal/onevent"
	"spate/internal/reach"
	"spate/internal/upload"
	"spate/publish"
)

// bodies are the types of the bodies of a request and of its answer. An answer without content, and
// one that is no JSON, has no type.
type bodies struct{ request, answer reflect.Type }

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// bodiesOf has the bodies of all routes that have any.
var bodiesOf = map[string]bodies{
	"GET /v1/status":                     {nil, typeOf[Status]()},
	"POST /v1/check":                     {nil, typeOf[doctor.Report]()},
	"POST /v1/dialback":                  {nil, typeOf[reach.DialBack]()},
	"GET /v1/releases":                   {nil, typeOf[Releases]()},
	"POST /v1/releases":                  {typeOf[Publish](), typeOf[Event]()},
	"GET /v1/releases/{ref}":             {nil, typeOf[publish.ReleaseInfo]()},
	"PATCH /v1/releases/{ref}":           {typeOf[Change](), nil},
	"GET /v1/releases/{ref}/peers":       {nil, typeOf[[]Peer]()},
	"GET /v1/watch":                      {nil, typeOf[Snapshot]()},
	"POST /v1/backup":                    {typeOf[Backup](), nil},
	"GET /v1/errors":                     {nil, typeOf[[]Problem]()},
	"GET /v1/errors/{code}":              {nil, typeOf[Problem]()},
	"GET /v1/torrents":                   {nil, typeOf[Torrents]()},
	"POST /v1/torrents":                  {typeOf[AddTorrent](), typeOf[daemon.TorrentInfo]()},
	"GET /v1/torrents/{ref}":             {nil, typeOf[daemon.TorrentDetails]()},
	"PATCH /v1/torrents/{ref}":           {typeOf[daemon.TorrentChange](), nil},
	"GET /v1/torrents/{ref}/peers":       {nil, typeOf[[]Peer]()},
	"POST /v1/torrents/preview":          {typeOf[AddTorrent](), typeOf[daemon.TorrentPreview]()},
	"GET /v1/torrents/{ref}/pieces":      {nil, typeOf[daemon.TorrentPieces]()},
	"GET /v1/torrents/{ref}/history":     {nil, typeOf[daemon.TorrentHistory]()},
	"GET /v1/folders":                    {nil, typeOf[Folders]()},
	"POST /v1/torrents/{ref}/move":       {typeOf[Move](), nil},
	"POST /v1/torrents/{ref}/recheck":    {},
	"POST /v1/torrents/{ref}/reannounce": {},
	"GET /v1/releases/{ref}/health":      {nil, typeOf[daemon.ReleaseHealth]()},
	"GET /v1/uploads":                    {nil, typeOf[Uploads]()},
	"POST /v1/uploads":                   {typeOf[upload.Request](), nil}, // its answer is that of GET, with the status 201
	"GET /v1/uploads/{id}":               {nil, typeOf[upload.Info]()},
	"GET /v1/browse":                     {nil, typeOf[daemon.Listing]()},
	"POST /v1/notes/preview":             {typeOf[Notes](), nil},
	"GET /v1/limits":                     {nil, typeOf[daemon.Limits]()},
	"PATCH /v1/limits":                   {typeOf[daemon.LimitsChange](), nil},
	"POST /v1/import":                    {typeOf[ImportTorrent](), typeOf[daemon.Imported]()},
	"GET /v1/schedule":                   {nil, typeOf[daemon.Schedule]()},
	"PUT /v1/schedule":                   {typeOf[SetSchedule](), typeOf[daemon.Schedule]()},
	"GET /v1/feeds":                      {nil, typeOf[Feeds]()},
	"POST /v1/feeds":                     {typeOf[daemon.AddFeed](), typeOf[daemon.FeedInfo]()},
	"POST /v1/feeds/preview":             {typeOf[daemon.PreviewFeed](), typeOf[daemon.FeedPreview]()},
	"GET /v1/feeds/{id}":                 {nil, typeOf[daemon.FeedInfo]()},
	"PATCH /v1/feeds/{id}":               {typeOf[daemon.FeedChange](), nil},
	"POST /v1/feeds/{id}/check":          {nil, typeOf[daemon.FeedInfo]()},
}

// TestOpenAPITypes checks that the document describes the fields of all requests and answers, with
// their types, and no others; that a required field is always there; and that nothing else is in the
// document.
func TestOpenAPITypes(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	for pattern, op := range d.operations() {
		want := bodiesOf[pattern]
		d.compareBody(pattern+": the request", op.object["requestBody"], want.request, true)
		answered := false
		for status, v := range op.object["responses"].(object) {
			if status == "200" {
				answered = true
				d.compareBody(pattern+": the answer", v, want.answer, false)
			}
		}
		if !answered && want.answer != nil {
			t.Errorf("%s has no answer 200", pattern)
		}
	}
	d.compareBody("an error", d.resolve(object{"$ref": "#/components/responses/Error"}), typeOf[failure](), false)
	d.compare("an event of the daemon", object{"$ref": "#/components/schemas/DaemonEvent"}, typeOf[onevent.Event](), false)
	for kind, v := range d.root["components"].(object) {
		for name := range v.(object) {
			if ref := "#/components/" + kind + "/" + name; !d.used[ref] && kind != "securitySchemes" && kind != "headers" {
				t.Errorf("nothing refers to %s", ref)
			}
		}
	}
}

// compareBody compares a request or a response with the type of its body, or with none.
func (d *document) compareBody(what string, v any, want reflect.Type, request bool) {
	d.Helper()
	var schema any
	if v != nil {
		content, _ := d.resolve(v)["content"].(object)
		for kind, c := range content {
			if strings.Contains(kind, "json") {
				schema = c.(object)["schema"]
			}
		}
	}
	switch {
	case schema == nil && want == nil:
	case schema == nil || want == nil:
		d.Errorf("%s: its type is %v, and the document says %v", what, want, schema)
	default:
		d.compare(what, schema, want, request)
	}
}

// compare compares a schema with a type.
func (d *document) compare(what string, schema any, want reflect.Type, request bool) {
	d.Helper()
	for want.Kind() == reflect.Pointer {
		want = want.Elem()
	}
	s := d.merged(schema)
	kind := kindOf(want)
	if got, _ := s["type"].(string); got != kind && !(got == "" && (s["enum"] != nil && kind == "string" || kind == "any")) {
		d.Errorf("%s is %s, and the document says %q", what, kind, got)
		return
	}
	switch kind {
	case "array":
		if s["items"] == nil {
			d.Errorf("%s: the document does not say of what", what)
			return
		}
		d.compare(what+"[]", s["items"], want.Elem(), request)
	case "object":
		if want.Kind() == reflect.Map {
			d.compare(what+"{}", s["additionalProperties"], want.Elem(), request)
			return
		}
		d.compareFields(what, s, want, request)
	}
}

// compareFields compares the fields of an object.
func (d *document) compareFields(what string, s object, want reflect.Type, request bool) {
	d.Helper()
	fields := fieldsOf(want)
	properties, _ := s["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		p, ok := properties[name]
		if !ok {
			d.Errorf("%s: the document lacks the field %s", what, name)
			continue
		}
		d.compare(what+"."+name, p, fields[name].Type, request)
	}
	for name := range properties {
		if _, ok := fields[name]; !ok {
			d.Errorf("%s has no field %s, and the document has", what, name)
		}
	}
	for _, v := range d.list(s["required"]) {
		name := v.(string)
		if f, ok := fields[name]; !ok {
			d.Errorf("%s: the document requires the field %s, which it does not have", what, name)
		} else if !request && strings.Contains(f.Tag.Get("json"), ",omit") {
			d.Errorf("%s: the document requires the field %s, which is left out if it is empty", what, name)
		}
	}
}

// merged returns a schema with all that it is made of.
func (d *document) merged(schema any) object {
	s := maps.Clone(d.resolve(schema))
	properties, required := object{}, d.list(s["required"])
	if p, ok := s["properties"].(object); ok {
		maps.Copy(properties, p)
	}
	for _, part := range d.list(s["allOf"]) {
		m := d.merged(part)
		if p, ok := m["properties"].(object); ok {
			maps.Copy(properties, p)
		}
		required = append(slices.Clone(required), d.list(m["required"])...)
		for _, key := range []string{"type", "items", "enum"} {
			if s[key] == nil && m[key] != nil {
				s[key] = m[key]
			}
		}
	}
	s["properties"], s["required"] = properties, required
	return s
}

// kindOf returns the type of a JSON value.
func kindOf(t reflect.Type) string {
	switch {
	case t == typeOf[time.Time](), t == typeOf[[]byte](), t.Implements(typeOf[encoding.TextMarshaler]()):
		return "string"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Interface:
		return "any"
	}
	if t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 {
		return "integer"
	}
	return fmt.Sprint(t)
}

// fieldsOf returns the fields of a struct, and of those embedded in it, by their names in JSON.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	all := map[string]reflect.StructField{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			maps.Copy(all, fieldsOf(embedded))
		case !f.IsExported(), name == "-":
		default:
			all[name] = f
		}
	}
	return all
}
