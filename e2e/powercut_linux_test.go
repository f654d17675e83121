package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// ext4Shutdown is EXT4_IOC_SHUTDOWN of linux/fs/ext4/ext4.h, which stops the file system at
// once. With shutdownNoSync, data that is not on the disk yet is lost.
const (
	ext4Shutdown   = 0x8004587d
	shutdownNoSync = 2
)

// disk is a small ext4 file system on a loop device.
type disk struct{ image, dir string }

// newDisk creates and mounts a disk.
func newDisk(t *testing.T) *disk {
	t.Helper()
	need(t, "mkfs.ext4", "mount", "umount")
	d := &disk{image: filepath.Join(t.TempDir(), "disk.img"), dir: filepath.Join(t.TempDir(), "mnt")}
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(d.image)
	if err == nil {
		err = f.Truncate(64 << 20)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", d.dir).Run() })
	if err := d.mount(); err != nil {
		missing(t, "a loop device: "+err.Error())
	}
	return d
}

// mount mounts the disk.
func (d *disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %s", err, out)
	}
	return nil
}

// cut simulates a power cut: data that was not synced is lost.
func (d *disk) cut() error {
	fd, err := unix.Open(d.dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetPointerInt(fd, ext4Shutdown, shutdownNoSync)
}

// remount mounts the disk after a power cut at the same path. It mounts a copy of the image,
// because the kernel may still use the old one for a while.
func (d *disk) remount(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(d.image)
	if err == nil {
		d.image += "-copy"
		err = os.WriteFile(d.image, b, 0o600)
	}
	if err == nil {
		err = unix.Unmount(d.dir, unix.MNT_DETACH)
	}
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPowerCut cuts the power of the disk that has the data and the state of a get: during
// the download, at its end, and after a second run has checked the data that a killed run
// left. The resume data must list only pieces that are on the disk, and the same command
// must complete the download.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	s := newFaultTest(t)
	for name, until := range map[string]func(t *testing.T, dir string){
		"during the download": func(t *testing.T, dir string) {
			p := s.get(dir, "--down", "40k")
			eventually(t, "some pieces are written", func() bool { return s.countGood(t, dir) >= 3 })
			p.stop(unix.SIGKILL)
		},
		"at the end": func(t *testing.T, dir string) { s.get(dir).ok() },
		"after a check": func(t *testing.T, dir string) {
			p := s.get(dir, "--down", "40k")
			eventually(t, "some pieces are written", func() bool { return s.countGood(t, dir) >= 3 })
			p.stop(unix.SIGKILL)
			p = s.get(dir, "--down", "1k")
			eventually(t, "the resume data lists the checked pieces", func() bool { return s.checkResume(t, dir, "before the cut") >= 3 })
			p.stop(unix.SIGKILL)
		},
		"after Ctrl-C": func(t *testing.T, dir string) {
			p := s.get(dir, "--down", "40k")
			eventually(t, "some pieces are written", func() bool { return s.countGood(t, dir) >= 3 })
			p.interrupt()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t)
			until(t, d.dir)
			if err := d.cut(); err != nil {
				missing(t, "FS_IOC_SHUTDOWN: "+err.Error())
			}
			d.remount(t)
			have := s.checkResume(t, d.dir, name)
			if least := map[string]int{"at the end": s.mi.Info.NumPieces(), "after a check": 3, "after Ctrl-C": 3}[name]; have < least {
				t.Errorf("the resume data lists %d pieces, want at least %d", have, least)
			}
			s.finish(t, d.dir, name)
		})
	}
}

// countGood returns the number of pieces in dir whose data is right.
func (s *faultTest) countGood(t *testing.T, dir string) (n int) {
	got := s.read(t, filepath.Join(dir, "out"))
	for i := range s.mi.Info.NumPieces() {
		from := int64(i) * s.mi.Info.PieceLength
		to := from + s.mi.Info.PieceSize(i)
		if string(got[from:to]) == string(s.data[from:to]) {
			n++
		}
	}
	return n
}
