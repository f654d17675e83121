package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"spate/internal/daemon"
	"spate/internal/fault"
	"spate/torrent"
)

// getStream runs get -o -. It writes one file to standard output during the download. The data
// is in a temporary directory, which getStream removes at the end.
func (a *app) getStream(ctx context.Context, args []string, opt *getOptions) error {
	switch {
	case a.JSON, opt.tui, !opt.seed.none():
		return fault.Usagef("-o - writes the data to standard output: leave out --json, --tui and --seed")
	case len(args) != 1:
		return fault.UsageHint("fetch them one after the other", "-o - takes one SOURCE")
	case a.StdoutIsTerminal() && !opt.force:
		return fault.UsageHint("pipe it into a program or a file, or use --force", "-o - would write the data to the terminal")
	}
	// Otherwise SIGPIPE would end the process when the reader closes the pipe, and the
	// temporary directory would remain.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)

	tmp, err := os.MkdirTemp("", "spate-get-")
	if err != nil {
		return fault.WithHint(err, "the variable TMPDIR sets the directory of temporary files")
	}
	defer os.RemoveAll(tmp)
	o, state := *opt, filepath.Join(tmp, "state")
	o.output, o.inOrder = filepath.Join(tmp, "data"), true
	c, err := o.sessionFlags.config(state)
	if err != nil {
		return err
	}
	c.PortMap = nil // the state directory, which records what the router keeps, is temporary
	s, err := daemon.OpenSession(a.daemonEnv(), c)
	if err != nil {
		return err
	}
	defer s.Stop()
	jobs, err := a.getJobs(ctx, s, args, state, &o)
	for _, j := range jobs {
		defer j.Release()
	}
	if err != nil {
		return err
	}
	j := jobs[0]
	if err := a.startJob(s, j); err != nil {
		return err
	}
	file, err := onlyFile(j)
	if err != nil {
		return err
	}
	r, err := j.Torrent.NewReader(ctx, file)
	if err != nil {
		return err
	}
	defer r.Close()
	g := &getRun{app: a, opt: &o, session: s, jobs: jobs, left: 1, bar: a.NewProgress(j.MetaInfo.Info.Name)}
	g.stream = func(context.Context) error {
		_, err := io.Copy(a.Stdout, r)
		return err
	}
	return g.run(ctx)
}

// onlyFile returns the index of the selected file of a job. It returns an error if there are
// several.
func onlyFile(j *getJob) (int, error) {
	found := -1
	for i, f := range j.Torrent.Files() {
		switch {
		case f.Pad || f.Priority == torrent.PrioritySkip:
		case found >= 0:
			return 0, fault.UsageHint("--select chooses one", "-o - takes one file, but %q has several", j.MetaInfo.Info.Name)
		default:
			found = i
		}
	}
	return found, nil
}
