package site

import (
	"net/http"
	"strings"

	"spate/internal/httpcontent"
	"spate/metainfo"
	"spate/publish"
	"spate/signature"
)

// torrent answers /t/REF.torrent and its signature, /t/REF.torrent.minisig. A client that
// is known not to support hybrid torrents gets the twin. torrent also answers /t/REF.v2 and
// /t/REF.v2.minisig with the v2 hashes and their signature.
func (s *Site) torrent(w http.ResponseWriter, r *http.Request) {
	file, signed := strings.CutSuffix(r.PathValue("file"), signature.Extension)
	if ref, ok := strings.CutSuffix(file, metainfo.V2HashesExtension); ok {
		s.v2Hashes(w, r, ref, signed)
		return
	}
	s.sendTorrent(w, r, readsOnlyV1(r.UserAgent()))
}

// twin answers /t1/REF.torrent with the v1 torrent, for every client.
func (s *Site) twin(w http.ResponseWriter, r *http.Request) { s.sendTorrent(w, r, true) }

func (s *Site) sendTorrent(w http.ResponseWriter, r *http.Request, twin bool) {
	crossOrigin(w.Header())
	file, signed := strings.CutSuffix(r.PathValue("file"), signature.Extension)
	ref, ok := strings.CutSuffix(file, ".torrent")
	if !ok {
		s.fail(w, r, http.StatusNotFound, "No such page", "The address of a torrent ends in .torrent, and that of its v2 hashes in .v2.")
		return
	}
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	torrents, err := s.catalog.Torrents(r.Context(), ref)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	h := w.Header()
	h.Add("Vary", "User-Agent")
	onlyTwin := strings.HasPrefix(r.URL.Path, "/t1/")
	if onlyTwin && torrents.Twin == nil {
		s.fail(w, r, http.StatusNotFound, "No such torrent", "This release has no separate torrent for older clients. Use its main torrent.")
		return
	}
	data, sig := torrents.Main, rel.Signatures.Torrent
	if twin && torrents.Twin != nil {
		data, sig = torrents.Twin, rel.Signatures.Twin
	}
	h.Set("Cache-Control", "public, max-age=60")
	if signed {
		s.sendSignature(w, r, sig)
		return
	}
	h.Set("Content-Disposition", disposition(rel.StoredName()+".torrent"))
	h["Link"] = append([]string{s.dataLink(rel)}, s.signatureLink(rel, twin && torrents.Twin != nil)...)
	if rel.HasV2Hashes {
		h.Add("Link", s.v2HashesLink(rel.Ref()))
	}
	s.addSignalLink(h, rel)
	httpcontent.Send(w, r, "application/x-bittorrent", data)
}

// v2Hashes answers /t/REF.v2 and its signature.
func (s *Site) v2Hashes(w http.ResponseWriter, r *http.Request, ref string, signed bool) {
	crossOrigin(w.Header())
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	var hashes []byte
	if rel.HasV2Hashes {
		torrents, err := s.catalog.Torrents(r.Context(), ref)
		if err != nil {
			s.broken(w, r, err)
			return
		}
		hashes = torrents.AllV2Hashes()
	}
	if hashes == nil {
		s.fail(w, r, http.StatusNotFound, "No v2 hashes", "This release has no v2 hashes beside its torrent.")
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=60")
	if signed {
		s.sendSignature(w, r, rel.Signatures.V2Hashes)
		return
	}
	h.Set("Content-Disposition", disposition(rel.StoredName()+metainfo.V2HashesExtension))
	httpcontent.Send(w, r, metainfo.V2HashesType, hashes)
}

// v2HashesLink returns the value of a Link header with the v2 hashes of a v1 torrent.
func (s *Site) v2HashesLink(ref string) string {
	return "<" + s.path(publish.V2HashesPath(ref)) + `>; rel="describedby"; type="` + metainfo.V2HashesType + `"`
}

// readsOnlyV1 reports whether a program does not support hybrid torrents: aria2 1.x stores
// the pad files, and Transmission before 4.0 rejects the torrents.
func readsOnlyV1(userAgent string) bool {
	for _, old := range []string{"aria2/1.", "Transmission/2.", "Transmission/3."} {
		if strings.HasPrefix(userAgent, old) {
			return true
		}
	}
	return false
}

// sendSignature answers with a signature file, or with an error if sig is "".
func (s *Site) sendSignature(w http.ResponseWriter, r *http.Request, sig string) {
	if sig == "" {
		s.fail(w, r, http.StatusNotFound, "Not signed", "This file has no signature, or not yet.")
		return
	}
	httpcontent.Send(w, r, "application/x-minisign", []byte(sig))
}

// signatureLink returns the Link header with the signature of the torrent and its key. It
// returns nil if the release is not signed.
func (s *Site) signatureLink(rel *publish.Release, twin bool) []string {
	sig, path := rel.Signatures.Torrent, publish.TorrentPath(rel.Ref())
	if twin {
		sig, path = rel.Signatures.Twin, publish.TwinPath(rel.Ref())
	}
	if sig == "" {
		return nil
	}
	return []string{"<" + s.path(path+signature.Extension) + `>; rel="describedby"; type="application/x-minisign"; key="` + rel.Signatures.PublicKey + `"`}
}

// sumsSignature answers /r/REF/SHA256SUMS.minisig.
func (s *Site) sumsSignature(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	if rel := s.find(w, r, r.PathValue("name")); rel != nil {
		s.sendSignature(w, r, rel.Signatures.Sums)
	}
}

// publicKey answers /r/REF/minisign.pub with the key of the release's signatures.
func (s *Site) publicKey(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w.Header())
	rel := s.find(w, r, r.PathValue("name"))
	if rel == nil {
		return
	}
	key, err := signature.ParsePublicKey(rel.Signatures.PublicKey)
	if err != nil {
		s.fail(w, r, http.StatusNotFound, "Not signed", "This release is not signed.")
		return
	}
	httpcontent.Send(w, r, "text/plain; charset=utf-8", key.File())
}
