package spate

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// Version is the release of this module, as peers and trackers are told it.
const Version = "0.1.0"

// clientPrefix is this client's mark in the style of Azureus (BEP 20): two
// letters, then four digits of the version.
const clientPrefix = "-Sp0100-"

// PeerID identifies a client in a swarm for the time it runs (BEP 3, BEP 20).
type PeerID [20]byte

// NewPeerID returns a fresh random id that carries this client's mark.
func NewPeerID() PeerID {
	var id PeerID
	n := copy(id[:], clientPrefix)
	rand.Read(id[n:]) // never fails: see crypto/rand
	for i := n; i < len(id); i++ {
		id[i] = idAlphabet[int(id[i])%len(idAlphabet)]
	}
	return id
}

const idAlphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// String returns the id with every byte that is not printable ASCII as a dot, so
// that a hostile id is harmless in a log, a page or a terminal.
func (id PeerID) String() string {
	b := id
	for i, c := range b {
		if c < 0x21 || c > 0x7e {
			b[i] = '.'
		}
	}
	return string(b[:])
}

// Client names the program and version that the id claims, such as
// "libtorrent 2.0.8" or "Transmission 4.0"; the printable prefix where the
// style is unknown.
func (id PeerID) Client() string {
	s := id.String()
	if s[0] == '-' && s[7] == '-' {
		name, known := azureusClients[s[1:3]]
		if !known {
			name = s[1:3]
		}
		return name + " " + azureusVersion(s[3:7])
	}
	if s[0] == 'M' && s[2] == '-' { // Mainline, M7-10-5--
		return "Mainline " + strings.ReplaceAll(strings.TrimRight(s[1:8], "-."), "-", ".")
	}
	return strings.TrimRight(s[:8], "-.")
}

// azureusVersion reads four characters: digits, letters from A for 10 on, and at
// the end, where it is a letter, a mark of the build that is left out.
func azureusVersion(s string) string {
	parts := make([]string, 0, len(s))
	for i, c := range s {
		switch {
		case 'A' <= c && c <= 'Z' && i < len(s)-1:
			parts = append(parts, strconv.Itoa(int(c-'A')+10))
		case '0' <= c && c <= '9':
			parts = append(parts, string(c))
		case i < len(s)-1:
			parts = append(parts, string(c))
		}
	}
	for len(parts) > 2 && parts[len(parts)-1] == "0" {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, ".")
}

var azureusClients = map[string]string{
	"A2": "aria2", "AZ": "Vuze", "BC": "BitComet", "BT": "BitTorrent", "BI": "BiglyBT",
	"DE": "Deluge", "FD": "Free Download Manager", "GT": "anacrolix", "KT": "KTorrent",
	"LT": "libtorrent", "lt": "rTorrent", "qB": "qBittorrent", "RN": "rain", "rq": "rqbit", "SP": "BitSpirit", "Sp": "spate",
	"TR": "Transmission", "UT": "µTorrent", "WD": "WebTorrent Desktop", "WW": "WebTorrent", "XL": "Xunlei",
}
