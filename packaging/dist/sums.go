package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"spate/signature"
)

// signer returns the minisign key in the file at path, or nil if path is empty. The variable
// MINISIGN_PASSWORD has its password.
func signer(path string) (*signature.Key, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := signature.ParseKey(text, os.Getenv("MINISIGN_PASSWORD"))
	if errors.Is(err, signature.ErrPassword) {
		err = fmt.Errorf("%w in the variable MINISIGN_PASSWORD", err)
	}
	if err != nil {
		return nil, fmt.Errorf("-sign %s: %w", path, err)
	}
	return key, nil
}

// writeSums writes SHA256SUMS, and its signature if key is not nil.
func (d *dist) writeSums(key *signature.Key) error {
	const name = "SHA256SUMS"
	var b strings.Builder
	for _, file := range slices.Sorted(maps.Keys(d.sums)) {
		fmt.Fprintf(&b, "%s  %s\n", d.sums[file], file)
	}
	path, text := filepath.Join(d.out, name), []byte(b.String())
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	if err := os.Remove(path + signature.Extension); err != nil && !errors.Is(err, os.ErrNotExist) { // of an earlier run
		return err
	}
	if key == nil {
		return nil
	}
	fmt.Printf("%s is signed; minisign -V -P %s -m %s verifies it\n", path, key.Public(), path)
	return os.WriteFile(path+signature.Extension, key.Sign(text, name, d.time), 0o644)
}
