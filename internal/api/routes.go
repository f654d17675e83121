package api

import (
	"net/http"

	"spate/internal/apitoken"
	"spate/internal/fileserver"
)

// route is a request that the API answers.
type route struct {
	scope  apitoken.Scopes // that the sender needs; 0: none, but a valid token
	handle func(http.ResponseWriter, *http.Request) error
}

// routes returns all requests with their scopes, by pattern. davRoute is not among them.
func (s *Server) routes() map[string]route {
	return map[string]route{
		"GET /v1/status":               {apitoken.Read, s.status},
		"GET /v1/releases":             {apitoken.Read, s.list},
		"POST /v1/releases":            {apitoken.Publish, s.once(maxBody, s.publish)},
		"GET /v1/releases/{ref}":       {apitoken.Read, s.release},
		"PATCH /v1/releases/{ref}":     {apitoken.Publish, s.change},
		"DELETE /v1/releases/{ref}":    {apitoken.Publish, s.withdraw},
		"GET /v1/releases/{ref}/peers": {apitoken.Read, s.peers},
		"GET /v1/watch":                {apitoken.Read, s.watch},
		"GET /v1/events":               {apitoken.Read, s.events},
		"GET /v1/backup":               {apitoken.Admin, s.sendBackup},
		"POST /v1/backup":              {apitoken.Admin, s.backup},
		"POST /v1/check":               {apitoken.Read, s.check},
		"POST /v1/dialback":            {apitoken.Read, s.dialBack},
		"GET /v1/errors":               {apitoken.Read, s.listErrors},
		"GET /v1/errors/{code}":        {apitoken.Read, s.describeError},
		"/":                            {0, s.nothing},

		"GET /v1/schedule": {apitoken.Read, s.schedule},
		"PUT /v1/schedule": {apitoken.Admin, s.setSchedule},

		"GET /v1/feeds":             {apitoken.Read, s.feeds},
		"POST /v1/feeds":            {apitoken.Torrents, s.once(maxBody, s.addFeed)},
		"POST /v1/feeds/preview":    {apitoken.Torrents, s.previewFeed},
		"GET /v1/feeds/{id}":        {apitoken.Read, s.feed},
		"PATCH /v1/feeds/{id}":      {apitoken.Torrents, s.changeFeed},
		"DELETE /v1/feeds/{id}":     {apitoken.Torrents, s.removeFeed},
		"POST /v1/feeds/{id}/check": {apitoken.Torrents, s.checkFeed},

		"GET /v1/torrents":                       {apitoken.Read, s.torrents},
		"POST /v1/torrents":                      {apitoken.Torrents, s.once(maxAdd, s.addTorrent)},
		"POST /v1/import":                        {apitoken.Admin, s.importTorrent},
		"GET /v1/torrents/{ref}":                 {apitoken.Read, s.torrent},
		"PATCH /v1/torrents/{ref}":               {apitoken.Torrents, s.changeTorrent},
		"DELETE /v1/torrents/{ref}":              {apitoken.Torrents, s.removeTorrent},
		"GET /v1/torrents/{ref}/peers":           {apitoken.Read, s.torrentPeers},
		"GET /v1/torrents/{ref}/files/{path...}": {apitoken.Read, s.file},
		"GET /v1/torrents/{ref}/playlist.m3u8":   {apitoken.Read, s.playlist},
		"POST /v1/torrents/preview":              {apitoken.Torrents, s.previewTorrent},
		"GET /v1/torrents/{ref}/pieces":          {apitoken.Read, s.torrentPieces},
		"GET /v1/torrents/{ref}/history":         {apitoken.Read, s.torrentHistory},
		"GET /v1/folders":                        {apitoken.Read, s.folders},
		"POST /v1/torrents/{ref}/move":           {apitoken.Torrents, s.moveTorrent},
		"POST /v1/torrents/{ref}/recheck":        {apitoken.Torrents, s.recheckTorrent},
		"POST /v1/torrents/{ref}/reannounce":     {apitoken.Torrents, s.reannounceTorrent},

		"GET /v1/uploads":               {apitoken.Read, s.uploads},
		"POST /v1/uploads":              {apitoken.Publish, s.createUpload},
		"GET /v1/uploads/{id}":          {apitoken.Read, s.upload},
		"PATCH /v1/uploads/{id}":        {apitoken.Publish, s.appendUpload},
		"DELETE /v1/uploads/{id}":       {apitoken.Publish, s.deleteUpload},
		"GET /v1/browse":                {apitoken.Admin, s.browse},
		"POST /v1/notes/preview":        {apitoken.Publish, s.previewNotes},
		"GET /v1/releases/{ref}/health": {apitoken.Read, s.releaseHealth},
		"GET /v1/limits":                {apitoken.Read, s.limits},
		"PATCH /v1/limits":              {apitoken.Admin, s.changeLimits},
	}
}

// davScope is the scope that the WebDAV tree at [davPath] needs.
const davScope = apitoken.Read

// serve adds all routes to the mux of s.
func (s *Server) serve(dav *fileserver.WebDAV) {
	for pattern, route := range s.routes() {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			err := need(r, route.scope)
			if err == nil {
				err = route.handle(w, r)
			}
			if err != nil {
				s.fail(w, r, err)
			}
		})
	}
	tree := func(w http.ResponseWriter, r *http.Request) {
		if err := need(r, davScope); err != nil {
			s.fail(w, r, err)
			return
		}
		dav.ServeHTTP(w, r)
	}
	s.mux.HandleFunc(davPath+"/", tree)
	s.mux.HandleFunc(davPath, tree) // cadaver and davfs2 follow no redirect
}
