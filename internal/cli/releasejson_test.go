package cli

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// samerelease is the script command "samerelease REF FILE...". Each FILE contains the JSON of
// the release REF, alone, in an event, or in a list. The command fails if the files have
// different fields or values. It ignores the optional fields of publish.ReleaseInfo, the other
// fields of events, and the signature of the checksums, which is made later.
func samerelease(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: samerelease REF FILE...")
	}
	var first map[string]any
	for _, file := range args[1:] {
		r := findRelease(ts, args[0], file)
		for _, key := range []string{"page_url", "torrent_url", "magnet", "info_hash_v1", "info_hash_v2", "announce_urls", "public_key"} {
			if r[key] == nil {
				ts.Fatalf("%s: the release has no %s: %v", file, key, r)
			}
		}
		for _, key := range []string{"event", "http_addr", "udp_addr", "peer_addr", "files", "notes", "path", "live", "checksums_signature_url"} {
			delete(r, key)
		}
		if first == nil {
			first = r
		}
		for _, key := range slices.Sorted(maps.Keys(merged(first, r))) {
			if !reflect.DeepEqual(first[key], r[key]) {
				ts.Fatalf("%s: %v in %s, %v in %s", key, first[key], args[1], r[key], file)
			}
		}
	}
}

// merged returns a map with the entries of a and b.
func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// findRelease returns the release with the reference ref from a file that has a JSON value on
// each line.
func findRelease(ts *testscript.TestScript, ref, file string) map[string]any {
	for line := range strings.Lines(ts.ReadFile(file)) {
		var one map[string]any
		var list struct{ Releases []map[string]any }
		ts.Check(json.Unmarshal([]byte(line), &one))
		ts.Check(json.Unmarshal([]byte(line), &list))
		for _, r := range append(list.Releases, one) {
			if r["ref"] == ref {
				return r
			}
		}
	}
	ts.Fatalf("%s: no release %s in\n%s", file, ref, ts.ReadFile(file))
	return nil
}
