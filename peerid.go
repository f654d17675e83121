package spate

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// Version is the release of this module. It is sent to peers and trackers.
const Version = "0.1.0"

// clientPrefix starts every peer id of this client. It is in Azureus style (BEP 20):
// two letters for the client, then four digits for its version.
const clientPrefix = "-Sp0100-"

// PeerID identifies a client in a swarm while it runs (BEP 3, BEP 20).
type PeerID [20]byte

// NewPeerID returns a random peer id that starts with the prefix of this client.
func NewPeerID() PeerID {
	var id PeerID
	n := copy(id[:], clientPrefix)
	rand.Read(id[n:]) // crypto/rand.Read never returns an error
	for i := n; i < len(id); i++ {
		id[i] = idAlphabet[int(id[i])%len(idAlphabet)]
	}
	return id
}

const idAlphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// String returns the id with a dot for every byte that is not printable ASCII. A hostile id
// therefore cannot change the display of a log, a page or a terminal.
func (id PeerID) String() string {
	b := id
	for i, c := range b {
		if c < 0x21 || c > 0x7e {
			b[i] = '.'
		}
	}
	return string(b[:])
}

// Client returns the program and version that the id claims, such as "libtorrent 2.0.8"
// or "Transmission 4.0". If the style of the id is unknown, it returns the first eight
// characters.
func (id PeerID) Client() string {
	s := id.String()
	if s[0] == '-' && s[7] == '-' {
		name, known := azureusClients[s[1:3]]
		if !known {
			name = s[1:3]
		}
		if s[1] == 'W' && (s[2] == 'W' || s[2] == 'D') {
			return name + " " + webTorrentVersion(s[3:7])
		}
		return name + " " + azureusVersion(s[3:7])
	}
	if s[0] == 'M' && s[2] == '-' { // Mainline style: M7-10-5--
		return "Mainline " + strings.ReplaceAll(strings.TrimRight(s[1:8], "-."), "-", ".")
	}
	return strings.TrimRight(s[:8], "-.")
}

// azureusVersion formats the four version characters of an Azureus-style id. Letters stand
// for the numbers from 10. A letter at the end marks the kind of build and is left out.
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

// webTorrentVersion formats the four version characters of WebTorrent, two digits each for the major
// and the minor version.
func webTorrentVersion(s string) string {
	major, err1 := strconv.Atoi(s[:2])
	minor, err2 := strconv.Atoi(s[2:])
	if err1 != nil || err2 != nil {
		return azureusVersion(s)
	}
	return strconv.Itoa(major) + "." + strconv.Itoa(minor)
}

// azureusClients are the programs by the two letters of their peer ids. The peer ids of the page with
// which browsers download a release start with Sw.
var azureusClients = map[string]string{
	"A2": "aria2", "AZ": "Vuze", "BC": "BitComet", "BT": "BitTorrent", "BI": "BiglyBT",
	"DE": "Deluge", "FD": "Free Download Manager", "GT": "anacrolix", "KT": "KTorrent",
	"LT": "libtorrent", "lt": "rTorrent", "qB": "qBittorrent", "RN": "rain", "rq": "rqbit", "SP": "BitSpirit", "Sp": "spate", "Sw": "spate (browser)",
	"TR": "Transmission", "UT": "µTorrent", "WD": "WebTorrent Desktop", "WW": "WebTorrent", "XL": "Xunlei",
}
