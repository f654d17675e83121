package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"spate"
	"spate/publish"
)

// zipPath returns the path of the archive with all files of a tree: /z/REF.zip.
func zipPath(ref string) string { return "/z/" + url.PathEscape(ref) + ".zip" }

// zip answers /z/REF.zip with all files of a tree in one archive, for browsers. The archive of a
// release always has the same bytes, so that a download can be resumed with Range.
func (s *Site) zip(w http.ResponseWriter, r *http.Request) {
	ref, ok := strings.CutSuffix(r.PathValue("file"), ".zip")
	if !ok {
		s.noPage(w, r)
		return
	}
	crossOrigin(w.Header())
	rel := s.find(w, r, ref)
	if rel == nil {
		return
	}
	s.setLinks(w.Header(), rel, ref)
	if rel.Single {
		redirect(w, http.StatusSeeOther, s.path(publish.DownloadPath(ref)))
		return
	}
	layout := s.zips.of(rel)
	if layout == nil {
		s.fail(w, r, http.StatusNotFound, "No archive", "A file of this release has a name that is too long for a zip archive.")
		return
	}
	if s.refusePaused(w, r, rel) {
		return
	}
	out := newSender(w, r, s)
	out.slot = s.downloads.enter(out.ctx, s.opts.Wait, s.networkOf(r), out.end)
	if out.slot == nil {
		out.close()
		s.busy(w, r)
		return
	}
	defer out.close()
	out.sent = s.sentBy(rel.Hash())
	s.sendZip(out, r, rel, layout)
}

// sendZip sends the archive of a tree with out.
func (s *Site) sendZip(out *sender, r *http.Request, rel *publish.Release, layout *zipLayout) {
	content := &zipContent{zipLayout: layout, ctx: out.ctx, out: out, sums: s.crcs.of(rel)}
	content.open = func(i int) (*publish.Content, error) { return s.opts.Open(out.ctx, rel, i) }
	defer content.close()
	if off, _, ok := singleRange(r.Header.Get("Range"), layout.size); ok {
		content.off = off
	}
	if len(rel.Files) > 0 {
		_, i, _ := layout.locate(content.off)
		if i = min(i, len(rel.Files)-1); content.use(i) != nil {
			s.refuse(out.ResponseWriter, r, rel, i, content.err)
			return
		}
	}
	out.begun = s.begin(rel)
	h := out.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", disposition(rel.StoredName()+".zip"))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "public, no-cache")
	h.Set("ETag", fmt.Sprintf(`"%s-%x-zip1"`, rel.Hash(), rel.Published.Unix())) // the archive has the time of publishing; another layout needs another number
	s.serve(out, r, rel.Published, content, layout.size)
	if content.err != nil && !errors.Is(content.err, context.Cause(out.ctx)) {
		s.opts.Log.Warn("site: an archive was not sent completely", "release", rel.Name, "err", content.err)
		panic(http.ErrAbortHandler) // break the connection, so that the client does not take the archive for complete
	}
	if whole := out.status == http.StatusOK && out.err == nil && out.total == layout.size && r.Method == http.MethodGet; whole && s.opts.Archive != nil {
		s.opts.Archive(rel.Hash())
	}
}

// zipContent reads an archive. It opens one file of the release at a time.
type zipContent struct {
	*zipLayout
	ctx  context.Context
	out  *sender
	sums *fileSums
	open func(i int) (*publish.Content, error)

	off  int64
	file *publish.Content // file number at, or nil
	at   int
	err  error // the first error of a file

	crc     uint32 // checksum of the first crcEnd bytes of file crcFile
	crcFile int
	crcEnd  int64
}

// Seek implements [io.Seeker].
func (z *zipContent) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += z.off
	case io.SeekEnd:
		off += z.size
	}
	if off < 0 {
		return 0, errors.New("a negative offset in an archive")
	}
	z.off = off
	return off, nil
}

// Read implements [io.Reader].
func (z *zipContent) Read(p []byte) (int, error) {
	switch {
	case z.err != nil:
		return 0, z.err
	case z.off >= z.size:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	part, i, at := z.locate(z.off)
	var n int
	if part == zipData {
		n, z.err = z.readData(p, i, at)
	} else {
		var record []byte
		record, z.err = z.record(part, i)
		n = copy(p, record[min(at, int64(len(record))):])
	}
	z.off += int64(n)
	return n, z.err
}

// record returns a part that is no data.
func (z *zipContent) record(part zipPart, i int) ([]byte, error) {
	switch part {
	case zipHeader:
		return z.header(i), nil
	case zipEnd:
		return z.end(), nil
	}
	crc, err := z.sum(i)
	if err != nil {
		return nil, err
	}
	if part == zipSum {
		return z.descriptor(i, crc), nil
	}
	return z.entry(i, crc), nil
}

// readData reads data of file i from the offset at. It computes the checksum on the way if the whole
// file is read in order.
func (z *zipContent) readData(p []byte, i int, at int64) (int, error) {
	if err := z.use(i); err != nil {
		return 0, err
	}
	if _, err := z.file.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	p = p[:min(int64(len(p)), z.files[i].Length-at)]
	n, err := io.ReadFull(z.file, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("%w: it is shorter", publish.ErrChanged)
	}
	if at == 0 {
		z.crc, z.crcFile, z.crcEnd = 0, i, 0
	}
	if z.crcFile == i && z.crcEnd == at {
		z.crc = crc32.Update(z.crc, crc32.IEEETable, p[:n])
		z.crcEnd += int64(n)
		if z.crcEnd == z.files[i].Length && err == nil && z.file.Check() == nil {
			z.sums.set(i, z.crc)
		}
	}
	return n, err
}

// use opens file i, and closes the one before.
func (z *zipContent) use(i int) error {
	if z.file != nil && z.at == i {
		return nil
	}
	z.close()
	file, err := z.open(i)
	if err != nil {
		z.err = err
		return err
	}
	z.file, z.at, z.out.content = file, i, file
	return nil
}

// close closes the open file.
func (z *zipContent) close() {
	if z.file != nil {
		z.file.Close()
		z.file, z.out.content = nil, nil
	}
}

// sum returns the checksum of file i. It reads the file if no archive has needed the checksum before.
func (z *zipContent) sum(i int) (uint32, error) {
	if sum, ok := z.sums.get(i); ok || z.files[i].Length == 0 {
		return sum, nil
	}
	select {
	case z.sums.reading <- struct{}{}:
		defer func() { <-z.sums.reading }()
	case <-z.ctx.Done():
		return 0, context.Cause(z.ctx)
	}
	if sum, ok := z.sums.get(i); ok {
		return sum, nil
	}
	if err := z.use(i); err != nil {
		return 0, err
	}
	buf := make([]byte, 256<<10)
	for at := int64(0); at < z.files[i].Length; {
		n, err := z.readData(buf, i, at) // it sets the checksum at the end
		if err != nil {
			return 0, err
		}
		if z.ctx.Err() != nil {
			return 0, context.Cause(z.ctx)
		}
		if err := z.out.extend(); err != nil {
			return 0, err
		}
		at += int64(n)
	}
	sum, ok := z.sums.get(i)
	if !ok {
		return 0, cmp.Or(z.file.Check(), publish.ErrChanged)
	}
	return sum, nil
}

// maxSums is the maximum number of files whose checksums a site keeps, besides those of the release that
// was asked for last. They take 5 bytes each.
const maxSums = 4_000_000

// crcs keeps the CRC-32s of the files of archives, so that each file is read once for them. If there are
// too many, it drops those of the releases that were not asked for for the longest time. The zero value
// is empty. It is safe for concurrent use.
type crcs struct {
	mu       sync.Mutex
	releases map[spate.InfoHash]*fileSums
	files    int
	clock    uint64 // number of calls of of
}

// fileSums holds the CRC-32s of the files of one release that are known.
type fileSums struct {
	reading chan struct{} // has room for one, which reads a file for its checksum
	used    uint64        // value of crcs.clock at the last call of of; guarded by crcs.mu

	mu    sync.Mutex
	sums  []uint32
	known []bool
}

// of returns the checksums of rel.
func (c *crcs) of(rel *publish.Release) *fileSums { return c.ofAtMost(rel, maxSums) }

func (c *crcs) ofAtMost(rel *publish.Release, most int) *fileSums {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	f := c.releases[rel.Hash()]
	if f == nil {
		n := len(rel.Files)
		c.trimLocked(most - n)
		if c.releases == nil {
			c.releases = map[spate.InfoHash]*fileSums{}
		}
		f = &fileSums{reading: make(chan struct{}, 1), sums: make([]uint32, n), known: make([]bool, n)}
		c.releases[rel.Hash()], c.files = f, c.files+n
	}
	f.used = c.clock
	return f
}

// trimLocked drops releases until those that are left have at most the given number of files.
func (c *crcs) trimLocked(most int) {
	for c.files > most && len(c.releases) > 0 {
		var oldest spate.InfoHash
		var least *fileSums
		for ih, f := range c.releases {
			if least == nil || f.used < least.used {
				oldest, least = ih, f
			}
		}
		c.files -= len(least.sums)
		delete(c.releases, oldest)
	}
}

func (f *fileSums) get(i int) (uint32, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sums[i], f.known[i]
}

func (f *fileSums) set(i int, sum uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sums[i], f.known[i] = sum, true
}
