package catalogdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"spate/publish"
	"spate/publish/publishtest"
)

// counting is a driver.Connector whose connections count the queries.
type counting struct {
	driver driver.Driver
	dsn    string
	n      atomic.Int64
}

func (c *counting) Driver() driver.Driver { return c.driver }

func (c *counting) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	return countingConn{conn, &c.n}, err
}

type countingConn struct {
	driver.Conn
	n *atomic.Int64
}

func (c countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.n.Add(1)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// TestEachReadsInBatches checks that Each needs the same number of statements for one release
// as for 256, and that History is not read for the total counts.
func TestEachReadsInBatches(t *testing.T) {
	t.Parallel()
	d, _ := fresh(t)
	var path string
	if err := d.sql.QueryRow("SELECT file FROM pragma_database_list").Scan(&path); err != nil {
		t.Fatal(err)
	}
	direct := d.sql
	t.Cleanup(func() { direct.Close() })
	c := &counting{driver: direct.Driver(), dsn: dsn(path, "rw")}
	statements := func(releases int) int64 {
		c.n.Store(0)
		seen := 0
		err := d.Each(t.Context(), func(r *publish.Release, _ publish.Torrents) error {
			seen++
			_, err := d.Total(t.Context(), r.Hash())
			return err
		})
		if err != nil || seen != releases {
			t.Fatalf("Each called its function %d times and returned %v, want %d times", seen, err, releases)
		}
		return c.n.Load()
	}
	d.sql = sql.OpenDB(c)
	for _, at := range []struct {
		releases int
		want     int64
	}{{0, 0}, {1, 2}, {2, 2}, {batchReleases, 2}, {batchReleases + 1, 4}} {
		err := d.tx(t.Context(), func(tx *sql.Tx) error { // because Put syncs each release
			for d.index.Revision() < uint64(at.releases) {
				r := publishtest.Release(fmt.Sprint(d.index.Revision()), "1", "", now)
				if err := errors.Join(d.index.Add(r), insert(t.Context(), tx, r, publish.Torrents{Main: []byte("de")})); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := statements(at.releases); got != at.want {
			t.Errorf("Each of %d releases ran %d statements, want %d", at.releases, got, at.want)
		}
	}
}

// TestBatchOf checks the limits of a batch. They bound the memory that Each needs.
func TestBatchOf(t *testing.T) {
	t.Parallel()
	list := func(n, files, torrent, twin int) (out []*publish.Release) {
		for range n {
			out = append(out, &publish.Release{NumFiles: files, TorrentSize: torrent, Twin: publish.Twin{TorrentSize: twin}})
		}
		return out
	}
	for _, c := range []struct {
		list []*publish.Release
		want int
	}{
		{list(1, 1, 1, 1), 1},
		{list(batchReleases, 1, 1, 1), batchReleases},
		{list(batchReleases+1, 1, 1, 1), batchReleases},
		{list(9, batchFiles, 1, 1), 1},
		{list(9, batchFiles+1, 1, 1), 1},
		{list(9, batchFiles/2, 1, 1), 2},
		{list(9, 0, batchTorrents, 0), 1},
		{list(9, 0, 100<<20, 0), 1},
		{list(9, 0, batchTorrents/4, batchTorrents/4), 2},
	} {
		if got := batchOf(c.list); got != c.want {
			t.Errorf("a batch of %d releases with %d files has %d, want %d", len(c.list), c.list[0].NumFiles, got, c.want)
		}
	}
}
