package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"spate"
)

// sbom returns the software bill of materials of a binary in the format CycloneDX 1.6: the modules
// that the binary says it contains, and the Go toolchain. Its serial number depends on the binary
// only.
func (d *dist) sbom(t target, bin []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(bin))
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	program := object{
		"type": "application", "bom-ref": "spate", "name": "spate", "version": spate.Version, "description": summary,
		"licenses": []object{{"license": object{"id": license}}},
		"hashes":   []object{{"alg": "SHA-256", "content": sum(bin)}},
		"properties": []object{
			{"name": "spate:target", "value": t.String()}, {"name": "spate:commit", "value": d.revision},
		},
	}
	if d.homepage != "" {
		program["externalReferences"] = []object{{"type": "website", "url": d.homepage}}
	}
	components, refs := []object{}, []string{}
	add := func(path, version, sum string) {
		c := object{"type": "library", "bom-ref": packageURL(path, version), "name": path, "version": version, "purl": packageURL(path, version)}
		if sum != "" {
			c["properties"] = []object{{"name": "golang:sum", "value": sum}} // of go.sum; it is no hash of a file
		}
		components, refs = append(components, c), append(refs, packageURL(path, version))
	}
	add("stdlib", strings.TrimPrefix(info.GoVersion, "go"), "")
	for _, m := range info.Deps {
		m = cmp.Or(m.Replace, m)
		add(m.Path, m.Version, m.Sum)
	}
	bom, err := json.MarshalIndent(object{
		"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"serialNumber": serialNumber(bin),
		"metadata":     object{"timestamp": d.time.Format(time.RFC3339), "component": program},
		"components":   components,
		"dependencies": []object{{"ref": "spate", "dependsOn": refs}},
	}, "", "  ")
	return append(bom, '\n'), err
}

// packageURL returns the package URL of a module of Go.
func packageURL(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(url.PathEscape(version), "+", "%2B")
}

// serialNumber returns a UUID (RFC 9562, version 8) that is made from the hash of b.
func serialNumber(b []byte) string {
	h := sha256.Sum256(b)
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
