package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"time"

	"spate"
)

// nobody is the user and group id of the program in the container.
const nobody = 65532

// image returns a container image as a tar file: an OCI layout that "docker load" accepts
// too. Its one layer contains the program and the directories for data, state and temporary
// files. packaging/Dockerfile builds the same image.
func (d *dist) image(t target, bin []byte) ([]byte, error) {
	layer, err := d.tar("", []file{
		{path: "spate", data: bin, mode: 0o755},
		{path: "data", mode: fs.ModeDir | 0o755, uid: nobody},
		{path: "state", mode: fs.ModeDir | 0o700, uid: nobody},
		{path: "tmp", mode: fs.ModeDir | fs.ModeSticky | 0o777},
	})
	if err != nil {
		return nil, err
	}
	packed, err := compress(layer)
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	platform := object{"architecture": t.arch, "os": "linux"}
	if t.arch == "arm" {
		platform["variant"] = "v7"
	}
	describe := object{"created": d.time}
	maps.Copy(describe, platform)
	maps.Copy(describe, object{
		"config": object{
			"User": "65532:65532", "Entrypoint": []string{"/spate"}, "Cmd": []string{"serve", "--watch", "/data"}, "WorkingDir": "/data",
			"Env":          []string{"SPATE_STATE=/state", "SPATE_NO_GUESS=true", "HOME=/state", "PATH=/"}, // the address of a container is of no use to others
			"ExposedPorts": object{"6969/tcp": object{}, "6969/udp": object{}, "6881/tcp": object{}, "6881/udp": object{}},
			"Volumes":      object{"/data": object{}, "/state": object{}},
			"Labels":       d.labels(),
			// Docker and Podman check the health; the format of OCI does not define it. Times are in ns.
			"Healthcheck": object{"Test": []string{"CMD", "/spate", "status", "--quiet"}, "Interval": 60e9, "Timeout": 30e9, "StartPeriod": 60e9, "Retries": 3},
		},
		"rootfs":  object{"type": "layers", "diff_ids": []string{digest(layer)}},
		"history": []object{{"created": d.time, "created_by": "packaging/dist"}},
	})
	config, err := json.Marshal(describe)
	if err != nil {
		return nil, err
	}
	const oci = "application/vnd.oci.image."
	manifest, err := json.Marshal(object{
		"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
		"config": object{"mediaType": oci + "config.v1+json", "digest": digest(config), "size": len(config)},
		"layers": []object{{"mediaType": oci + "layer.v1.tar+gzip", "digest": digest(packed), "size": len(packed)}},
	})
	if err != nil {
		return nil, err
	}
	index, err := json.Marshal(object{
		"schemaVersion": 2, "mediaType": oci + "index.v1+json",
		"manifests": []object{{
			"mediaType": oci + "manifest.v1+json", "digest": digest(manifest), "size": len(manifest),
			"platform":    platform,
			"annotations": object{"org.opencontainers.image.ref.name": spate.Version, "io.containerd.image.name": "spate:" + spate.Version},
		}},
	})
	if err != nil {
		return nil, err
	}
	// "docker load" reads this manifest.
	load, err := json.Marshal([]object{{"Config": blob(config), "RepoTags": []string{"spate:" + spate.Version}, "Layers": []string{blob(packed)}}})
	if err != nil {
		return nil, err
	}
	return d.tar("", []file{
		{path: "oci-layout", data: []byte(`{"imageLayoutVersion":"1.0.0"}`), mode: 0o644},
		{path: "index.json", data: index, mode: 0o644},
		{path: "manifest.json", data: load, mode: 0o644},
		{path: blob(manifest), data: manifest, mode: 0o644},
		{path: blob(config), data: config, mode: 0o644},
		{path: blob(packed), data: packed, mode: 0o644},
	})
}

// labels returns what the image says about itself: see
// https://specs.opencontainers.org/image-spec/annotations/.
func (d *dist) labels() map[string]string {
	const prefix = "org.opencontainers.image."
	labels := map[string]string{
		prefix + "title": "spate", prefix + "description": summary, prefix + "version": spate.Version, prefix + "revision": d.revision,
		prefix + "created": d.time.Format(time.RFC3339), prefix + "licenses": license, prefix + "authors": d.maintainer,
	}
	if d.homepage != "" {
		labels[prefix+"url"] = d.homepage
	}
	return labels
}

// sum returns the SHA-256 sum of b in hexadecimal.
func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// digest returns the name of b in OCI manifests.
func digest(b []byte) string { return "sha256:" + sum(b) }

// blob returns the path of b in an OCI layout.
func blob(b []byte) string { return "blobs/sha256/" + sum(b) }
