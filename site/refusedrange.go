package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"spate/internal/weburl"
	"spate/publish"
)

// Clients take refusals differently, and some never use the URL again after one.
// docs/dev/refused-ranges.md has a table of what each of them does.

// manner is how the site refuses a range for now.
type manner int

const (
	unavailable  manner = iota // 503 with Retry-After, at once if the client is connected to the seed
	firstByte                  // the first byte of the range
	heldByte                   // the same after holdTime
	heldRedirect               // a redirection to the same URL after holdTime
)

// mannerFor returns how the site refuses a range to a client.
//
// libtorrent counts a file as missing for the rest of its session after a status of 300 or
// more. While it waits for an answer, it asks no peer for the range, and the range is often
// the whole file. After an answer with less than it asked for, it closes the connection and
// asks again 30 seconds later.
//
// Transmission does not use the URL for five minutes after five errors. After an answer with
// less than it asked for, it asks for the rest at once.
//
// aria2 never uses the URL again after an error, but follows twenty redirections.
func mannerFor(agent string) manner {
	switch {
	case isOneOf(libtorrentClients, agent):
		return firstByte
	case strings.HasPrefix(agent, "Transmission/"):
		return heldByte
	case strings.HasPrefix(agent, "aria2/"):
		return heldRedirect
	}
	return unavailable
}

// errPlaceLost is the cause if a waiting request lost its place to one of another network.
var errPlaceLost = errors.New("the place went to another network")

const (
	holdTime = 15 * time.Second // some clients close a connection that is silent for 20 seconds
	holdStep = time.Second
	maxHeld  = 256 // requests that wait at the same time

	refusedFor = 10 // Retry-After of a refusal, in seconds
)

// leaveToSwarm answers the request of a BitTorrent client for a range of file i that it can get
// from its peers, and reports whether it did.
func (s *Site) leaveToSwarm(w http.ResponseWriter, r *http.Request, rel *publish.Release, i int) bool {
	if s.opts.Spread == nil || r.Method != http.MethodGet {
		return false
	}
	agent := s.byTorrentClient(r)
	off, n, ok := singleRange(r.Header.Get("Range"), rel.Files[i].Length)
	if agent == "" || !ok {
		return false
	}
	addr := s.clientAddr(r)
	key := clientKey{rel.Hash(), addr}
	connected := false
	again := func() bool {
		sp, ok := s.opts.Spread(rel, i, off, n, addr)
		connected = sp.Client
		return !ok || s.first.serve(key, n, sp, time.Now())
	}
	how := mannerFor(agent)
	wait := func() bool { return how == heldByte || how == heldRedirect || how == unavailable && !connected }
	if again() {
		return false
	}
	served, waited := s.hold(r, wait, again)
	switch {
	case served:
		return false
	case how == firstByte, how == heldByte && waited: // otherwise Transmission would ask again at once
		s.sendByte(w, r, rel, i, off)
	case how == heldRedirect:
		w.Header().Set("Cache-Control", "no-store")
		redirect(w, http.StatusTemporaryRedirect, s.prefix+weburl.RawPath(r.URL))
	default:
		w.Header().Set("Retry-After", strconv.Itoa(refusedFor))
		s.fail(w, r, http.StatusServiceUnavailable, "The swarm has it", "Other peers have this part of the data. The site sends it if they do not.")
	}
	return true
}

// hold waits until again returns true, and reports whether it did in time. It ends early when
// wait returns false. waited is false if too many other requests wait: the networks share the places,
// so that one of them cannot take all while others want some.
func (s *Site) hold(r *http.Request, wait, again func() bool) (served, waited bool) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	place := s.held.enter(ctx, 0, s.networkOf(r), func() { cancel(errPlaceLost) })
	if place == nil {
		return false, false
	}
	defer place.leave()
	tick := time.NewTicker(min(s.opts.hold, holdStep))
	defer tick.Stop()
	for end := time.Now().Add(s.opts.hold); wait() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx) != errPlaceLost
		case <-s.done:
			return false, false
		case <-tick.C:
		}
		if again() {
			return true, true
		}
	}
	return false, true
}

// sendByte answers with the byte at off of file i, instead of a range that begins there
// (RFC 9110 section 15.3.7 allows an answer with a part of the range).
func (s *Site) sendByte(w http.ResponseWriter, r *http.Request, rel *publish.Release, i int, off int64) {
	content, err := s.opts.Open(r.Context(), rel, i)
	if err != nil {
		s.refuse(w, r, rel, i, err)
		return
	}
	defer content.Close()
	var b [1]byte
	_, err = content.Seek(off, io.SeekStart)
	if err == nil {
		_, err = io.ReadFull(content, b[:])
	}
	if err != nil {
		s.refuse(w, r, rel, i, err)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", "1")
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, off, rel.Files[i].Length))
	w.WriteHeader(http.StatusPartialContent)
	w.Write(b[:])
}

// busyWith answers that no slot is free for the download of file i. libtorrent asks again only
// after an answer with data.
func (s *Site) busyWith(w http.ResponseWriter, r *http.Request, rel *publish.Release, i int) {
	off, _, ok := singleRange(r.Header.Get("Range"), rel.Files[i].Length)
	if ok && r.Method == http.MethodGet && mannerFor(s.byTorrentClient(r)) == firstByte {
		s.sendByte(w, r, rel, i, off)
		return
	}
	s.busy(w, r)
}
