package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// ext4Shutdown is EXT4_IOC_SHUTDOWN of linux/fs/ext4/ext4.h: the file system stops
// at once, and with nothing flushed what is not on the disk is lost.
const (
	ext4Shutdown   = 0x8004587d
	shutdownNoSync = 2
)

// disk is a small ext4 on a loop device.
type disk struct{ image, dir string }

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

func (d *disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %s", err, out)
	}
	return nil
}

// cut cuts the power: what was not synced is gone.
func (d *disk) cut() error {
	fd, err := unix.Open(d.dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetPointerInt(fd, ext4Shutdown, shutdownNoSync)
}

// again mounts the disk as after the cut, in the same place. A copy is mounted: the
// system may hold on to the old one for a while.
func (d *disk) again(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(d.image)
	if err == nil {
		d.image += "-again"
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

// TestPowerCut cuts the power of the disk that a get writes to, data and state, at
// different moments: when it is done, in the middle, and after it was killed and
// what it left was checked by another run. Nothing is remembered that is not on the
// disk, and the same command goes on.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	for name, until := range map[string]func(t *testing.T, dir string){
		"in the middle": func(t *testing.T, dir string) {
			p := s.get(dir, "--down", "40k")
			eventually(t, "a part is there", func() bool { return s.there(t, dir) >= 3 })
			p.stop(unix.SIGKILL)
		},
		"when it is done": func(t *testing.T, dir string) { s.get(dir).ok() },
		"after a check": func(t *testing.T, dir string) {
			p := s.get(dir, "--down", "40k")
			eventually(t, "a part is there", func() bool { return s.there(t, dir) >= 3 })
			p.stop(unix.SIGKILL)
			p = s.get(dir, "--down", "1k")
			eventually(t, "what was left is remembered", func() bool { return s.claims(t, dir, "before the cut") >= 3 })
			p.stop(unix.SIGKILL)
		},
		"after Ctrl-C": func(t *testing.T, dir string) {
			p := s.get(dir, "--down", "40k")
			eventually(t, "a part is there", func() bool { return s.there(t, dir) >= 3 })
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
			d.again(t)
			have := s.claims(t, d.dir, name)
			if least := map[string]int{"when it is done": s.mi.Info.NumPieces(), "after a check": 3, "after Ctrl-C": 3}[name]; have < least {
				t.Errorf("%d pieces are remembered, want %d", have, least)
			}
			s.finish(t, d.dir, name)
		})
	}
}

// there counts the pieces that are in their place in dir.
func (s *sweep) there(t *testing.T, dir string) (n int) {
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
