package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"spate/internal/api"
	"spate/internal/daemon"
	"spate/internal/doctor"
	"spate/internal/fault"
	"spate/internal/running"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/metainfo"
)

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	sourceFlags
	session sessionFlags
	listen  string
	output  string
	timeout time.Duration
}

func (a *app) doctorCmd() *cobra.Command {
	opt := doctorOptions{sourceFlags: sourceFlags{readOnly: true}}
	cmd := &cobra.Command{
		Use:   "doctor [SOURCE]",
		Short: "check what keeps peers away, and say what to do",
		Long: `Check this machine: addresses, ports, router, DHT, clock, open files and disk. With
SOURCE, the URL of a release page or any SOURCE of show, check also the page, the
torrent, its trackers and its web seeds. A running spate serve is asked about its
ports. The exit code is 1 if something should be done.`,
		Example: `  spate doctor
  spate doctor http://203.0.113.7:6969/r/debian.iso`,
		Args: need(0, 1, "one SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.doctor(cmd.Context(), args, &opt) },
	}
	f := cmd.Flags()
	f.StringVar(&opt.listen, "listen", "", "check this `ADDR` of the site and tracker (default :6969)")
	f.IntVar(&opt.session.peerPort, "peer-port", -1, "check this `PORT` for peers; 0: any (default 6881-6889)")
	f.Lookup("peer-port").DefValue = ""
	f.StringVarP(&opt.output, "output", "o", "", "check the disk of this `DIR` for downloads too")
	f.DurationVar(&opt.timeout, "timeout", 30*time.Second, "wait for the router and the DHT for this `TIME`")
	opt.sourceFlags.add(f)
	f.BoolVar(&opt.session.noMap, "no-portmap", false, "do not ask the router to open ports")
	f.Var(&opt.session.gateway, "gateway", "ask the router at this `IP` (default: of the default route)")
	f.BoolVar(&opt.session.noDHT, "no-dht", false, "do not look for nodes of the DHT")
	bootstrapFlag(f, &opt.session.dhtNodes)
	return cmd
}

// checkup runs the checks of a command and prints their findings.
type checkup struct {
	*app
	opt  *doctorOptions
	web  *doctor.Web
	port uint16 // port of the peers, which is announced
	// session is open until the end of the checks, so that peers can connect; nil: another
	// process is asked, or none could be opened.
	session *daemon.Session
	daemon  *api.Client // the running spate serve; nil: none
	running bool        // another process of spate was asked
	clock   []doctor.ServerTime
	late    *lateSeeds    // trackers that know no seed; nil: none
	wait    time.Duration // before these trackers are asked again

	ended func() error // returns an error after Ctrl-C
	todo  int
	first doctor.Finding // of those after which something should be done, the first of the worst
	err   error          // the first error of the output
}

// newCheckup returns a checkup that prints until ctx ends. The caller closes it.
func newCheckup(ctx context.Context, a *app, opt *doctorOptions) *checkup {
	return &checkup{app: a, opt: opt, ended: ctx.Err, wait: seedsWait, web: doctor.NewWeb(opt.bind.Addr, nil, a.Now, a.out.Chooser())}
}

// doctor checks this machine and the torrent in args, if there is one.
func (a *app) doctor(ctx context.Context, args []string, opt *doctorOptions) error {
	opt.session.bind, opt.session.state = opt.bind, opt.state
	opt.session.noLSD, opt.session.noPEX, opt.session.noUTP, opt.session.unseen = true, true, true, true
	if _, err := opt.session.config(""); err != nil {
		return err
	}
	if _, err := bound("--listen", opt.listen, "6969", opt.bind.Addr); err != nil {
		return err
	}
	if opt.timeout <= 0 {
		return fault.Usagef("--timeout must be positive")
	}
	p := newCheckup(ctx, a, opt)
	defer p.close()
	if err := p.machine(ctx); err != nil {
		return err
	}
	var mi *metainfo.MetaInfo
	if len(args) > 0 {
		var err error
		if mi, err = p.source(ctx, args[0]); err != nil {
			return err
		}
	}
	if err := p.dialBack(ctx, mi); err != nil && ctx.Err() == nil {
		return err
	}
	p.awaitSeeds(ctx)
	p.print(doctor.Clock(p.clock)...)
	switch {
	case p.err != nil:
		return p.err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.todo > 0:
		return fault.New(fault.Failed, p.begin(), "something should be done about %s", units.Plural(p.todo, "finding"))
	}
	return nil
}

// close ends the session and the connections.
func (p *checkup) close() {
	p.web.Close()
	if p.session != nil {
		p.session.Stop()
	}
}

// begin returns a hint about the finding to begin with, or "" if there is only one.
func (p *checkup) begin() string {
	if p.todo < 2 || p.first.Advice == "" {
		return ""
	}
	return "begin with " + p.first.Check + ": " + termsafe.Clip(p.first.Advice, 400)
}

// print prints findings. It leaves out those of checks that Ctrl-C has interrupted, which would say
// that nothing answers.
func (p *checkup) print(list ...doctor.Finding) {
	if p.ended() != nil {
		return
	}
	todo := doctor.ToDo(list)
	p.todo += len(todo)
	for _, f := range todo {
		if p.first.Level == "" || p.first.Level == doctor.Warn && f.Level == doctor.Fail {
			p.first = f
		}
	}
	for _, f := range list {
		if p.err != nil {
			return
		}
		if p.JSON {
			p.err = p.PrintJSON(f)
			continue
		}
		p.err = p.Printf("%-5s %-14s %s\n", f.Level, f.Check, termsafe.Line(termsafe.Clip(f.String(), 600)))
	}
}

// machine checks this machine. A process of spate that uses the state directory is asked about its
// ports; otherwise a session is opened to find out.
func (p *checkup) machine(ctx context.Context) error {
	state, err := filepath.Abs(p.stateDir(p.opt.state))
	if err != nil {
		return err
	}
	if p.opt.output != "" {
		defer func() {
			p.print(doctor.Machine{Now: p.Now(), Dirs: []doctor.Dir{doctor.ProbeDir("download directory", p.opt.output)}}.Disks()...)
		}()
	}
	if done, err := p.askDaemon(ctx); done || err != nil {
		return err
	}
	env := p.daemonEnv()
	if err := errors.Join(os.MkdirAll(state, 0o700), env.PrepareState(state)); err != nil {
		p.print(doctor.Finding{Check: "disk", Subject: state, Level: doctor.Fail, Text: "the state directory cannot be used: " + fault.Message(err), Advice: "choose another --state DIR"})
		return nil
	}
	p.print(env.Machine(p.opt.bind.Addr, doctor.ProbeDir("state directory", state)).Findings()...)
	if done, err := p.askRunning(ctx, state); done || err != nil {
		return err
	}
	p.sitePort(ctx)
	p.throughProxy(ctx)
	return p.network(ctx)
}

// askDaemon prints what the daemon of the state directory, or of the service, finds. It returns false
// if none runs.
func (p *checkup) askDaemon(ctx context.Context) (bool, error) {
	states := p.daemonStates(p.opt.state)
	c := api.New(states[0], states[1:]...)
	s, err := c.Status(ctx)
	var none *api.NoDaemonError
	if errors.As(err, &none) {
		return false, nil
	}
	if err != nil {
		return true, apiError(err)
	}
	if at, err := netip.ParseAddrPort(s.PeerAddr); err == nil {
		p.port = at.Port()
	}
	p.daemon = c
	p.Notef("asking the running spate %s (process %d)", verbOf(s), s.PID)
	r, err := c.Check(ctx)
	p.print(r.Findings...)
	return true, apiError(err)
}

// askRunning prints what other processes of the state directory know, such as spate publish. It
// returns false if none holds the lock of the site.
func (p *checkup) askRunning(ctx context.Context, state string) (bool, error) {
	lock, err := daemon.LockFile(filepath.Join(state, "lock"), "the state directory "+state)
	if err == nil {
		lock.Close()
		return false, nil
	}
	if !errors.Is(err, daemon.ErrLocked) {
		return true, err
	}
	p.running = true
	list, err := running.Find(ctx, state)
	if err != nil || len(list) == 0 {
		p.print(doctor.Finding{Check: "reachable", Level: doctor.Note, Text: "not checked: " + fault.Message(errors.Join(err, errors.New("a process of spate uses the state directory, but answers nothing")))})
		return true, nil
	}
	for _, r := range list {
		s, err := r.Reach(ctx)
		if err != nil {
			return true, err
		}
		p.print(doctor.Reached("process "+r.PID, s))
	}
	return true, nil
}

// sitePort checks whether the port of the site and its tracker is free.
func (p *checkup) sitePort(ctx context.Context) {
	l := listenFlags{listen: p.opt.listen, bind: p.opt.bind}
	c, err := l.config("the site")
	if err == nil {
		err = daemon.ProbeListen(ctx, c)
	}
	if err != nil {
		p.print(doctor.Finding{Check: "site-port", Level: doctor.Note, Text: fault.Message(err) + "; publish and serve need another --listen"})
		return
	}
	p.print(doctor.Finding{Check: "site-port", Level: doctor.OK, Text: fmt.Sprintf("%s is free for the site and the tracker, TCP and UDP", c.HTTP)})
}

// throughProxy checks the proxy that carries all connections, if there is one.
func (p *checkup) throughProxy(ctx context.Context) {
	env := p.daemonEnv()
	if env.Proxy() == "" {
		return
	}
	p.print(doctor.ThroughProxy(env.Proxy(), env.CheckProxy(ctx, p.opt.bind.Addr)))
}

// network opens a session, and prints what it finds about its ports, the router and the DHT.
func (p *checkup) network(ctx context.Context) error {
	s, err := p.openSession(&p.opt.session, nil)
	var listen *daemon.ListenError
	if errors.As(err, &listen) {
		p.print(doctor.Finding{Check: "peer-port", Level: doctor.Fail, Text: fault.Message(err), Advice: hintFor(err)})
		return nil
	}
	if err != nil {
		return err
	}
	p.session, p.port = s, s.PeerPort()
	ctx, cancel := context.WithTimeout(ctx, p.opt.timeout)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.AwaitPorts(ctx) })
	wg.Go(func() { s.AwaitDHT(ctx) })
	wg.Wait()
	p.print(s.Network().Findings()...)
	return nil
}
