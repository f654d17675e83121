package peerwire_test

import (
	"net/netip"
	"reflect"
	"testing"

	"spate/peerwire"
)

// payloadOf parses one encoded extension message and returns its payload.
func payloadOf(t *testing.T, b []byte, number uint32) []byte {
	t.Helper()
	var m peerwire.Message
	n, _, err := peerwire.Parse(b, &m)
	if err != nil || n != len(b) || m.ID != peerwire.Extended || m.Index != number {
		t.Fatalf("%x was parsed as %d bytes of message %v with number %d (%v), want an extension message with number %d", b, n, m.ID, m.Index, err, number)
	}
	return m.Payload
}

// TestExtHandshake checks that a handshake is encoded and parsed without loss, that
// invalid values are ignored, and that malformed handshakes are rejected.
func TestExtHandshake(t *testing.T) {
	for _, h := range []peerwire.ExtHandshake{
		{},
		{Metadata: 1, PEX: 2, DontHave: 3, DialBack: 4, Holepunch: 5, MetadataSize: 12345, Port: 6881, Reqq: 2000, Client: "spate",
			YourIP: netip.MustParseAddr("192.0.2.1"), UploadOnly: true, V2Hashes: true, Twin: peerwire.TwinJoined},
		{YourIP: netip.MustParseAddr("2001:db8::1")},
	} {
		got, err := peerwire.ParseExtHandshake(payloadOf(t, peerwire.AppendExtHandshake(nil, &h), 0))
		if err != nil || got != h {
			t.Errorf("%+v became %+v, %v", h, got, err)
		}
	}
	invalid := "d1:mi5e1:pi99999e4:reqqi-4e13:metadata_sizei-1e1:vle6:yourip3:abce"
	if h, err := peerwire.ParseExtHandshake([]byte(invalid)); err != nil || h != (peerwire.ExtHandshake{}) {
		t.Errorf("a handshake with invalid values was parsed as %+v, %v, want none of the values", h, err)
	}
	for _, bad := range []string{"", "le", "d1:m", "i5e", "d1:pi01ee"} {
		if _, err := peerwire.ParseExtHandshake([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestExtHandshakeUpdate checks that a later handshake changes only the fields it
// contains.
func TestExtHandshakeUpdate(t *testing.T) {
	h := peerwire.ExtHandshake{Metadata: 1, PEX: 2, Port: 6881, Reqq: 500, Client: "x", UploadOnly: true}
	want := h
	want.PEX, want.DontHave, want.Reqq, want.UploadOnly = 0, 7, 250, false
	if err := h.Update([]byte("d1:md11:lt_donthavei7e6:ut_pexi0ee4:reqqi250e11:upload_onlyi0ee")); err != nil || h != want {
		t.Errorf("the updated handshake is %+v (%v), want %+v", h, err, want)
	}
	if err := h.Update([]byte("d1:md11:ut_metadatai9ee4:reqqi1e")); err == nil || h != want {
		t.Errorf("a malformed update returned %v and made the handshake %+v, want an error and no change", err, h)
	}
}

// TestDontHave checks that lt_donthave messages are encoded and parsed without loss,
// and that other lengths are rejected.
func TestDontHave(t *testing.T) {
	if n, err := peerwire.ParseDontHave(payloadOf(t, peerwire.AppendDontHave(nil, 7, 77), 7)); err != nil || n != 77 {
		t.Errorf("ParseDontHave returned %d, %v, want 77", n, err)
	}
	for _, bad := range []string{"", "123", "12345"} {
		if _, err := peerwire.ParseDontHave([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestMetadata checks that metadata messages are encoded and parsed without loss, and
// that malformed ones are rejected.
func TestMetadata(t *testing.T) {
	for _, m := range []peerwire.MetadataMessage{
		{Type: peerwire.MetadataRequest, Piece: 7},
		{Type: peerwire.MetadataReject, Piece: 0},
		{Type: peerwire.MetadataData, Piece: 1, Total: 20000, Data: []byte("d4:infoe, or any bytes")},
	} {
		got, err := peerwire.ParseMetadata(payloadOf(t, peerwire.AppendMetadata(nil, 3, &m), 3))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v became %+v, %v", m, got, err)
		}
	}
	for _, bad := range []string{"", "de", "d8:msg_typei0ee", "d8:msg_typei0e5:piecei-1ee", "d8:msg_typei-1e5:piecei1ee",
		"d8:msg_typei0e5:piecei99999999999ee"} {
		if _, err := peerwire.ParseMetadata([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestPEX checks that PEX messages are encoded and parsed without loss, that partial
// addresses are rejected, and that the number of addresses is limited.
func TestPEX(t *testing.T) {
	m := peerwire.PEXMessage{
		Added:   []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::1]:2")},
		Flags:   []peerwire.PEXFlags{peerwire.PEXSeed, peerwire.PEXReachable},
		Dropped: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:3")},
	}
	got, err := peerwire.ParsePEX(payloadOf(t, peerwire.AppendPEX(nil, 2, &m), 2))
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v became %+v, %v", m, got, err)
	}
	if _, err := peerwire.ParsePEX([]byte("d5:added5:12345e")); err == nil {
		t.Error("a partial address was accepted")
	}
	many := append([]byte("d5:added600:"), make([]byte, 600)...)
	if got, err := peerwire.ParsePEX(append(many, 'e')); err != nil || len(got.Added) != peerwire.MaxPEX {
		t.Errorf("%d of 100 addresses were read (%v), want %d", len(got.Added), err, peerwire.MaxPEX)
	}
}

// TestHashRange checks that the messages of BEP 52 are encoded and parsed without
// loss, and that invalid ranges are rejected.
func TestHashRange(t *testing.T) {
	r := peerwire.HashRange{PiecesRoot: [32]byte{1, 2}, BaseLayer: 4, Index: 512, Length: 512, Proof: 3}
	for _, id := range []peerwire.ID{peerwire.HashRequest, peerwire.Hashes, peerwire.HashReject} {
		var body []byte
		if id == peerwire.Hashes {
			body = make([]byte, 512*32+3*32)
		}
		var m peerwire.Message
		b := peerwire.AppendHashRange(nil, id, &r, body)
		if n, _, err := peerwire.Parse(b, &m); err != nil || n != len(b) {
			t.Fatalf("Parse read %d of %d bytes: %v", n, len(b), err)
		}
		got, rest, err := peerwire.ParseHashRange(m.ID, m.Payload)
		if err != nil || got != r || len(rest) != len(body) {
			t.Errorf("%v was parsed as %+v with %d bytes of hashes (%v), want %+v with %d", id, got, len(rest), err, r, len(body))
		}
	}
	for _, bad := range []peerwire.HashRange{{Length: 3}, {Length: 0}, {Length: 1 << 20}, {Length: 512, Index: 1}, {Length: 2, Proof: 99}} {
		var m peerwire.Message
		peerwire.Parse(peerwire.AppendHashRange(nil, peerwire.HashRequest, &bad, nil), &m)
		if _, _, err := peerwire.ParseHashRange(m.ID, m.Payload); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// FuzzExtended checks that accepted handshakes are encoded and parsed again without
// loss, and that other extension messages stay within their limits.
func FuzzExtended(f *testing.F) {
	f.Add([]byte("d1:md11:ut_metadatai1e6:ut_pexi2ee1:pi6881ee"))
	f.Add([]byte("d8:msg_typei1e5:piecei0e10:total_sizei5eehello"))
	f.Add([]byte("d5:added6:1234567:added.f1:0e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := peerwire.ParseExtHandshake(b); err == nil {
			again, err := peerwire.ParseExtHandshake(peerwire.AppendExtHandshake(nil, &h)[6:])
			if err != nil || again != h {
				t.Fatalf("%+v became %+v, %v", h, again, err)
			}
		}
		if m, err := peerwire.ParseMetadata(b); err == nil && m.Piece < 0 {
			t.Fatalf("a metadata message with a negative piece was accepted: %+v", m)
		}
		if m, err := peerwire.ParsePEX(b); err == nil && (len(m.Added) > 2*peerwire.MaxPEX || len(m.Flags) != len(m.Added)) {
			t.Fatalf("a PEX message has too many addresses, or not one flag for each: %+v", m)
		}
	})
}

// FuzzHashRange checks that accepted hash messages are valid and are encoded again
// without loss.
func FuzzHashRange(f *testing.F) {
	r := peerwire.HashRange{PiecesRoot: [32]byte{1}, BaseLayer: 4, Index: 8, Length: 8, Proof: 3}
	f.Add(uint16(peerwire.HashRequest), peerwire.AppendHashRange(nil, peerwire.HashRequest, &r, nil)[5:])
	f.Add(uint16(peerwire.Hashes), peerwire.AppendHashRange(nil, peerwire.Hashes, &r, make([]byte, 8*32))[5:])
	f.Fuzz(func(t *testing.T, id uint16, b []byte) {
		got, rest, err := peerwire.ParseHashRange(peerwire.ID(id), b)
		if err != nil {
			return
		}
		if got.Length == 0 || got.Length > peerwire.MaxHashes || len(rest)%32 != 0 || peerwire.ID(id) != peerwire.Hashes && len(rest) != 0 {
			t.Fatalf("an invalid message %d was accepted: %+v with %d bytes of hashes", id, got, len(rest))
		}
		if again := peerwire.AppendHashRange(nil, peerwire.ID(id), &got, rest)[5:]; string(again) != string(b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
