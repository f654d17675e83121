package signature_test

import (
	"errors"
	"fmt"
	"log"
	"time"

	"spate/signature"
)

// Sign a file and verify it. The signature has the format of minisign, so that
// "minisign -V -P KEY -m FILE" verifies it too.
func Example() {
	key, err := signature.NewKey()
	if err != nil {
		log.Fatal(err)
	}
	torrent := []byte("the content of debian.iso.torrent")
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	sig := key.Sign(torrent, "debian.iso.torrent", at) // store it as debian.iso.torrent.minisig

	public, err := signature.ParsePublicKey(key.Public().String())
	if err != nil {
		log.Fatal(err)
	}
	s, err := signature.Verify(public, torrent, sig)
	fmt.Println(s.File, s.Time.UTC(), err)

	_, err = signature.Verify(public, append(torrent, '!'), sig)
	fmt.Println(errors.Is(err, signature.ErrMismatch))
	// Output:
	// debian.iso.torrent 2026-11-30 12:00:00 +0000 UTC <nil>
	// true
}

// Keep a secret key in a file. A password protects the file; to use it takes
// one or two seconds and about 1 GiB of memory.
func ExampleKey_File() {
	key, err := signature.NewKey()
	if err != nil {
		log.Fatal(err)
	}
	file, err := key.File("") // no password
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("protected:", signature.Protected(file))
	again, err := signature.ParseKey(file, "")
	fmt.Println(again.Public().Equal(key.Public()), err)
	// Output:
	// protected: false
	// true <nil>
}
