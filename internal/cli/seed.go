package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/reach"
	"spate/internal/running"
	"spate/internal/units"
	"spate/metainfo"
	"spate/torrent"
)

// seedOptions are the flags of seed.
type seedOptions struct {
	sessionFlags
	key    string // --verify-key
	data   string
	follow bool // --follow-links
	force  bool
}

func (a *app) seedCmd() *cobra.Command {
	var opt seedOptions
	cmd := &cobra.Command{
		Use:   "seed TORRENT...",
		Short: "seed existing data until stopped",
		Long: `Seed the data of torrents. A TORRENT is a .torrent file, its URL, the URL of its
page, or - for standard input; a directory stands for the .torrent files in it.
seed looks for the data in --data DIR, or else beside the .torrent and in the
current directory. It checks the data before it offers it, and never writes to it.
It waits while another program still writes the data.`,
		Example: `  spate seed debian.iso.torrent --data /srv/images
  spate seed /srv/torrents --data /srv/images --up 2M`,
		Args: need(1, -1, "a TORRENT"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.seed(cmd.Context(), args, &opt) },
	}
	f := cmd.Flags()
	f.StringVar(&opt.data, "data", "", "look for the data in this `DIR`")
	followLinksFlag(f, &opt.follow, "the directories")
	f.BoolVar(&opt.force, "force", false, "seed data that a program is still writing")
	verifyKeyFlag(f, &opt.key)
	opt.sessionFlags.add(f)
	return cmd
}

// seedJob is the seeding of one torrent.
type seedJob struct {
	file  string // the .torrent
	mi    *metainfo.MetaInfo
	dir   string           // directory that contains the data
	name  string           // name of the data in dir
	t     *torrent.Torrent // nil while the data is still being written
	claim daemon.Claim
	waits bool // the user has read that the data is still being written
	told  bool // the user has read whether the torrent is seeded

	problem error // why it cannot be seeded; nil if it can
}

func (a *app) seed(ctx context.Context, args []string, opt *seedOptions) error {
	files, err := a.torrentFiles(ctx, args, opt)
	if err != nil {
		return err
	}
	env := a.daemonEnv()
	if err := env.PrepareState(a.stateDir(opt.state)); err != nil {
		return err
	}
	if len(files) > manyTorrents && len(opt.peers.addrs) == 0 {
		return a.seedMany(ctx, args, files, opt)
	}
	state := a.downloadState(opt.state)
	var jobs []*seedJob
	defer func() {
		for _, j := range jobs {
			j.claim.Release()
		}
	}()
	for _, file := range files {
		j, err := seedJobOf(env, file, state, opt.data, len(files) == 1)
		if err != nil && len(files) == 1 {
			return err
		}
		if err != nil {
			a.Warnf("%v", err)
			continue
		}
		a.saveMemoryFor(len(j.mi.Info.Files))
		jobs = append(jobs, j)
	}
	if len(jobs) == 0 {
		return fault.New(fault.NotFound, "name the directory of the data with --data DIR", "none of %s can be seeded", units.Plural(len(files), "torrent"))
	}
	news := &reachNews{app: a}
	c, err := a.openSession(&opt.sessionFlags, news.told)
	if err != nil {
		return err
	}
	defer c.Stop()
	c.AwaitPorts(ctx)
	for _, j := range jobs {
		if err := a.addSeed(c, j, opt); err != nil {
			return err
		}
	}
	defer running.Serve(a.stateDir(opt.state), "seed", running.Source(c.Session, c.Uplink, c.Reach, c.SearchInDHT), a.Log)()
	if err := a.seedReady(c, jobs, news); err != nil {
		return err
	}
	return a.seedLoop(ctx, c, jobs, opt)
}

// seedJobOf reads a torrent, finds its data and claims it. state is the directory of the
// locks.
func seedJobOf(env *daemon.Env, file torrentFile, state, data string, alone bool) (*seedJob, error) {
	j, err := file.load(data, alone)
	if err != nil {
		return nil, err
	}
	j.claim, err = env.ClaimData(state, j.dir, j.name, j.mi.Hash(), false)
	return j, err
}

// load reads a torrent and finds its data.
func (f torrentFile) load(data string, alone bool) (*seedJob, error) {
	mi, err := f.parse()
	if err != nil {
		return nil, err
	}
	j := &seedJob{file: f.path, mi: mi}
	beside := f.path
	if f.src != nil {
		beside = f.src.Path
	}
	if j.dir, j.name, err = findData(mi, beside, data, alone); err != nil {
		return nil, err
	}
	if !f.follow {
		return j, nil
	}
	real, err := filepath.EvalSymlinks(filepath.Join(j.dir, j.name))
	j.dir, j.name = filepath.Dir(real), filepath.Base(real)
	return j, err
}

// findData returns the directory that contains the data of a torrent, and the name of the
// data there. file is the path of the .torrent, or "" if it has none. If alone is set, data may
// also be the path of the data itself, with another name.
func findData(mi *metainfo.MetaInfo, file, data string, alone bool) (dir, name string, err error) {
	dirs := []string{"."}
	switch {
	case data != "":
		dirs = []string{data}
	case file != "":
		dirs = []string{filepath.Dir(file), "."}
	}
	names := append([]string{mi.Info.Name}, mi.OtherNames()...)
	for _, d := range dirs {
		for _, name := range names {
			info, err := os.Stat(filepath.Join(d, name))
			if err == nil && info.IsDir() != mi.Info.Single() {
				abs, err := filepath.Abs(d)
				return abs, name, err
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotDir(d) {
				return "", "", err
			}
		}
	}
	if data != "" && alone && holdsTree(mi, data) {
		abs, err := filepath.Abs(data)
		return filepath.Dir(abs), filepath.Base(abs), err
	}
	return "", "", fault.New(fault.NotFound, "name its directory with --data DIR", "the data of %s, %q, is not in %s", cmp.Or(file, "the torrent"), mi.Info.Name, strings.Join(dirs, " or "))
}

func isNotDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// holdsTree reports whether path can be the data itself: a file of the right size, or a
// directory that has a file of the torrent.
func holdsTree(mi *metainfo.MetaInfo, path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() == mi.Info.Single() {
		return false
	}
	if mi.Info.Single() {
		return info.Size() == mi.Info.DataLength()
	}
	root, err := folder.OpenRoot(path)
	if err != nil {
		return false
	}
	defer root.Close()
	other := mi.OtherPaths(false)
	for i := range mi.Info.Files {
		f := &mi.Info.Files[i]
		if f.Pad() || f.Length == 0 {
			continue
		}
		for _, p := range append([]string{f.DisplayPath()}, other[i]...) {
			if info, err := root.Lstat(filepath.FromSlash(p)); err == nil && info.Mode().IsRegular() && info.Size() == f.Length {
				return true
			}
		}
	}
	return false
}

// seedReady prints that the session listens.
func (a *app) seedReady(c *daemon.Session, jobs []*seedJob, news *reachNews) error {
	if !a.JSON {
		a.Notef("seeding %s%s; Ctrl-C stops", units.Plural(len(jobs), "torrent"), on(c.PeerAddr()))
		return nil
	}
	r := readyEvent{Event: "ready", PeerAddr: c.PeerAddr(), Torrents: len(jobs)}
	if len(jobs) == 1 {
		r.describe(jobs[0].mi)
	}
	return news.print(c.Reach(), func(s *reach.Status) error {
		r.Reachable = s
		return a.PrintJSON(r)
	})
}

// seedLoop shows the state of the torrents until ctx ends, and adds those whose data is complete
// at last. It returns an error if no torrent can be seeded.
func (a *app) seedLoop(ctx context.Context, c *daemon.Session, jobs []*seedJob, opt *seedOptions) error {
	s := a.newStatus(c.Session)
	defer s.finish()
	left := len(jobs)
	return s.run(ctx, func() error {
		for _, j := range jobs {
			if j.told {
				continue
			}
			if err := a.lookAtSeed(c, j, opt); err != nil {
				return err
			}
			if j.problem == nil {
				continue
			}
			problem := a.explainSeed(ctx, j)
			left--
			if left == 0 {
				return problem
			}
			a.Warnf("%v", problem)
		}
		return nil
	})
}

// tellSeed prints once that a torrent is seeded, or sets j.problem if it cannot be seeded. It
// sets j.told after either.
func (a *app) tellSeed(j *seedJob) error {
	st := j.t.Stats()
	if st.State == torrent.StateChecking {
		return nil
	}
	j.told = true
	if j.problem = seedProblem(j, &st); j.problem != nil {
		return nil
	}
	if st.PiecesHave < st.Pieces {
		a.Warnf("%s: only %s good; the others are not seeded", j.mi.Info.Name, units.PartIs(st.PiecesHave, st.Pieces, "piece", "is", "are"))
	}
	return a.seedingEvent(j)
}

// seedProblem returns the reason why a torrent cannot be seeded, or nil.
func seedProblem(j *seedJob, st *torrent.Stats) error {
	switch {
	case st.State == torrent.StateFailed && errors.Is(st.Err, folder.ErrOutside):
		return fault.WithHint(st.Err, "--follow-links follows links that lead out of the directory of the data")
	case st.State == torrent.StateFailed:
		return daemon.TransferError(st.Err)
	}
	if st.PiecesHave == 0 && st.Pieces > 0 {
		return fault.New(fault.BadData, "spate verify shows which files differ", "%s does not match %s: %w",
			filepath.Join(j.dir, j.name), j.file, errNoPieceGood)
	}
	return nil
}

// errNoPieceGood is wrapped by the error about a torrent without a good piece.
var errNoPieceGood = errors.New("no piece is good")

func (a *app) seedingEvent(j *seedJob) error {
	if !a.JSON {
		a.Notef("seeding %s, %s", filepath.Join(j.dir, j.name), units.Bytes(j.mi.Info.DataLength()))
		return nil
	}
	e := readyEvent{Event: "seeding", Name: j.mi.Info.Name, Path: filepath.Join(j.dir, j.name)}
	e.describe(j.mi)
	return a.PrintJSON(e)
}
