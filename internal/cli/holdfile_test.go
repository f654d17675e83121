package cli

import (
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// heldFiles holds the files that a script has open for writing, by their names in the script.
type heldFiles map[string]*os.File

type heldFilesKey struct{}

// hold is the script command "hold FILE". It opens a file for writing until letgo closes it.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold FILE")
	}
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	ts.Defer(func() { f.Close() })
	ts.Value(heldFilesKey{}).(heldFiles)[args[0]] = f
}

// letgo is the script command "letgo FILE". It closes a file that hold has opened.
func letgo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: letgo FILE")
	}
	f := ts.Value(heldFilesKey{}).(heldFiles)[args[0]]
	if f == nil {
		ts.Fatalf("%s is not held", args[0])
	}
	ts.Check(f.Close())
}
