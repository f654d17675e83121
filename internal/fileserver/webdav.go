package fileserver

import (
	"cmp"
	"context"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/webdav"
)

// maxPropfind limits the body of a PROPFIND request, in bytes.
const maxPropfind = 64 << 10

// readMethods are the methods of a read-only WebDAV server.
const readMethods = "OPTIONS, GET, HEAD, PROPFIND"

// WebDAV serves all files of a source as a tree that cannot be changed (RFC 4918, class 1). A torrent
// of one file is a file at the top; another is a directory. If several have the same name, all but
// the one with the smallest info-hash have the beginning of their info-hash behind it.
type WebDAV struct {
	src    Source
	prefix string
}

// NewWebDAV returns a handler for paths that begin with prefix, which has no slash at its end.
func NewWebDAV(src Source, prefix string) *WebDAV { return &WebDAV{src, prefix} }

// ServeHTTP implements [http.Handler].
func (d *WebDAV) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodOptions:
		w.Header().Set("Allow", readMethods)
		w.Header().Set("DAV", "1")
		w.Header().Set("MS-Author-Via", "DAV")
	case http.MethodGet, http.MethodHead:
		d.get(w, r)
	case "PROPFIND":
		if depth := r.Header.Get("Depth"); depth != "0" && depth != "1" {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte(`<?xml version="1.0" encoding="utf-8"?><error xmlns="DAV:"><propfind-finite-depth/></error>`))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxPropfind)
		dav := webdav.Handler{Prefix: d.prefix, FileSystem: &tree{src: d.src}, LockSystem: noLocks{}}
		dav.ServeHTTP(w, r)
	default:
		w.Header().Set("Allow", readMethods)
		http.Error(w, "these files cannot be changed", http.StatusMethodNotAllowed)
	}
}

// get answers with the content of a file.
func (d *WebDAV) get(w http.ResponseWriter, r *http.Request) {
	n, err := (&tree{src: d.src}).lookup(r.Context(), strings.TrimPrefix(r.URL.Path, d.prefix))
	if err == nil && n.dir {
		w.Header().Set("Allow", "OPTIONS, PROPFIND")
		http.Error(w, "this is a directory", http.StatusMethodNotAllowed)
		return
	}
	if err == nil {
		err = File(w, r, d.src, n.torrent.ID, n.path)
	}
	if err != nil {
		http.Error(w, http.StatusText(Status(err)), Status(err))
	}
}

// node is a file or a directory of the tree. It implements [fs.FileInfo] and the interfaces by which
// package webdav asks for properties without reading the content.
type node struct {
	name    string
	dir     bool
	torrent *Torrent // nil at the top
	path    string   // of a file in the torrent, or of a directory with a slash at its end; "" at the top of the torrent
	size    int64
}

func (n node) Name() string { return n.name }
func (n node) IsDir() bool  { return n.dir }
func (n node) Sys() any     { return nil }

func (n node) Size() int64 { return n.size }

func (n node) Mode() fs.FileMode {
	if n.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

func (n node) ModTime() time.Time {
	if n.torrent == nil || n.torrent.Added.IsZero() {
		return time.Unix(0, 0)
	}
	return n.torrent.Added
}

// ContentType implements [webdav.ContentTyper].
func (n node) ContentType(context.Context) (string, error) { return typeOf(n.name), nil }

// ETag implements [webdav.ETager].
func (n node) ETag(context.Context) (string, error) {
	if n.dir {
		return "", webdav.ErrNotImplemented
	}
	return etag(n.torrent.ID, n.path), nil
}

// top returns the entries at the top of the tree, by name.
func top(ctx context.Context, src Source) ([]node, error) {
	list, err := src.Torrents(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Torrent) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	nodes := make([]node, len(list))
	for i := range list {
		t := &list[i]
		name := t.Name
		if i > 0 && list[i-1].Name == name {
			ext := path.Ext(name)
			name = strings.TrimSuffix(name, ext) + " (" + t.ID[:min(8, len(t.ID))] + ")" + ext
		}
		nodes[i] = node{name: name, torrent: t, dir: true}
		if t.Single {
			nodes[i] = node{name: name, torrent: t, path: t.Name, size: t.Size}
		}
	}
	return nodes, nil
}

// children returns the entries of a directory, by name.
func (n node) children(ctx context.Context, src Source) ([]node, error) {
	if n.torrent == nil {
		return top(ctx, src)
	}
	list, err := sorted(ctx, src, n.torrent)
	if err != nil {
		return nil, err
	}
	var nodes []node
	for _, f := range list {
		rest, ok := strings.CutPrefix(f.Path, n.path)
		if !ok {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if last := len(nodes) - 1; deeper && last >= 0 && nodes[last].dir && nodes[last].name == name {
			continue
		}
		child := node{name: name, torrent: n.torrent, dir: deeper, path: f.Path, size: f.Length}
		if deeper {
			child.path, child.size = n.path+name+"/", 0
		}
		nodes = append(nodes, child)
	}
	return nodes, nil
}

// tree implements [webdav.FileSystem] for one request, which can look up each entry of a large
// directory. PROPFIND reads no content.
type tree struct {
	src  Source
	dirs map[string]*directory // by path, with a slash at the end
}

// directory is the content of a directory.
type directory struct {
	nodes  []node
	byName map[string]int // index in nodes
}

// list returns the content of the directory n, whose path is at.
func (s *tree) list(ctx context.Context, at string, n node) (*directory, error) {
	if d := s.dirs[at]; d != nil {
		return d, nil
	}
	nodes, err := n.children(ctx, s.src)
	if err != nil {
		return nil, err
	}
	d := &directory{nodes, make(map[string]int, len(nodes))}
	for i := range nodes {
		d.byName[nodes[i].name] = i
	}
	if s.dirs == nil {
		s.dirs = map[string]*directory{}
	}
	s.dirs[at] = d
	return d, nil
}

// lookup returns the entry at a path of the tree.
func (s *tree) lookup(ctx context.Context, name string) (node, error) {
	n, at := node{name: "/", dir: true}, "/"
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+name), "/"), "/") {
		if part == "" {
			continue
		}
		absent := &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		if !n.dir {
			return node{}, absent
		}
		d, err := s.list(ctx, at, n)
		if err != nil {
			return node{}, err
		}
		i, ok := d.byName[part]
		if !ok {
			return node{}, absent
		}
		n, at = d.nodes[i], at+part+"/"
	}
	return n, nil
}

// Mkdir implements [webdav.FileSystem].
func (*tree) Mkdir(context.Context, string, os.FileMode) error { return fs.ErrPermission }

// RemoveAll implements [webdav.FileSystem].
func (*tree) RemoveAll(context.Context, string) error { return fs.ErrPermission }

// Rename implements [webdav.FileSystem].
func (*tree) Rename(context.Context, string, string) error { return fs.ErrPermission }

// Stat implements [webdav.FileSystem].
func (s *tree) Stat(ctx context.Context, name string) (os.FileInfo, error) {
	return s.lookup(ctx, name)
}

// OpenFile implements [webdav.FileSystem].
func (s *tree) OpenFile(ctx context.Context, name string, flag int, _ os.FileMode) (webdav.File, error) {
	if flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_TRUNC) != 0 {
		return nil, fs.ErrPermission
	}
	n, err := s.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	return entry{n, ctx, s, path.Clean("/" + name)}, nil
}

// entry implements [webdav.File] for an entry of the tree, as far as PROPFIND needs it.
type entry struct {
	node
	ctx  context.Context
	tree *tree
	path string
}

// Close implements [webdav.File].
func (entry) Close() error { return nil }

// Read implements [webdav.File].
func (entry) Read([]byte) (int, error) { return 0, fs.ErrInvalid }

// Seek implements [webdav.File].
func (entry) Seek(int64, int) (int64, error) { return 0, fs.ErrInvalid }

// Write implements [webdav.File].
func (entry) Write([]byte) (int, error) { return 0, fs.ErrPermission }

// Stat implements [webdav.File].
func (e entry) Stat() (fs.FileInfo, error) { return e.node, nil }

// Readdir implements [webdav.File]. It returns all entries, as PROPFIND asks for.
func (e entry) Readdir(int) ([]fs.FileInfo, error) {
	d, err := e.tree.list(e.ctx, strings.TrimSuffix(e.path, "/")+"/", e.node)
	if err != nil {
		return nil, err
	}
	infos := make([]fs.FileInfo, len(d.nodes))
	for i, n := range d.nodes {
		infos[i] = n
	}
	return infos, nil
}

// noLocks implements [webdav.LockSystem]: nothing can be locked.
type noLocks struct{}

// Confirm implements [webdav.LockSystem].
func (noLocks) Confirm(time.Time, string, string, ...webdav.Condition) (func(), error) {
	return nil, webdav.ErrConfirmationFailed
}

// Create implements [webdav.LockSystem].
func (noLocks) Create(time.Time, webdav.LockDetails) (string, error) { return "", webdav.ErrForbidden }

// Refresh implements [webdav.LockSystem].
func (noLocks) Refresh(time.Time, string, time.Duration) (webdav.LockDetails, error) {
	return webdav.LockDetails{}, webdav.ErrNoSuchLock
}

// Unlock implements [webdav.LockSystem].
func (noLocks) Unlock(time.Time, string) error { return webdav.ErrNoSuchLock }
