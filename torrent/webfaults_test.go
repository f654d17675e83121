package torrent_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spate/internal/simnet"
	"spate/maker"
	"spate/metainfo"
	"spate/torrent"
)

// fiveFiles is a torrent of five files on disk, each of several pieces. In the v1 format, all
// files but the first begin in the middle of a piece.
type fiveFiles struct {
	dir  string
	mi   *metainfo.MetaInfo
	data map[string][]byte // by path in the torrent
}

func newFiveFiles(t *testing.T, format metainfo.Format) *fiveFiles {
	f := &fiveFiles{dir: t.TempDir(), data: map[string][]byte{}}
	for i := range 5 {
		name := fmt.Sprintf("tree/%d", i)
		f.data[name], _ = makeTorrent(t, 200_001+i*10_000, 1<<20)
		file := filepath.Join(f.dir, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(file), 0o777)
		if err := os.WriteFile(file, f.data[name], 0o666); err != nil {
			t.Fatal(err)
		}
	}
	mi, err := maker.Make(t.Context(), filepath.Join(f.dir, "tree"), maker.Options{Format: format, PieceLength: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	f.mi = mi
	return f
}

// handler serves the files, and answers requests for one of them with bad. It counts the
// requests by path.
func (f *fiveFiles) handler(file string, bad func(http.ResponseWriter, *http.Request, []byte), count *counts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		count.add(name)
		data, ok := f.data[name]
		switch {
		case !ok:
			http.NotFound(w, r)
		case name == file:
			bad(w, r, data)
		default:
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}
	})
}

// counts counts events by name.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name]++
}

func (c *counts) of(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[name]
}

// faults maps kinds of faults to handlers of one file.
var faults = map[string]func(w http.ResponseWriter, r *http.Request, data []byte){
	"400":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(400) },
	"401":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(401) },
	"403":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(403) },
	"404":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(404) },
	"410":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(410) },
	"416":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(416) },
	"451":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(451) },
	"500":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(500) },
	"501":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(501) },
	"502":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(502) },
	"503":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(503) },
	"429":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(429) },
	"204":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(204) },
	"304":       func(w http.ResponseWriter, r *http.Request, _ []byte) { w.WriteHeader(304) },
	"no answer": func(w http.ResponseWriter, r *http.Request, _ []byte) { panic(http.ErrAbortHandler) },
	"shorter": func(w http.ResponseWriter, r *http.Request, data []byte) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data[:len(data)/2]))
	},
	"longer": func(w http.ResponseWriter, r *http.Request, data []byte) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(append(bytes.Clone(data), 0)))
	},
	"empty": func(w http.ResponseWriter, r *http.Request, data []byte) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(nil))
	},
	"different": func(w http.ResponseWriter, r *http.Request, data []byte) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, len(data))))
	},
	"no ranges": func(w http.ResponseWriter, r *http.Request, data []byte) { w.Write(data) },
	"page":      func(w http.ResponseWriter, r *http.Request, data []byte) { fmt.Fprint(w, "<html>Sign in</html>") },
	"compressed": func(w http.ResponseWriter, r *http.Request, data []byte) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(data)
	},
	"no Content-Range": func(w http.ResponseWriter, r *http.Request, data []byte) {
		w.WriteHeader(http.StatusPartialContent)
		w.Write(data)
	},
	"circle": func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	},
	"inward": func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, "http://127.0.0.1/x", http.StatusFound)
	},
	"to ftp": func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, "ftp://10.0.0.1/x", http.StatusFound)
	},
	"to a dead mirror": func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, "http://10.0.0.250/x", http.StatusFound)
	},
	"cut at once": func(w http.ResponseWriter, r *http.Request, data []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	},
}

// TestErrorOfWebSeedNamesMissingFile checks that the error of a web seed is the fault of the
// file that is missing, whatever else the server does.
func TestErrorOfWebSeedNamesMissingFile(t *testing.T) {
	five := newFiveFiles(t, metainfo.V2)
	for name, rest := range map[string]func(w http.ResponseWriter, r *http.Request, data []byte){
		"with ranges": func(w http.ResponseWriter, r *http.Request, data []byte) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		},
		"without ranges": faults["no ranges"],
		"that is busy at first": func(w http.ResponseWriter, r *http.Request, data []byte) {
			if strings.HasSuffix(r.URL.Path, "/1") && time.Now().Second() < 20 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		},
	} {
		for _, missing := range []string{"tree/0", "tree/2", "tree/4"} {
			t.Run(name+", "+missing, func(t *testing.T) {
				out := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					w := newWeb(t)
					defer w.end()
					srv := w.serve(simnet.Link{Up: 8 * mbit}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						file := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
						if file == missing {
							http.NotFound(w, r)
							return
						}
						rest(w, r, five.data[file])
					}))
					tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(five.mi, srv.url), torrent.AddOptions{Dir: out})
					time.Sleep(100 * time.Second)
					st := tor.Stats()
					if err := st.WebSeeds[0].Err; err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "404") {
						t.Errorf("the error is %v, want 404 of %s: %+v", err, missing, st.WebSeeds[0])
					}
					if st.State == torrent.StateSeeding || st.BytesDone == 0 {
						t.Errorf("%d of %d bytes arrived", st.BytesDone, st.BytesTotal)
					}
				})
			})
		}
	}
}

// TestFaultCostsOneFileOnly checks that a fault of one file of five costs only the pieces of
// this file at this server, that the file is not requested again at once, and that a second
// web seed sends the rest.
func TestFaultCostsOneFileOnly(t *testing.T) {
	for _, format := range []metainfo.Format{metainfo.V1, metainfo.V2} {
		five := newFiveFiles(t, format)
		for name, bad := range faults {
			for _, file := range []string{"tree/0", "tree/2", "tree/4"} {
				t.Run(fmt.Sprintf("%s %s %s", format, name, file), func(t *testing.T) {
					out := t.TempDir()
					synctest.Test(t, func(t *testing.T) {
						w := newWeb(t)
						defer w.end()
						var count counts
						srv := w.serve(simnet.Link{Up: 8 * mbit}, five.handler(file, bad, &count))
						tor := w.add(w.session(simnet.Link{}, torrent.Options{}), with(five.mi, srv.url), torrent.AddOptions{Dir: out})
						time.Sleep(100 * time.Second)
						if name == "429" || name == "503" { // the whole server pauses
							time.Sleep(20 * time.Minute)
						}
						st := tor.Stats()
						if name == "no ranges" {
							if st.State != torrent.StateSeeding || count.of(file) > 3 {
								t.Errorf("%d requests, %+v", count.of(file), st)
							}
							return
						}
						// A piece of v1 can hold the ends of two files.
						if most, left := int64(len(five.data[file]))+2*16<<10, st.BytesTotal-st.BytesDone; left == 0 || left > most {
							t.Errorf("%d bytes are missing, want at most %d: %+v", left, most, st.WebSeeds)
						}
						if n := count.of(file); n > 12 {
							t.Errorf("%d requests for the file", n)
						}
						before := count.of("tree/1") + count.of("tree/3")
						good := w.serve(simnet.Link{Up: 8 * mbit}, five.handler("", nil, &counts{}))
						tor.AddWebSeeds([]string{good.url})
						w.wait(tor, time.Minute)
						if n := count.of("tree/1") + count.of("tree/3"); n != before {
							t.Errorf("%d requests for files that were complete", n-before)
						}
					})
				})
			}
		}
	}
}
