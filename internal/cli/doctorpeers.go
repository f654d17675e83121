package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/doctor"
	"spate/internal/reach"
	"spate/metainfo"
	"spate/torrent"
)

// The limits of the download that doctor takes part in, so that peers connect that it can ask.
const (
	doctorRate  = 2 << 10          // bytes a second
	doctorPeers = 30 * time.Second // in which a peer must connect
)

// dialBack asks peers whether they reach this machine. If no daemon runs, it joins the swarm of mi
// to find peers; a nil mi has none.
func (p *checkup) dialBack(ctx context.Context, mi *metainfo.MetaInfo) error {
	if p.opt.bind.Addr.IsLoopback() || p.running {
		return nil
	}
	var d reach.DialBack
	var err error
	switch {
	case p.daemon != nil:
		d, err = p.daemon.DialBack(ctx)
		err = apiError(err)
	case p.session != nil && mi != nil:
		d, err = p.joinSwarm(ctx, mi)
	case p.session == nil:
		return nil // its port was the problem
	}
	if err == nil {
		p.print(doctor.DialBack(d, p.letIn())...)
	}
	return err
}

// letIn says how to let others reach this machine.
func (p *checkup) letIn() string {
	if p.session != nil {
		if s := p.session.Reach(); s.Advice != "" {
			return s.Advice
		}
	}
	return fmt.Sprintf("forward port %d (TCP and UDP) to this machine in the settings of the router, and let it through the firewalls", p.port)
}

// joinSwarm downloads slowly into a temporary directory until a peer that can be asked whether it
// reaches this machine is connected, and asks.
func (p *checkup) joinSwarm(ctx context.Context, mi *metainfo.MetaInfo) (d reach.DialBack, err error) {
	dir, err := atomicfile.MkdirTemp(p.stateDir(p.opt.state))
	if err != nil {
		return d, err
	}
	defer func() {
		p.session.Stop() // closes the files
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	t, err := p.session.Add(mi, torrent.AddOptions{Dir: dir, ResumeDir: dir, NoWebSeeds: true, Up: doctorRate, Down: doctorRate})
	if err != nil {
		return d, err
	}
	p.Notef("looking for peers that can be asked whether they reach this machine")
	ctx, cancel := context.WithTimeout(ctx, min(doctorPeers, p.opt.timeout))
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		d = p.session.DialBack(ctx)
		if len(d.Checks) > 0 {
			return d, nil
		}
		select {
		case <-ctx.Done():
			return d, nil
		case <-tick.C:
		case <-p.late.due():
			t.AddPeers(p.askLate(ctx))
		}
	}
}
