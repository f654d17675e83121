package catalogdb

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"spate"
	"spate/publish"
)

const countSQL = `INSERT INTO history (hash, day, completed, direct, archives, seed_bytes, http_bytes) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET completed = completed + excluded.completed,
direct = direct + excluded.direct, archives = archives + excluded.archives, seed_bytes = seed_bytes + excluded.seed_bytes, http_bytes = http_bytes + excluded.http_bytes`

// Count implements [publish.Catalog].
func (d *DB) Count(ctx context.Context, ih spate.InfoHash, now time.Time, c publish.Counts) error {
	d.write.Lock()
	defer d.write.Unlock()
	err := d.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, countSQL, ih[:], now.UTC().Format(time.DateOnly), c.Completed, c.Direct, c.Archives, c.SeedBytes, c.HTTPBytes)
		return err
	})
	if err == nil {
		d.addTotal(ih, c)
	}
	return err
}

// addTotal adds c to the total counts of ih.
func (d *DB) addTotal(ih spate.InfoHash, c publish.Counts) {
	d.totalMu.Lock()
	defer d.totalMu.Unlock()
	d.total[ih] = d.total[ih].Add(c)
	if all := (spate.InfoHash{}); ih != all {
		d.total[all] = d.total[all].Add(c)
	}
}

// loadTotals reads the total counts of all info-hashes.
func (d *DB) loadTotals(ctx context.Context) error {
	rows, err := d.sql.QueryContext(ctx, "SELECT hash, SUM(completed), SUM(direct), SUM(archives), SUM(seed_bytes), SUM(http_bytes) FROM history GROUP BY hash")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var ih spate.InfoHash
		var hash sql.RawBytes
		var c publish.Counts
		if err := rows.Scan(&hash, &c.Completed, &c.Direct, &c.Archives, &c.SeedBytes, &c.HTTPBytes); err != nil {
			return err
		}
		copy(ih[:], hash)
		d.addTotal(ih, c)
	}
	return rows.Err()
}

// Total implements [publish.Catalog].
func (d *DB) Total(_ context.Context, ih spate.InfoHash) (publish.Counts, error) {
	d.totalMu.RLock()
	defer d.totalMu.RUnlock()
	return d.total[ih], nil
}

// History implements [publish.Catalog].
func (d *DB) History(ctx context.Context, ih spate.InfoHash, since time.Time) (h publish.History, err error) {
	of, args := "", []any{}
	if !ih.IsZero() {
		of, args = "WHERE hash = ? ", []any{ih[:]}
	}
	rows, err := d.sql.QueryContext(ctx, "SELECT day, SUM(completed), SUM(direct), SUM(archives), SUM(seed_bytes), SUM(http_bytes) FROM history "+
		of+"GROUP BY day ORDER BY day", args...)
	if err != nil {
		return h, fmt.Errorf("catalog: %w", err)
	}
	defer rows.Close()
	first := since.UTC().Format(time.DateOnly)
	for rows.Next() {
		var day publish.Day
		if err := rows.Scan(&day.Date, &day.Completed, &day.Direct, &day.Archives, &day.SeedBytes, &day.HTTPBytes); err != nil {
			return h, fmt.Errorf("catalog: %w", err)
		}
		h.Total = h.Total.Add(day.Counts)
		if since.IsZero() || day.Date >= first {
			h.Days = append(h.Days, day)
		}
	}
	return h, rows.Err()
}

// historyRow is a row of the table history.
type historyRow struct {
	hash []byte
	day  string
	c    publish.Counts
}

// salvage reads as much as possible of the history in a damaged database.
func salvage(ctx context.Context, path string) (out []historyRow) {
	db, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return nil
	}
	defer db.Close()
	const query = "SELECT hash, day, completed, direct, %s, seed_bytes, http_bytes FROM history"
	rows, err := db.QueryContext(ctx, fmt.Sprintf(query, "archives"))
	if err != nil { // an older schema
		rows, err = db.QueryContext(ctx, fmt.Sprintf(query, "0"))
	}
	if err != nil {
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var h historyRow
		if rows.Scan(&h.hash, &h.day, &h.c.Completed, &h.c.Direct, &h.c.Archives, &h.c.SeedBytes, &h.c.HTTPBytes) != nil {
			return out
		}
		if _, err := time.Parse(time.DateOnly, h.day); err == nil && len(h.hash) == 20 && min(h.c.Completed, h.c.Direct, h.c.Archives, h.c.SeedBytes, h.c.HTTPBytes) >= 0 {
			out = append(out, h)
		}
	}
	return out
}

// restoreHistory adds rows to the history of a new database.
func (d *DB) restoreHistory(ctx context.Context, rows []historyRow) error {
	err := d.tx(ctx, func(tx *sql.Tx) error {
		for _, h := range rows {
			if _, err := tx.ExecContext(ctx, countSQL, h.hash, h.day, h.c.Completed, h.c.Direct, h.c.Archives, h.c.SeedBytes, h.c.HTTPBytes); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = d.loadTotals(ctx)
	}
	return err
}
