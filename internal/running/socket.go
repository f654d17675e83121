// Package running lets spate top see the torrents of other processes. A process that
// downloads or seeds serves them on a socket in the state directory, which only the owner
// of the directory can reach.
package running

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"spate/internal/fault"
	"spate/internal/filetrust"
	"spate/internal/reach"
	"spate/internal/sockerr"
	"spate/internal/tui"
	"spate/internal/uplink"
)

// runDir is the directory of the sockets in the state directory. A socket is named after
// the id of its process.
const runDir = "run"

// list is the answer to GET /torrents.
type list struct {
	Title    string        `json:"title"`
	Torrents []tui.Torrent `json:"torrents"`
}

// maxAnswer limits the size of an answer, in bytes.
const maxAnswer = 64 << 20

// Serve serves src on a socket in the directory state until stop is called. A failure to
// listen is logged, because the process works without the socket.
func Serve(state, title string, src tui.Source, log *slog.Logger) (stop func()) {
	dir := filepath.Join(state, runDir)
	path := filepath.Join(dir, strconv.Itoa(os.Getpid())+".sock")
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		os.Remove(path) // the socket of an earlier process with the same id
	}
	var l net.Listener
	if err == nil {
		l, err = filetrust.Listen(path)
	}
	if err != nil {
		log.Info("spate top cannot show this process", "err", err)
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
		torrents, err := src.List(r.Context())
		answer(w, list{title, torrents}, err)
	})
	mux.HandleFunc("GET /torrents/{id}", func(w http.ResponseWriter, r *http.Request) {
		d, err := src.Detail(r.Context(), r.PathValue("id"))
		answer(w, d, err)
	})
	if u, ok := src.(Uplinker); ok {
		mux.HandleFunc("GET /uplink", func(w http.ResponseWriter, r *http.Request) {
			s, err := u.Uplink(r.Context())
			answer(w, s, err)
		})
	}
	if u, ok := src.(Reacher); ok {
		mux.HandleFunc("GET /reach", func(w http.ResponseWriter, r *http.Request) {
			s, err := u.Reach(r.Context())
			answer(w, s, err)
		})
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(l)
	return func() { srv.Close() } // removes the socket too
}

// Uplinker is a [tui.Source] that knows about the uplink of its process.
type Uplinker interface {
	Uplink(ctx context.Context) (uplink.Status, error)
}

// Reacher is a [tui.Source] that knows whether others can connect to its process.
type Reacher interface {
	Reach(ctx context.Context) (reach.Status, error)
}

// Process is a [tui.Source] with the torrents of another process.
type Process struct {
	PID  string
	http *http.Client
}

// answerLimit is how long a process may take for an answer.
const answerLimit = 5 * time.Second

// Find returns the processes that serve a socket in the directory state. It removes the
// sockets of processes that have ended. If no process answers and one accepts the connection,
// it returns an error that names that process.
func Find(ctx context.Context, state string) ([]*Process, error) {
	return find(ctx, state, answerLimit)
}

func find(ctx context.Context, state string, limit time.Duration) ([]*Process, error) {
	paths, err := filepath.Glob(filepath.Join(state, runDir, "*.sock"))
	if err != nil {
		return nil, err
	}
	var all []*Process
	var silent error
	for _, path := range paths {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		r := &Process{
			PID:  strings.TrimSuffix(filepath.Base(path), ".sock"),
			http: &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: limit},
		}
		switch _, err := r.List(ctx); {
		case sockerr.Is(err, syscall.ECONNREFUSED):
			os.Remove(path)
		case err == nil:
			all = append(all, r)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case os.IsTimeout(err):
			silent = fault.New(fault.NoPeers, "it hangs or waits for a slow disk: stop it, or start it again", "process %s has not answered for %v on %s", r.PID, limit, path)
		}
	}
	if len(all) == 0 {
		return nil, silent
	}
	return all, nil
}

func (r *Process) get(ctx context.Context, path string, v any) error {
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
		return fmt.Errorf("process %s answered %s", r.PID, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(v)
}

// List implements [tui.Source].
func (r *Process) List(ctx context.Context) ([]tui.Torrent, error) {
	var got list
	err := r.get(ctx, "/torrents", &got)
	return got.Torrents, err
}

// Uplink implements [Uplinker].
func (r *Process) Uplink(ctx context.Context) (s uplink.Status, err error) {
	err = r.get(ctx, "/uplink", &s)
	return s, err
}

// Reach implements [Reacher].
func (r *Process) Reach(ctx context.Context) (s reach.Status, err error) {
	err = r.get(ctx, "/reach", &s)
	return s, err
}

// Detail implements [tui.Source].
func (r *Process) Detail(ctx context.Context, id string) (*tui.Detail, error) {
	var d *tui.Detail
	if err := r.get(ctx, "/torrents/"+id, &d); err != nil || d == nil {
		return nil, err
	}
	d.Facts = append(d.Facts, [2]string{"process", r.PID})
	return d, nil
}
