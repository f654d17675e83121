package daemon

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/portmap"
)

// PortMapConfig configures the mappings of ports at the router.
type PortMapConfig struct {
	Gateway netip.Addr // the router; the zero Addr: that of the default route
	State   string     // the state directory, for the record of permanent mappings

	rules []portmap.Rule // ports of the process besides that of the peers
	site  uint16         // port of the site in rules; 0: none
}

// ports asks the router for the mappings of a process.
type ports struct {
	*portmap.Mapper
	record  *portRecord
	changed chan struct{} // contains an element after a change of the status
}

// openPorts returns the mapper of a process that listens for peers on a port, or nil if no router
// can map it: the process is bound to loopback, or no peer can connect. If noTCP is set, peers
// connect by uTP only, and no TCP port for peers is mapped.
func (e *Env) openPorts(c *PortMapConfig, bind netip.Addr, peerPort uint16, noTCP bool) (*ports, error) {
	if c == nil || peerPort == 0 || bind.IsLoopback() {
		return nil, nil
	}
	p := &ports{record: e.openPortRecord(filepath.Join(c.State, "ports")), changed: make(chan struct{}, 1)}
	m, err := portmap.New(portmap.Options{
		Bind: bind, Gateway: c.Gateway, Key: p.record.Key, Stale: p.record.Permanent, Keep: p.record.keep,
		Log: e.Log, OnChange: func(portmap.Status) { p.signal() },
	})
	if err != nil {
		p.record.close()
		return nil, fault.WithSetting(fault.Usagef("ports cannot be mapped: %w", err), "gateway")
	}
	p.Mapper = m
	for _, r := range c.allRules(peerPort, noTCP) {
		if err := m.Map(r); err != nil {
			p.record.close()
			return nil, err
		}
	}
	return p, nil
}

// allRules returns the ports that the router is asked for.
func (c *PortMapConfig) allRules(peerPort uint16, noTCP bool) []portmap.Rule {
	protocols := portmap.TCP | portmap.UDP
	if noTCP {
		protocols = portmap.UDP
	}
	return append([]portmap.Rule{{Protocols: protocols, Internal: peerPort}}, c.rules...)
}

// signal says that the status has changed.
func (p *ports) signal() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Run keeps the ports mapped until ctx ends.
func (p *ports) Run(ctx context.Context) error {
	defer p.record.close()
	return p.Mapper.Run(ctx)
}

// settle waits until the router has answered or turned out not to, at most for a time.
func (p *ports) settle(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-p.Settled():
	case <-ctx.Done():
	}
}

// AwaitPorts waits until the router has mapped the ports or turned out not to, at most four
// seconds, so that the first announces contain the external port.
func (s *Session) AwaitPorts(ctx context.Context) {
	if s.ports != nil {
		s.ports.settle(ctx, settleTime)
		s.advertise()
	}
}

// advertise tells the engine the port at which the router passes connections to it.
func (s *Session) advertise() {
	if s.ports == nil {
		return
	}
	s.SetAdvertisedPort(s.mapped().Reached(s.peerProtocol(), s.PeerPort()).Port())
}

// peerProtocol returns the protocol by whose port others can reach this process as a peer. uTP uses
// the UDP port of the same number as TCP.
func (s *Session) peerProtocol() portmap.Protocol {
	if s.noTCP {
		return portmap.UDP
	}
	return portmap.TCP
}

// mapped returns the mappings of IPv4. Its external address is that which others see if the router
// names a false one ([sightings]).
func (s *Session) mapped() portmap.Family {
	f, _ := s.mappedOrSeen()
	return f
}

// mappedOrSeen returns the mappings of IPv4 as [Session.mapped] does. If others see another address
// and it is unknown which is right, it also returns that other address.
func (s *Session) mappedOrSeen() (f portmap.Family, other netip.Addr) {
	if s.ports == nil {
		return portmap.Family{}, netip.Addr{}
	}
	f = s.ports.Status().IPv4
	if f.External.IsValid() && !f.BehindNAT() {
		a := s.seen.judge(f.External, s.seenByNodes(), s.ReachedAt, s.env.Now())
		f.External, other = a.use, a.other
	}
	return f, other
}

// namedByRouter returns the external IPv4 address that the router names, or the zero Addr.
func (s *Session) namedByRouter() netip.Addr {
	if s.ports == nil {
		return netip.Addr{}
	}
	return s.ports.Status().IPv4.External
}

// portRecord is the part of the mappings that a crash must not lose: the key of PCP, and the
// mappings that a router keeps until they are removed. Each process of a state directory uses
// another file.
type portRecord struct {
	Key       []byte              `json:"key"`
	Permanent []portmap.Permanent `json:"permanent,omitempty"`

	env  *Env
	path string
	lock *os.File // nil: nothing is recorded

	mu sync.Mutex // guards the file
}

const (
	maxPortRecords = 16      // processes of a state directory that record their mappings
	maxPortRecord  = 1 << 16 // bytes of a record
)

// openPortRecord opens the first record in a directory that no other process uses. Without one
// the mappings are made, but not recorded.
func (e *Env) openPortRecord(dir string) *portRecord {
	r := &portRecord{env: e}
	for i := range maxPortRecords {
		path := filepath.Join(dir, fmt.Sprintf("%d.json", i))
		lock, err := LockFile(filepath.Join(dir, fmt.Sprintf("%d.lock", i)), "the record of mapped ports")
		if errors.Is(err, ErrLocked) {
			continue
		}
		if err != nil {
			e.Log.Debug("mapped ports are not recorded", "err", err)
			return r
		}
		r.path, r.lock = path, lock
		err = atomicfile.Load(path, maxPortRecord, func(b []byte) error { return json.Unmarshal(b, r) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			e.Warnf("the record of mapped ports is lost: %v", err)
		}
		break
	}
	if len(r.Key) < 16 && r.lock != nil {
		r.Key = make([]byte, 16)
		rand.Read(r.Key)
		r.keep(r.Permanent)
	}
	return r
}

// keep records the permanent mappings.
func (r *portRecord) keep(list []portmap.Permanent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lock == nil {
		return
	}
	r.Permanent = list
	b, err := json.Marshal(r)
	if err == nil {
		err = atomicfile.Write(r.path, b)
	}
	if err != nil {
		r.env.Log.Warn("mapped ports are not recorded", "err", err)
	}
}

func (r *portRecord) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lock != nil {
		r.lock.Close()
		r.lock = nil
	}
}
