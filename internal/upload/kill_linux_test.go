package upload

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"spate/internal/killpoint"
)

// TestMain lets a test kill this program at a chosen system call.
func TestMain(m *testing.M) {
	if code, asked := killpoint.Main(); asked {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// killedRequest is the upload of TestUploadKilledAtAnyCall.
var killedRequest = Request{Name: "d", Files: []File{{"a", 5}, {"s/empty", 0}, {"s/b", 7}}}

// uploadAll sends the upload in parts, and publishes it. It prints what it was told.
func uploadAll(dir string) error {
	s, err := New(dir, Options{})
	if err != nil {
		return err
	}
	i, err := s.Create(killedRequest)
	if err != nil {
		return err
	}
	fmt.Println("id", i.ID)
	data := stream(i.Length)
	for i.Offset < i.Length {
		if i, err = s.Append(i.ID, i.Offset, bytes.NewReader(data[i.Offset:min(i.Length, i.Offset+4)]), nil); err != nil {
			return err
		}
		fmt.Println("offset", i.Offset)
	}
	taken, err := s.Take(i.ID)
	if err != nil {
		return err
	}
	fmt.Println("taken", taken.Path)
	return taken.Done()
}

// TestUploadKilledAtAnyCall kills a process that receives an upload before every eighth of its system
// calls that change files, or before those that SPATE_SWEEP=FIRST,STEP names. What it had reported must
// be there at the next start, and the upload must go on to the right files.
func TestUploadKilledAtAnyCall(t *testing.T) {
	if dir := os.Getenv("SPATE_INNER"); dir != "" {
		if err := uploadAll(dir); err != nil {
			t.Fatal(err)
		}
		return
	}
	if testing.Short() {
		t.Skip("runs a process for each system call")
	}
	t.Parallel()
	first, step := 2, 8
	if v := os.Getenv("SPATE_SWEEP"); v != "" {
		if _, err := fmt.Sscanf(v, "%d,%d", &first, &step); err != nil {
			t.Fatal(err)
		}
	}
	n := first
	for killedUpload(t, n) {
		n += step
	}
	if n < first+10*step {
		t.Errorf("the process made only %d calls", n)
	}
	t.Logf("killed at calls up to %d", n)
}

// killedUpload kills the process at its n-th call and checks what it has left. It returns false if the
// process ended before.
func killedUpload(t *testing.T, n int) (killed bool) {
	t.Helper()
	dir := t.TempDir()
	argv, err := killpoint.Command(n, os.Args[0], "-test.run=^TestUploadKilledAtAnyCall$")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "SPATE_INNER="+dir)
	out, err := cmd.CombinedOutput()
	killed = cmd.ProcessState.ExitCode() == killpoint.Killed
	if err != nil && !killed {
		t.Fatalf("the run that should be killed at call %d failed: %v: %s", n, err, out)
	}
	s := open(t, dir, Options{})
	list := s.List()
	told := int64(-1)
	for line := range strings.Lines(string(out)) {
		fmt.Sscanf(line, "offset %d", &told)
	}
	switch taken := strings.Contains(string(out), "taken "); {
	case len(list) == 0:
		if !taken && strings.Contains(string(out), "id ") {
			t.Errorf("call %d: the upload is gone after %q", n, out)
		}
		return killed
	case list[0].Offset < told:
		t.Errorf("call %d: the upload has %d bytes after %q", n, list[0].Offset, out)
	}
	i, data := list[0], stream(12)
	if i.Offset < i.Length {
		if i, err = s.Append(i.ID, i.Offset, bytes.NewReader(data[i.Offset:]), nil); err != nil {
			t.Errorf("call %d: the upload does not go on: %v", n, err)
			return killed
		}
	}
	done, err := s.Take(i.ID)
	if err != nil {
		t.Errorf("call %d: %v", n, err)
		return killed
	}
	got := tree(t, done.Path)
	if len(got) != 3 || got["a"] != string(data[:5]) || got["s/b"] != string(data[5:]) || got["s/empty"] != "" {
		t.Errorf("call %d: %s contains %q", n, filepath.Base(done.Path), got)
	}
	return killed
}
