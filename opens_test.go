package spate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// opens lists the functions that open files or list directories without internal/folder,
// grouped by the reason. A function that opens a file in a directory that other users can
// write to must use internal/folder and does not belong in this list.
var opens = map[string][]string{
	"the user names the file; it may be a link or a pipe": {
		"internal/cli/create.go: readList: os.Open",
		"internal/cli/releaseflags.go: readNotes: os.Open",
		"internal/filetrust/filetrust.go: Open: os.OpenFile",
		"internal/torrentfile/read.go: readFile: os.Open",
		"internal/torrentfile/read.go: ReadLimited: os.Open",
		"metainfo/metainfo.go: ReadFile: os.Open",
		"tracker/trackerlog/report.go: ReadFile: os.Open",
	},
	"the directory belongs to this program": {
		"internal/daemon/dataclaim.go: PruneClaims: os.ReadDir",
		"internal/daemon/dataclaim.go: Release: os.ReadDir",
		"internal/daemon/dataclaim.go: pruneClaim: os.ReadDir",
		"internal/daemon/setaside.go: setAsideIn: os.ReadDir",
		"internal/daemon/feedrecord.go: load: os.ReadDir",
		"internal/daemon/torrentrecord.go: load: os.ReadDir",
		"internal/daemon/backup.go: OpenBackup: os.Open",
		"internal/daemon/lock.go: openLock: os.OpenFile",
		"internal/daemon/lock.go: lockHolder: os.Open",
		"internal/running/socket.go: find: filepath.Glob",
		"internal/cli/seedmany.go: seedMany: os.ReadDir",
		"publish/catalogdb/db.go: open: os.OpenFile",
		"publish/catalogdb/record.go: addV2Hashes: os.ReadFile",
		"publish/catalogdb/record.go: reconcile: os.ReadDir",
		"publish/catalogdb/record.go: restore: os.ReadFile",
		"internal/upload/append.go: openFile: root.OpenFile",
		"internal/upload/append.go: syncDir: root.Open",
		"internal/upload/record.go: load: os.ReadDir",
		"internal/upload/record.go: truncate: root.OpenFile",
		"publish/keeper.go: Sweep: os.ReadDir",
		"storage/resume.go: ListResume: os.ReadDir",
		"storage/resume.go: PruneResume: os.ReadDir",
		"storage/resume.go: holds: os.Open",
		"tracker/swarm/dir.go: numbers: os.ReadDir",
	},
	"the file is written": {
		"internal/atomicfile/aside.go: CreateAnew: os.OpenFile",
		"internal/cli/keys.go: writeNew: os.OpenFile",
		"internal/cli/servebackup.go: fetchCatalog: os.OpenFile",
		"internal/daemon/reuse.go: copyTo: root.OpenFile",
		"internal/filetrust/owner_unix.go: GiveToOwner: os.OpenFile",
		"internal/filetrust/filetrust.go: OpenAppend: os.OpenFile",
		"publish/catalogdb/db.go: Backup: os.OpenFile",
		"publish/clone_linux.go: clone: os.OpenFile",
		"site/export.go: data: os.OpenFile",
		"tracker/swarm/dir.go: rotate: os.OpenFile",
		"tracker/trackerlog/file.go: mend: os.Open",
	},
	"the directory is only listed or synced": {
		"internal/atomicfile/atomicfile.go: SyncDir: os.Open",
		"site/exportdir.go: exportable: filepath.WalkDir",
		"site/exportdir.go: exportable: os.ReadDir",
		"storage/move.go: syncRename: root.Open",
		"storage/sync.go: watchErrors: root.Open",
	},
	"the file is below an os.Root, opening does not block, and the type of the open file is checked": {
		"maker/open_linux.go: open: root.OpenFile",
		"storage/open.go: create: root.OpenFile",
		"storage/open.go: openRead: root.OpenFile",
		"storage/open.go: openWrite: root.OpenFile",
	},
	"the files are part of a package that is tested": {
		"internal/lang/langtest/langtest.go: Used: filepath.Glob",
		"internal/lang/langtest/langtest.go: Used: os.ReadFile",
	},
	"the kernel writes the file": {
		"internal/takeover/running_linux.go: Running: filepath.Glob",
		"internal/takeover/running_linux.go: Running: os.ReadFile",
		"internal/netguard/guardtest/namespace_linux.go: connecting: os.ReadFile",
		"internal/ui/owner_linux.go: ownerOf: os.Open",
		"maker/rotational_linux.go: rotational: os.ReadFile",
		"portmap/route_linux.go: defaultRoutes: os.Open",
	},
}

// TestOnlyFolderOpensFiles checks that only internal/folder opens files and lists
// directories, except for the functions in opens.
func TestOnlyFolderOpensFiles(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, list := range opens {
		want = append(want, list...)
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Skip directories that are not part of the program.
			if slices.Contains([]string{"bench", "docs", "e2e", "packaging", "scripts", "tools", "internal/folder"}, filepath.ToSlash(path)) || path != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			calls, err := opensIn(path)
			got = append(got, calls...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range got {
		if !slices.Contains(want, call) {
			t.Errorf("%s: open the file with internal/folder, or add the function to opens if nobody else can write to the directory", call)
		}
	}
	for _, call := range want {
		if !slices.Contains(got, call) {
			t.Errorf("opens lists %s, which no file contains", call)
		}
	}
}

// opensIn returns the calls in a file that open files or list directories, as
// "file: function: call".
func opensIn(path string) (calls []string, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, decl := range f.Decls {
		name := "-"
		if fn, ok := decl.(*ast.FuncDecl); ok {
			name = fn.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && isOpen(lastName(sel.X), sel.Sel.Name) {
				call := filepath.ToSlash(path) + ": " + name + ": " + lastName(sel.X) + "." + sel.Sel.Name
				if !slices.Contains(calls, call) {
					calls = append(calls, call)
				}
			}
			return true
		})
	}
	return calls, nil
}

// lastName returns the last identifier of a selector or a call.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		return lastName(e.Fun)
	}
	return ""
}

// isOpen reports whether the function name of the package of opens a file or lists a
// directory. It treats a variable called root as an [os.Root].
func isOpen(of, name string) bool {
	switch {
	case of == "os":
		return slices.Contains([]string{"Open", "OpenFile", "ReadFile", "ReadDir", "OpenRoot", "OpenInRoot", "DirFS", "CopyFS"}, name)
	case of == "filepath":
		return slices.Contains([]string{"Walk", "WalkDir", "Glob"}, name)
	case of == "ioutil", of == "metainfo" && name == "ReadFile":
		return true
	}
	return strings.EqualFold(of, "root") && slices.Contains([]string{"Open", "OpenFile", "OpenRoot", "ReadFile", "FS"}, name)
}
