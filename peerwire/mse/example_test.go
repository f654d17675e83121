package mse_test

import (
	"crypto/sha1"
	"fmt"
	"io"
	"log"
	"net"

	"spate"
	"spate/peerwire/mse"
)

// Encrypt a connection: one side initiates the handshake, the other accepts it.
func Example() {
	hash := spate.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		accepted, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		acceptor := mse.Acceptor{
			Torrent: func(digest [sha1.Size]byte) (spate.InfoHash, bool) { return hash, digest == mse.Digest(hash) },
			Choose:  func(offered mse.Method) mse.Method { return offered & mse.RC4 },
		}
		r, err := acceptor.Handshake(accepted, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("torrent known:", r.InfoHash == hash, "RC4:", r.Method == mse.RC4)
		c := mse.NewConn(accepted, r)
		io.WriteString(c, "hello")
		c.Close()
	}()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer dialled.Close()
	initiator := mse.Initiator{InfoHash: hash, Offer: mse.RC4 | mse.Plaintext}
	r, err := initiator.Handshake(dialled)
	if err != nil {
		log.Fatal(err)
	}
	b, err := io.ReadAll(mse.NewConn(dialled, r))
	<-done
	fmt.Printf("%s %v\n", b, err)
	// Output:
	// torrent known: true RC4: true
	// hello <nil>
}
