package api

import (
	"net/http"

	"spate/internal/fileserver"
)

// davPath is where the files of all releases and torrents are a WebDAV tree.
const davPath = "/dav"

// file answers with a file of a release or a torrent, which is fetched next if it is missing.
func (s *Server) file(w http.ResponseWriter, r *http.Request) error {
	return fileError(fileserver.File(w, r, s.backend.Files(), r.PathValue("ref"), r.PathValue("path")))
}

// playlist answers with the media files of a release or a torrent.
func (s *Server) playlist(w http.ResponseWriter, r *http.Request) error {
	return fileError(fileserver.Playlist(w, r, s.backend.Files(), r.PathValue("ref"), ""))
}

// fileError gives an error of the files a code.
func fileError(err error) error {
	if err == nil {
		return nil
	}
	switch fileserver.Status(err) {
	case http.StatusNotFound:
		return &Error{Code: NotFound, Message: "there is no such file: name a torrent by its info-hash, and a file by its path below the torrent's name"}
	case http.StatusConflict:
		return &Error{Code: Exists, Message: err.Error(), Hint: "choose the file with spate set"}
	}
	return toAPI(err)
}
