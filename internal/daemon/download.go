package daemon

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/stall"
	"spate/internal/termsafe"
	"spate/internal/units"
	"spate/maker"
	"spate/metainfo"
	"spate/storage"
	"spate/torrent"
	"spate/tracker/trackerclient"
)

// HopelessTime is how long a download waits if all trackers fail, no peer is known, and the
// session does not look for peers itself ([Session.Searches]).
const HopelessTime = 30 * time.Second

// Searches reports whether the session looks for peers without trackers, in the DHT or on the local
// network. A peer can announce itself there at any time, so that a download waits for it until its
// own limit.
func (s *Session) Searches() bool { return s.DHT || s.Local }

// MetadataConfig configures how the metadata of a magnet link is fetched.
type MetadataConfig struct {
	Arg     string           // the link as the user gave it
	Peers   []netip.AddrPort // peers to ask besides those of the link and of the trackers
	Timeout time.Duration    // 0: no timeout
	// Waiting is called with the name of the torrent and each new cause for which no peer has
	// sent it yet. It may be nil.
	Waiting func(name string, why stall.Reason)
}

// FetchMetadata fetches the torrent of a magnet link from peers. It also returns the peers that
// sent it.
func (s *Session) FetchMetadata(ctx context.Context, link metainfo.Magnet, c MetadataConfig) (*metainfo.MetaInfo, []netip.AddrPort, error) {
	s.addNodes(link.Peers) // peers have their DHT node at the same port
	if len(link.Trackers)+len(link.Peers)+len(c.Peers) == 0 && !s.Searches() {
		return nil, nil, fault.WithSetting(fault.New(fault.NoPeers, "give the .torrent file",
			"%s: the link names no tracker to ask for peers", termsafe.Clip(c.Arg, 70)), "peer")
	}
	mctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		mctx, cancel = context.WithTimeout(mctx, c.Timeout)
		defer cancel()
	}
	name := link.Name
	if name == "" {
		name = link.Hash().String()
	}
	s.env.Notef("%s: asking peers for the torrent", termsafe.Clip(name, 70))
	search := &metadataSearch{
		name: termsafe.Clip(name, 70), trackers: min(trackerclient.MaxTrackers, len(slices.Compact(slices.Sorted(slices.Values(link.Trackers))))),
		dht: func() stall.DHT { return s.SearchInDHT(link.Hash()) }, port: stall.Port(s.Session), began: s.env.Now(), told: map[stall.Cause]bool{},
	}
	hopeless := false
	mi, peers, err := s.Session.FetchMetadata(mctx, link, torrent.MetadataOptions{Peers: c.Peers, Watch: func(st torrent.MetadataStats) {
		if search.news(&st, s.env.Now()) && c.Waiting != nil {
			c.Waiting(search.name, search.why)
		}
		hopeless = !s.Searches() && len(link.Peers)+len(c.Peers) == 0 && search.hopeless(&st)
		if c.Timeout > 0 && hopeless && s.env.Now().Sub(search.began) >= min(HopelessTime, c.Timeout) {
			stop(errHopeless)
		}
	}})
	switch {
	case err != nil && hopeless && mctx.Err() != nil && ctx.Err() == nil:
		return nil, nil, fault.WithSetting(fault.New(fault.NoPeers, "try again later", "%s: no peers: %s", search.name, search.why.Text), "peer")
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, nil, fault.WithSetting(fault.New(fault.NoPeers, "try again later",
			"%s: no peer sent the torrent in %s: %s", search.name, units.Duration(c.Timeout), search.why.Text), "timeout")
	case errors.Is(err, torrent.ErrMetadata):
		return nil, nil, &fault.Error{Code: fault.BadData, Err: err}
	}
	return mi, peers, err
}

// errHopeless ends a search for metadata that nothing can help.
var errHopeless = errors.New("all trackers fail and no peer is known")

// metadataSearch follows a search for metadata, to tell the user why it takes long.
type metadataSearch struct {
	name     string
	trackers int // number of trackers that the link names
	dht      func() stall.DHT
	port     uint16 // port at which peers can connect
	began    time.Time
	why      stall.Reason
	told     map[stall.Cause]bool // the causes that the user has read
}

// Times after which the user reads why a search takes long.
const (
	tellSearch  = 10 * time.Second
	tellFailure = 2 * time.Second // the same, if all trackers fail
)

// news updates the reason. It reports whether the user should read it now: if the cause is new and
// the search has taken some time.
func (m *metadataSearch) news(st *torrent.MetadataStats, now time.Time) bool {
	m.why = stall.OfSearch(&stall.Search{MetadataStats: *st, DHT: m.dht(), Named: m.trackers, Port: m.port})
	after := tellSearch
	if m.hopeless(st) {
		after = tellFailure
	}
	if m.told[m.why.Cause] || m.why.Cause == stall.Trying || now.Sub(m.began) < after {
		return false
	}
	m.told[m.why.Cause] = true
	return true
}

// hopeless reports whether all trackers of the link have failed and no peer is known.
func (m *metadataSearch) hopeless(st *torrent.MetadataStats) bool {
	answers := func(t torrent.TrackerStats) bool { return t.Err == nil }
	return st.Peers+st.Known == 0 && m.trackers > 0 && len(st.Trackers) >= m.trackers && !slices.ContainsFunc(st.Trackers, answers)
}

// DownloadConfig configures the download of a torrent.
type DownloadConfig struct {
	State string // directory of resume data and locks
	// ResumeDir is the directory of the resume data; empty: one in State, which depends on the path.
	ResumeDir string
	Dir       string // directory that will contain the data
	Name      string // name of the data in Dir
	// Paths are the paths of renamed files, see [torrent.AddOptions].
	Paths map[int]string

	Force bool // overwrite files with other data
	// Reuse selects the files that are copied from elsewhere below Dir if their data is there under
	// another path; nil: none.
	Reuse func(path []string) bool

	Within     string           // directory that the data must be inside of even if links lead out of it; empty: no limit
	PlainSeed  bool             // do not super-seed
	Sequential bool             // fetch the pieces in order
	Peers      []netip.AddrPort // peers to connect to besides those of trackers
	Up, Down   int64            // limits in bytes a second; 0: none
}

// Download is the download of a torrent.
type Download struct {
	MetaInfo *metainfo.MetaInfo
	Path     string           // path of the data
	Verified bool             // all data is complete
	Before   int64            // bytes that earlier runs received
	Torrent  *torrent.Torrent // nil before [Download.Start]

	conf  DownloadConfig
	claim Claim
}

// PrepareDownload claims the path of the data, checks existing data, and copies files that are
// elsewhere in the directory. It keeps data from an
// earlier run or another client. It returns an error with the code [fault.Exists] if there is
// other data and Force is not set. progress starts the display of a check, and the function
// finish ends it. [Download.Release] releases the claim.
func PrepareDownload(ctx context.Context, env *Env, mi *metainfo.MetaInfo, c DownloadConfig, progress func() (update func(done, total int64), finish func())) (*Download, error) {
	c.Name = undecodedName(mi, c)
	d := &Download{MetaInfo: mi, Path: filepath.Join(c.Dir, c.Name), conf: c}
	var err error
	if d.claim, err = env.ClaimData(c.State, c.Dir, c.Name, mi.Hash(), true); err != nil {
		return nil, err
	}
	if d.conf.ResumeDir == "" {
		d.conf.ResumeDir = d.claim.ResumeDir
	}
	if d.Verified, err = d.check(ctx, env, progress); err == nil && !d.Verified {
		err = d.reuse(ctx, env, progress)
	}
	if err != nil {
		d.Release()
		return nil, err
	}
	return d, nil
}

// undecodedName returns the name of the data in c.Dir: the name without the charset of the torrent
// if the data was downloaded under that name, as from a magnet link or by an earlier release.
func undecodedName(mi *metainfo.MetaInfo, c DownloadConfig) string {
	if !mi.Info.Decoded() || c.Name != mi.Info.Name {
		return c.Name
	}
	if _, err := os.Lstat(filepath.Join(c.Dir, c.Name)); !errors.Is(err, fs.ErrNotExist) {
		return c.Name
	}
	others := mi.OtherNames()
	if len(others) == 0 {
		return c.Name
	}
	if _, err := os.Lstat(filepath.Join(c.Dir, others[0])); err != nil {
		return c.Name
	}
	return others[0]
}

// Release releases the claim on the path.
func (d *Download) Release() { d.claim.Release() }

// Start adds the torrent to a session. selected selects files by their path; nil selects all.
func (d *Download) Start(s *Session, selected func([]string) bool) error {
	c := &d.conf
	add := torrent.AddOptions{
		ResumeDir: c.ResumeDir, Within: c.Within, Verified: d.Verified, PlainSeed: c.PlainSeed, Sequential: c.Sequential, Paths: c.Paths,
		Force: c.Force, Select: selected, Peers: c.Peers, Up: c.Up, Down: c.Down,
	}
	var err error
	if add.Dir, err = filepath.Abs(c.Dir); err != nil {
		return err
	}
	if c.Name != d.MetaInfo.Info.Name {
		add.Name = c.Name
	}
	d.Torrent, err = s.Add(d.MetaInfo, add)
	return err
}

// check checks the data at the path. It returns true if the data is complete.
func (d *Download) check(ctx context.Context, env *Env, progress func() (update func(done, total int64), finish func())) (verified bool, err error) {
	known := false
	rec, err := storage.LoadResume(d.conf.ResumeDir, d.MetaInfo.Hash())
	var damaged *storage.CorruptError
	if errors.As(err, &damaged) {
		env.Warnf("%v; the data is checked", err)
		known = true // an earlier run has written to this path
	}
	if err == nil {
		if errors.As(rec.Recovered, &damaged) {
			env.Warnf("%v; an older record is used", rec.Recovered)
		}
		if abs, err := filepath.Abs(d.Path); err == nil && abs == filepath.Join(rec.Dir, cmp.Or(rec.Name, d.MetaInfo.Info.Name)) {
			known, d.Before = true, rec.Downloaded
		}
	}
	info, err := os.Stat(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch {
	case d.MetaInfo.Info.Single() && info.IsDir():
		return false, exists("output", "%s exists and is a directory", d.Path)
	case !d.MetaInfo.Info.Single() && !info.IsDir():
		return false, exists("output", "%s exists and is not a directory", d.Path)
	}
	if known || !d.hasData() {
		return false, nil
	}
	update, finish := progress()
	defer finish()
	report, err := d.verify(ctx, func(p maker.Progress) { update(p.Done, p.Total) })
	switch {
	case err != nil:
		return false, err
	case report.Good == report.Pieces && report.Whole():
		return true, nil
	case report.Good == 0 && (report.Bad > 0 || report.Zeros == 0) && !d.conf.Force:
		return false, exists("output-force", "%s exists and is not a part of this torrent", d.Path)
	}
	env.Notef("%s: %s already complete", d.Path, units.PartIs(report.Good, report.Pieces, "piece", "is", "are"))
	return false, nil
}

// exists returns an error about an existing file or directory at the path.
func exists(setting, format string, args ...any) error {
	return fault.WithSetting(fault.New(fault.Exists, "move it away", format, args...), setting)
}

// verify checks the data at the path. If Within is set, it reads nothing outside of that
// directory.
func (d *Download) verify(ctx context.Context, progress func(maker.Progress)) (*maker.Report, error) {
	o := maker.VerifyOptions{Progress: progress}
	if d.conf.Within == "" {
		return maker.Verify(ctx, d.MetaInfo, d.Path, o)
	}
	rel, err := filepath.Rel(d.conf.Within, d.Path)
	if err != nil {
		return nil, err
	}
	if o.Root, err = folder.OpenRoot(d.conf.Within); err != nil {
		return nil, err
	}
	defer o.Root.Close()
	return maker.Verify(ctx, d.MetaInfo, rel, o)
}

// hasData reports whether a file of the torrent exists and is not empty. It follows no link out
// of the path.
func (d *Download) hasData() bool {
	if d.MetaInfo.Info.Single() {
		info, err := os.Lstat(d.Path)
		return err == nil && info.Size() > 0
	}
	root, err := folder.OpenRoot(d.Path)
	if err != nil {
		return false
	}
	defer root.Close()
	for i := range d.MetaInfo.Info.Files {
		f := &d.MetaInfo.Info.Files[i]
		if f.Pad() || f.Length == 0 {
			continue
		}
		if info, err := root.Lstat(filepath.Join(f.Path...)); err == nil && info.Size() > 0 {
			return true
		}
	}
	return false
}

// SelectedByLink returns the selection of a magnet link (BEP 53), or nil if the link selects
// nothing.
func SelectedByLink(mi *metainfo.MetaInfo, link metainfo.Magnet) (func([]string) bool, error) {
	if link.Select == nil {
		return nil, nil
	}
	chosen := map[string]bool{}
	for i := range mi.Info.Files {
		if f := &mi.Info.Files[i]; !f.Pad() && link.Selected(i) {
			chosen[strings.Join(f.Path, "/")] = true
		}
	}
	if len(chosen) == 0 {
		return nil, fault.WithSetting(fault.New(fault.NotFound, "", "the link selects no file of %q", mi.Info.Name), "select")
	}
	return func(path []string) bool { return chosen[strings.Join(path, "/")] }, nil
}

// TransferError adds a code and a hint to the error that halted a torrent.
func TransferError(err error) error {
	coded := func(code fault.Code, hint string) error { return &fault.Error{Code: code, Err: err, Hint: hint} }
	switch {
	case errors.Is(err, storage.ErrFull):
		return coded(fault.DiskFull, "free disk space and run the same command again to resume")
	case errors.Is(err, storage.ErrLonger):
		return fault.WithSetting(coded(fault.Exists, "move it away"), "output-cut")
	case errors.Is(err, storage.ErrObstructed):
		return fault.WithSetting(coded(fault.Exists, "move it away"), "output")
	case errors.Is(err, storage.ErrName), errors.Is(err, storage.ErrTooLarge):
		return fault.WithSetting(coded(fault.Unset, ""), "output-name")
	case errors.Is(err, torrent.ErrGone):
		return fault.WithSetting(coded(fault.NotFound, "mount its disk"), "output-anew")
	case errors.Is(err, storage.ErrMissing):
		return coded(fault.NotFound, "check that its disk is mounted")
	case errors.Is(err, storage.ErrReadOnly), errors.Is(err, storage.ErrDenied):
		return fault.WithSetting(coded(fault.Unset, "change its permissions"), "output")
	case errors.Is(err, storage.ErrInUse):
		return coded(fault.Exists, "")
	}
	return err
}
