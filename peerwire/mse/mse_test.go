package mse

import (
	"bytes"
	"crypto/rc4"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"

	"spate"
)

var testHash = spate.InfoHash(bytes.Repeat([]byte{7}, 20))

// known finds testHash only.
func known(d [sha1.Size]byte) (spate.InfoHash, bool) { return testHash, d == Digest(testHash) }

// choose selects from wanted what is offered, plaintext if both are.
func choose(wanted Method) func(Method) Method {
	return func(offered Method) Method {
		switch m := offered & wanted; {
		case m&Plaintext != 0:
			return Plaintext
		default:
			return m
		}
	}
}

func acceptor(wanted Method) *Acceptor { return &Acceptor{Torrent: known, Choose: choose(wanted)} }

func initiator(offer Method) *Initiator {
	return &Initiator{InfoHash: testHash, Offer: offer, Initial: []byte("initial")}
}

// pair returns the two ends of a connection. Those of net.Pipe cannot be used, since both sides
// of a handshake write before they read all.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// exchange makes a handshake and returns what both sides have.
func exchange(t *testing.T, hash spate.InfoHash, provide, wanted Method, initial []byte) (a, b net.Conn, dialled, accepted *Result, dialErr, acceptErr error) {
	t.Helper()
	a, b = pair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		begin := make([]byte, 20)
		if _, acceptErr = io.ReadFull(b, begin); acceptErr == nil {
			accepted, acceptErr = acceptor(wanted).Handshake(b, begin)
		}
		if acceptErr != nil {
			b.Close()
		}
	}()
	dialled, dialErr = (&Initiator{InfoHash: hash, Offer: provide, Initial: initial}).Handshake(a)
	if dialErr != nil {
		a.Close()
	}
	<-done
	return a, b, dialled, accepted, dialErr, acceptErr
}

// TestHandshake makes handshakes with every set of methods, and sends data after them in both
// directions. Every handshake has other paddings.
func TestHandshake(t *testing.T) {
	t.Parallel()
	for provide := Plaintext; provide <= Plaintext|RC4; provide++ {
		for wanted := Plaintext; wanted <= Plaintext|RC4; wanted++ {
			t.Run(fmt.Sprint(provide, wanted), func(t *testing.T) {
				t.Parallel()
				for range 8 {
					initial := bytes.Repeat([]byte("first"), 20)
					a, b, dialled, accepted, dialErr, acceptErr := exchange(t, testHash, provide, wanted, initial)
					if provide&wanted == 0 {
						if dialErr == nil || !errors.Is(acceptErr, ErrNoMethod) {
							t.Fatalf("the sides have no common method: %v, %v", dialErr, acceptErr)
						}
						continue
					}
					if dialErr != nil || acceptErr != nil {
						t.Fatal(dialErr, acceptErr)
					}
					want := choose(wanted)(provide)
					if dialled.Method != want || accepted.Method != want || accepted.InfoHash != testHash || !bytes.Equal(accepted.Initial, initial) {
						t.Fatalf("dialled %+v, accepted %+v, want method %d", dialled, accepted, want)
					}
					if want == RC4 {
						a, b = NewConn(a, dialled), NewConn(b, accepted)
					}
					data := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, 20_000)
					for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
						sent := bytes.Clone(data)
						go pair[0].Write(sent)
						got := make([]byte, len(data))
						if _, err := io.ReadFull(pair[1], got); err != nil || !bytes.Equal(got, data) {
							t.Fatalf("the data differs after the handshake: %v", err)
						}
						if !bytes.Equal(sent, data) {
							t.Fatal("Write changed its argument")
						}
					}
				}
			})
		}
	}
}

func TestUnknownTorrent(t *testing.T) {
	t.Parallel()
	_, _, _, _, dialErr, acceptErr := exchange(t, spate.InfoHash{1}, Plaintext|RC4, Plaintext|RC4, nil)
	if dialErr == nil || !errors.Is(acceptErr, ErrUnknownTorrent) {
		t.Errorf("the errors are %v and %v", dialErr, acceptErr)
	}
}

// TestStreamIsRC4 compares the stream with crypto/rc4 for writes of many lengths.
func TestStreamIsRC4(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 40; n++ {
		key := bytes.Repeat([]byte{byte(n), 3, 250}, n)
		ours := newStream(key)
		theirs, err := rc4.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		theirs.XORKeyStream(make([]byte, dropped), make([]byte, dropped))
		for length := range 70 {
			a, b := bytes.Repeat([]byte{9}, length), bytes.Repeat([]byte{9}, length)
			ours.xor(a, a)
			theirs.XORKeyStream(b, b)
			if !bytes.Equal(a, b) {
				t.Fatalf("a key of %d bytes: the streams differ in a write of %d bytes", len(key), length)
			}
		}
	}
}

// TestKeysOfGroup checks the table of powers, that both sides compute the same secret, and that
// keys are refused whose secret everybody knows.
func TestKeysOfGroup(t *testing.T) {
	t.Parallel()
	for range 20 {
		a, b := newSecret(), newSecret()
		if want := fixed(new(big.Int).Exp(big.NewInt(2), new(big.Int).SetBytes(a[:]), prime)); a.public() != want {
			t.Fatal("the public key is not a power of two")
		}
		sa, oka := a.shared(b.public())
		sb, okb := b.shared(a.public())
		if !oka || !okb || sa != sb {
			t.Fatal("the sides compute different secrets")
		}
	}
	s := newSecret()
	for _, bad := range []*big.Int{big.NewInt(0), big.NewInt(1), new(big.Int).Sub(prime, big.NewInt(1)), prime, new(big.Int).Add(prime, big.NewInt(1))} {
		if _, ok := s.shared(fixed(bad)); ok {
			t.Errorf("the key %x was used", bad)
		}
	}
}

// script is a connection that sends prepared bytes and takes everything.
type script struct{ io.Reader }

func (script) Write(b []byte) (int, error) { return len(b), nil }

// TestBadHandshakes checks that bytes which are no handshake give an error after a bounded
// number of bytes.
func TestBadHandshakes(t *testing.T) {
	t.Parallel()
	random := bytes.Repeat([]byte("no handshake"), 1000)
	for name, in := range map[string][]byte{
		"nothing":           {},
		"a part of a key":   random[:50],
		"zeros":             make([]byte, 2000),
		"random":            random,
		"the largest key":   bytes.Repeat([]byte{255}, 2000),
		"a key and nothing": random[:keyLen],
	} {
		r := bytes.NewReader(in)
		if _, err := acceptor(RC4).Handshake(script{r}, nil); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if read := len(in) - r.Len(); read > keyLen+maxPad+sha1.Size {
			t.Errorf("%s: the Acceptor read %d bytes", name, read)
		}
		r = bytes.NewReader(in)
		if _, err := initiator(RC4).Handshake(script{r}); err == nil {
			t.Errorf("%s was an answer", name)
		}
		if read := len(in) - r.Len(); read > keyLen+maxPad+len(verification) {
			t.Errorf("%s: the Initiator read %d bytes", name, read)
		}
	}
}

// TestFindReadsNoMore checks that find reads exactly up to the end of what it looks for.
func TestFindReadsNoMore(t *testing.T) {
	t.Parallel()
	want := []byte("aabaabaac")
	for _, before := range []string{"", "a", "aab", "aabaab", "aabaabaa", "aabaabaabaab", "xaabaabaax", string(make([]byte, maxPad))} {
		r := bytes.NewReader([]byte(before + string(want) + "rest"))
		if err := find(r, want); err != nil || r.Len() != len("rest") {
			t.Errorf("after %q: %v, %d bytes are left", before, err, r.Len())
		}
	}
	if err := find(bytes.NewReader(make([]byte, 5000)), want); !errors.Is(err, ErrHandshake) {
		t.Errorf("without an end: %v", err)
	}
}

// brokenConn writes a part of the first write and then fails.
type brokenConn struct {
	net.Conn
	writes int
}

func (c *brokenConn) Write(b []byte) (int, error) {
	c.writes++
	return len(b) / 2, io.ErrShortWrite
}

// TestWriteFailsAfterError checks that nothing is written after a write that ended early, since
// the other side could not decrypt it.
func TestWriteFailsAfterError(t *testing.T) {
	t.Parallel()
	below := &brokenConn{}
	c := NewConn(below, &Result{send: newStream([]byte("k")), receive: newStream([]byte("k"))})
	for range 2 {
		if _, err := c.Write(make([]byte, 10)); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("the error is %v", err)
		}
	}
	if below.writes != 1 {
		t.Errorf("%d writes, want 1", below.writes)
	}
}

// recorder keeps what one side of a handshake received.
type recorder struct {
	net.Conn
	got []byte
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.got = append(r.got, b[:n]...)
	return n, err
}

func FuzzAccept(f *testing.F) {
	a, b := pair(f)
	seen := &recorder{Conn: b}
	go initiator(Plaintext | RC4).Handshake(a)
	acceptor(RC4).Handshake(seen, nil)
	f.Add(seen.got)
	f.Add(make([]byte, 700))
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := acceptor(RC4).Handshake(script{bytes.NewReader(in)}, nil); err == nil && r.Method != RC4 {
			t.Errorf("accepted %+v", r)
		}
	})
}

func FuzzInitiate(f *testing.F) {
	f.Add(make([]byte, 700))
	f.Add(bytes.Repeat([]byte{200}, 1000))
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := initiator(RC4).Handshake(script{bytes.NewReader(in)}); err == nil && r.Method != RC4 {
			t.Errorf("agreed on %+v", r)
		}
	})
}

func BenchmarkStream(b *testing.B) {
	c, block := newStream([]byte("key")), make([]byte, 16<<10)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		c.xor(block, block)
	}
}

// BenchmarkExchange measures the computation of one side: its public key and the shared secret.
func BenchmarkExchange(b *testing.B) {
	other := newSecret()
	theirs := other.public()
	for b.Loop() {
		s := newSecret()
		s.public()
		if _, ok := s.shared(theirs); !ok {
			b.Fatal("no secret")
		}
	}
}

// TestStreamGoesBack checks that a stream that was taken back encrypts the same bytes again.
func TestStreamGoesBack(t *testing.T) {
	t.Parallel()
	c, want := newStream([]byte("key")), newStream([]byte("key"))
	for n := range 700 {
		again := *c
		c.xor(make([]byte, n), make([]byte, n))
		c.back(n)
		if *c != again {
			t.Fatalf("the stream differs after %d bytes were taken back", n)
		}
		one := make([]byte, 1)
		c.xor(one, one)
		want.xor(one, one)
	}
	if *c != *want {
		t.Error("the stream differs from one that was never taken back")
	}
}

// FuzzStream compares the function of this processor with the portable one, and both with
// crypto/rc4, for data in two parts.
func FuzzStream(f *testing.F) {
	f.Add([]byte("key"), make([]byte, 100), uint16(50))
	f.Add([]byte{0}, bytes.Repeat([]byte{1}, 3000), uint16(1021))
	f.Fuzz(func(t *testing.T, key, data []byte, cut uint16) {
		if len(key) == 0 || len(key) > 256 {
			return
		}
		theirs, err := rc4.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		skip := make([]byte, dropped)
		theirs.XORKeyStream(skip, skip)
		want := make([]byte, len(data))
		theirs.XORKeyStream(want, data)

		ours, n := newStream(key), min(int(cut), len(data))
		got := make([]byte, len(data))
		ours.xor(got, data[:n])
		ours.xor(got[n:], data[n:])
		if !bytes.Equal(got, want) {
			t.Errorf("the key %x encrypts %x into %x, want %x", key, data, got, want)
		}
		portable, words := newStream(key), len(data)/8*8
		portable.xorWordsPortable(got, data)
		ours.back(len(data) - words)
		if !bytes.Equal(got[:words], want[:words]) || *portable != *ours {
			t.Errorf("the portable function and the key %x encrypt %x into %x, want %x", key, data, got, want)
		}
	})
}
