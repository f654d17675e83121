package classic

import (
	"strings"
	"testing"

	"spate/torrent"
)

// TestEncryption checks which use of encryption the options of BitTornado select.
func TestEncryption(t *testing.T) {
	t.Parallel()
	for argv, want := range map[string]torrent.Encryption{
		"--crypto_allowed 1":                  torrent.EncryptionAllow,
		"--crypto_allowed 0":                  torrent.EncryptionOff,
		"--crypto_only 1":                     torrent.EncryptionRequire,
		"--crypto_stealth 1":                  torrent.EncryptionRequire,
		"--crypto_only 1 --crypto_allowed 0":  torrent.EncryptionRequire,
		"--crypto_only=0 --crypto_allowed=0":  torrent.EncryptionOff,
		"--crypto-stealth 1 --crypto-only 0 ": torrent.EncryptionRequire,
	} {
		v, _, notes, err := Lookup("btdownloadheadless").Parse(strings.Fields(argv))
		if err != nil || len(notes) != 0 {
			t.Fatalf("%s: %v, notes %q", argv, err, notes)
		}
		if got, given := encryption(v); got != want || !given {
			t.Errorf("%s selects %v, given: %v, want %v", argv, got, given, want)
		}
	}
	for _, argv := range []string{"", "--crypto_only 0", "--crypto_stealth 0"} {
		v, _, _, err := Lookup("btdownloadheadless").Parse(strings.Fields(argv))
		if err != nil {
			t.Fatal(err)
		}
		if _, given := encryption(v); given {
			t.Errorf("%q selects a use of encryption", argv)
		}
	}
}
