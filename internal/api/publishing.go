package api

import (
	"context"
	"io"
	"net/http"

	"spate/internal/daemon"
)

// PublishingBackend is the part of a [Backend] by which a person publishes: where data may be chosen,
// how notes look, how a release does, and what limits the daemon.
type PublishingBackend interface {
	Browse(ctx context.Context, path string) (daemon.Listing, error)
	// RenderNotes returns notes in HTML as the site shows them.
	RenderNotes(ctx context.Context, notes string) (string, error)
	ReleaseHealth(ctx context.Context, ref string) (daemon.ReleaseHealth, error)
	WithdrawData(ctx context.Context, ref string) error
	Limits(ctx context.Context) (daemon.Limits, error)
	ChangeLimits(ctx context.Context, c daemon.LimitsChange) error
}

// browse answers with the entries of a directory in which data may be chosen.
func (s *Server) browse(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Browse(r.Context(), r.URL.Query().Get("path"))
	return send(w, r, v, err)
}

// Notes are notes to show: POST /v1/notes/preview.
type Notes struct {
	Notes string `json:"notes"` // Markdown
}

// previewNotes answers with notes as the site shows them. A page reads the answer as a document
// without scripts.
func (s *Server) previewNotes(w http.ResponseWriter, r *http.Request) error {
	var n Notes
	if err := read(r, &n); err != nil {
		return err
	}
	html, err := s.backend.RenderNotes(r.Context(), n.Notes)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, err = io.WriteString(w, "<!DOCTYPE html><meta charset=utf-8><title>notes</title>"+html)
	return err
}

func (s *Server) limits(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Limits(r.Context())
	return send(w, r, v, err)
}

func (s *Server) changeLimits(w http.ResponseWriter, r *http.Request) error {
	var c daemon.LimitsChange
	if err := read(r, &c); err != nil {
		return err
	}
	return done(w, s.backend.ChangeLimits(r.Context(), c))
}

func (s *Server) releaseHealth(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.ReleaseHealth(r.Context(), r.PathValue("ref"))
	return send(w, r, v, err)
}
