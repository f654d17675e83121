package site

import (
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"spate/internal/httpcontent"
	"spate/publish"
)

// A Metalink (RFC 5854) contains the torrent and, for each file, its HTTP URL, size and hash.
// aria2 uses them all, and rejects a Metalink with a control character in a name.

type metalink struct {
	XMLName   xml.Name       `xml:"urn:ietf:params:xml:ns:metalink metalink"`
	Generator string         `xml:"generator"`
	Published string         `xml:"published"`
	Files     []metalinkFile `xml:"file"`
}

type metalinkFile struct {
	Name     string        `xml:"name,attr"`
	Size     int64         `xml:"size"` // bytes
	Hash     *metalinkHash `xml:"hash"`
	MetaURLs []metaURL     `xml:"metaurl"`
	URL      string        `xml:"url"`
}

type metalinkHash struct {
	Type string `xml:"type,attr"`
	Hex  string `xml:",chardata"`
}

type metaURL struct {
	Type string `xml:"mediatype,attr"`
	Name string `xml:"name,attr,omitempty"`
	URL  string `xml:",chardata"`
}

// meta4 answers /m/REF.meta4.
func (s *Site) meta4(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	name, ok := strings.CutSuffix(r.PathValue("file"), ".meta4")
	if !ok {
		s.fail(w, r, http.StatusNotFound, "No such page", "The address of a Metalink ends in .meta4.")
		return
	}
	rel := s.find(w, r, name)
	if rel == nil {
		return
	}
	base, exact := s.base(r), rel.Ref()
	torrent := s.absolute(base, publish.TorrentPath(exact))
	if !rel.Twin.Hash.IsZero() {
		torrent = s.absolute(base, publish.TwinPath(exact)) // aria2 1.x does not support hybrid torrents
	}
	doc := metalink{Generator: "spate", Published: rel.Published.UTC().Format(time.RFC3339)}
	stored, paths := rel.StoredName(), rel.StoredPaths()
	for i := range rel.Files {
		f := &rel.Files[i]
		file := metalinkFile{Name: stored, Size: f.Length, URL: s.absolute(base, rel.FilePath(exact, f)),
			MetaURLs: []metaURL{{Type: "torrent", URL: torrent}}}
		if !rel.Single {
			file.Name = stored + "/" + paths[i]
			file.MetaURLs[0].Name = file.Name
		}
		if rel.Summed {
			file.Hash = &metalinkHash{"sha-256", hex.EncodeToString(f.SHA256[:])}
		}
		doc.Files = append(doc.Files, file)
	}
	data, err := encodeXML(doc)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.setLinks(w.Header(), rel, name)
	w.Header().Set("Content-Disposition", disposition(name+".meta4"))
	httpcontent.Send(w, r, "application/metalink4+xml", data)
}
