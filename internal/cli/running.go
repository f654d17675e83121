package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"spate/internal/tui"
)

// Whoever downloads or seeds answers on a socket in the state directory, which
// only its owner can reach: so top can show it.

// runDir holds those sockets, named after the processes.
const runDir = "run"

// runningTorrents is the answer to GET /torrents.
type runningTorrents struct {
	Title    string        `json:"title"`
	Torrents []tui.Torrent `json:"torrents"`
}

// maxRunning bounds an answer, in bytes.
const maxRunning = 64 << 20

// serveRunning lets top see the source until stop is called. That nobody can see
// it is no reason to stop.
func (a *app) serveRunning(state, title string, src tui.Source) (stop func()) {
	dir := filepath.Join(state, runDir)
	path := filepath.Join(dir, strconv.Itoa(os.Getpid())+".sock")
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		os.Remove(path) // of a process that had this number
	}
	var l net.Listener
	if err == nil {
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		a.log.Info("top cannot show this process", "err", err)
		return func() {}
	}
	answer := func(w http.ResponseWriter, v any, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /torrents", func(w http.ResponseWriter, r *http.Request) {
		list, err := src.List(r.Context())
		answer(w, runningTorrents{title, list}, err)
	})
	mux.HandleFunc("GET /torrents/{id}", func(w http.ResponseWriter, r *http.Request) {
		d, err := src.Detail(r.Context(), r.PathValue("id"))
		answer(w, d, err)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(l)
	return func() { srv.Close() } // removes the socket too
}

// running is a process that answers on such a socket. It is a [tui.Source].
type running struct {
	pid  string
	http *http.Client
}

// findRunning returns the processes that answer in the state directory, and
// removes the sockets of those that are gone.
func findRunning(ctx context.Context, state string) ([]*running, error) {
	paths, err := filepath.Glob(filepath.Join(state, runDir, "*.sock"))
	if err != nil {
		return nil, err
	}
	var all []*running
	for _, path := range paths {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		r := &running{
			pid:  strings.TrimSuffix(filepath.Base(path), ".sock"),
			http: &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 10 * time.Second},
		}
		switch _, err := r.List(ctx); {
		case errors.Is(err, syscall.ECONNREFUSED):
			os.Remove(path)
		case err == nil:
			all = append(all, r)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
	}
	return all, nil
}

func (r *running) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://spate"+path, nil)
	if err != nil {
		return err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("process %s answered %s", r.pid, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxRunning)).Decode(v)
}

// List implements [tui.Source].
func (r *running) List(ctx context.Context) ([]tui.Torrent, error) {
	var got runningTorrents
	err := r.get(ctx, "/torrents", &got)
	return got.Torrents, err
}

// Detail implements [tui.Source].
func (r *running) Detail(ctx context.Context, id string) (*tui.Detail, error) {
	var d *tui.Detail
	if err := r.get(ctx, "/torrents/"+id, &d); err != nil || d == nil {
		return nil, err
	}
	d.Facts = append(d.Facts, [2]string{"process", r.pid})
	return d, nil
}
