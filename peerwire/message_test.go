package peerwire_test

import (
	"bytes"
	"errors"
	"testing"

	"spate"
	"spate/peerwire"
)

// messages returns an encoded message of each kind.
func messages() [][]byte {
	return [][]byte{
		peerwire.AppendKeepAlive(nil),
		peerwire.AppendSimple(nil, peerwire.Unchoke),
		peerwire.AppendSimple(nil, peerwire.HaveAll),
		peerwire.AppendIndexed(nil, peerwire.Have, 7),
		peerwire.AppendBlock(nil, peerwire.Request, 1, 2<<14, 1<<14),
		append(peerwire.AppendPieceHeader(nil, 3, 1<<14, 5), "hello"...),
		peerwire.AppendBytes(nil, peerwire.Bitfield, []byte{0xf0}),
		peerwire.AppendExtended(nil, 3, []byte("d1:ai1ee")),
		peerwire.AppendPort(nil, 6881),
		peerwire.AppendBytes(nil, 99, []byte("unknown")),
	}
}

// encode encodes m, which must give the bytes that m was parsed from.
func encode(m *peerwire.Message) []byte {
	switch m.ID {
	case peerwire.KeepAlive:
		return peerwire.AppendKeepAlive(nil)
	case peerwire.Have, peerwire.Suggest, peerwire.AllowedFast:
		return peerwire.AppendIndexed(nil, m.ID, m.Index)
	case peerwire.Request, peerwire.Cancel, peerwire.Reject:
		return peerwire.AppendBlock(nil, m.ID, m.Index, m.Begin, m.Length)
	case peerwire.Piece:
		return append(peerwire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length), m.Payload...)
	case peerwire.Port:
		return peerwire.AppendPort(nil, uint16(m.Index))
	case peerwire.Extended:
		return peerwire.AppendExtended(nil, uint8(m.Index), m.Payload)
	}
	return peerwire.AppendBytes(nil, m.ID, m.Payload)
}

// TestMessageRoundTrip checks that messages are encoded and parsed without loss.
func TestMessageRoundTrip(t *testing.T) {
	for _, b := range messages() {
		var m peerwire.Message
		n, _, err := peerwire.Parse(b, &m)
		if err != nil || n != len(b) {
			t.Errorf("Parse read %d of %d bytes of %x: %v", n, len(b), b, err)
			continue
		}
		if got := encode(&m); !bytes.Equal(got, b) {
			t.Errorf("%v: %x became %x", m.ID, b, got)
		}
	}
}

// TestParsePartialMessage checks that Parse waits for the rest of a message and asks
// for no more bytes than the message has.
func TestParsePartialMessage(t *testing.T) {
	for _, b := range messages() {
		for i := range b {
			var m peerwire.Message
			n, need, err := peerwire.Parse(b[:i], &m)
			if n != 0 || err != nil || need <= i || need > len(b) {
				t.Fatalf("Parse of the first %d bytes of %x returned n %d and need %d (%v), want n 0", i, b, n, need, err)
			}
		}
	}
}

// TestParseRejectsInvalidLengths checks that Parse rejects a message as soon as its
// length and type are known, before the body arrives.
func TestParseRejectsInvalidLengths(t *testing.T) {
	for _, b := range [][]byte{
		{0, 0, 0, 2, byte(peerwire.Choke)},
		{0, 0, 0, 4, byte(peerwire.Have)},
		{0, 0, 0, 12, byte(peerwire.Request)},
		{0, 0, 0, 9, byte(peerwire.Piece)},
		{0, 1, 0, 0, byte(peerwire.Piece)},
		{0, 0, 0, 1, byte(peerwire.Extended)},
		{0x7f, 0xff, 0xff, 0xff, byte(peerwire.Bitfield)},
		{0xff, 0xff, 0xff, 0xff, 200},
	} {
		var m peerwire.Message
		_, _, err := peerwire.Parse(b, &m)
		var size *peerwire.SizeError
		if !errors.As(err, &size) {
			t.Errorf("Parse of %x returned %v, want a SizeError", b, err)
		}
	}
}

// TestHandshake checks that a handshake is encoded and parsed without loss, and that
// other protocols are recognized by their first bytes.
func TestHandshake(t *testing.T) {
	h := peerwire.Handshake{InfoHash: spate.InfoHash{1, 2, 3}, PeerID: spate.NewPeerID()}
	h.Reserved.SetExtended()
	h.Reserved.SetFast()
	b := h.Append(nil)
	got, err := peerwire.ParseHandshake(b)
	if err != nil || got != h {
		t.Fatalf("%+v became %+v, %v", h, got, err)
	}
	if !got.Reserved.Extended() || !got.Reserved.Fast() || got.Reserved.DHT() || got.Reserved.V2() {
		t.Errorf("the reserved bits are %x, want extended and fast only", got.Reserved)
	}
	for i := range b {
		if err := peerwire.CheckPrefix(b[:i]); err != nil {
			t.Fatalf("CheckPrefix of the first %d bytes of a handshake returned %v", i, err)
		}
	}
	for _, bad := range []string{"GET / HTTP/1.1", "\x13BitTorrent protocoX", "\x00"} {
		if err := peerwire.CheckPrefix([]byte(bad)); !errors.Is(err, peerwire.ErrNotBitTorrent) {
			t.Errorf("CheckPrefix(%q) returned %v, want ErrNotBitTorrent", bad, err)
		}
	}
	if _, err := peerwire.ParseHandshake(b[:67]); err == nil {
		t.Error("a short handshake was accepted")
	}
}

// FuzzParse checks that Parse never asks for fewer bytes than it has, and that parsed
// messages are encoded again without loss.
func FuzzParse(f *testing.F) {
	for _, b := range messages() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m peerwire.Message
		n, need, err := peerwire.Parse(b, &m)
		switch {
		case err != nil:
			if n != 0 {
				t.Fatalf("Parse returned an error and n %d, want 0", n)
			}
		case n == 0:
			if need <= len(b) || need > 4+peerwire.MaxMessage {
				t.Fatalf("Parse of %d bytes asks for %d", len(b), need)
			}
		default:
			if got := encode(&m); !bytes.Equal(got, b[:n]) {
				t.Fatalf("%x became %x", b[:n], got)
			}
		}
	})
}

// FuzzParseHandshake checks that accepted handshakes are encoded again without loss.
func FuzzParseHandshake(f *testing.F) {
	f.Add((&peerwire.Handshake{}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := peerwire.ParseHandshake(b)
		if err == nil && !bytes.Equal(h.Append(nil), b) {
			t.Fatalf("the handshake %x was encoded again as %x", b, h.Append(nil))
		}
	})
}

// BenchmarkParse measures 32 piece messages with blocks of 16 KiB.
func BenchmarkParse(b *testing.B) {
	var buf []byte
	for i := range uint32(32) {
		buf = peerwire.AppendPieceHeader(buf, 1, i<<14, 1<<14)
		buf = append(buf, make([]byte, 1<<14)...)
	}
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		rest := buf
		for len(rest) > 0 {
			var m peerwire.Message
			n, _, _ := peerwire.Parse(rest, &m)
			rest = rest[n:]
		}
	}
}
