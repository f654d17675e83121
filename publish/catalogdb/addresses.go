package catalogdb

import (
	"context"
	"database/sql"

	"spate/publish"
)

// loadAddresses reads which slugs have the nice addresses.
func (d *DB) loadAddresses(ctx context.Context) error {
	rows, err := d.sql.QueryContext(ctx, "SELECT nice, slug FROM addresses")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var nice, slug []byte
		if err := rows.Scan(&nice, &slug); err != nil {
			return err
		}
		d.index.SetAddress(string(nice), string(slug))
	}
	return rows.Err()
}

// storeAddress stores that a slug has a nice address, unless the address is stored. The address is that of
// the first slug to be put, because Open has stored those of all others.
func storeAddress(ctx context.Context, tx *sql.Tx, nice, slug string) error {
	if nice == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO addresses VALUES (?, ?)", []byte(nice), []byte(slug))
	return err
}

// holdAddresses decides which slugs have the nice addresses that an older version of the program, or a
// damaged database, did not store.
func (d *DB) holdAddresses(ctx context.Context) error {
	all, _ := d.index.List(publish.Query{All: true})
	held := map[string]string{}
	for _, r := range all {
		if nice, slug, decided := d.index.HoldAddress(r.Slug); decided {
			held[nice] = slug
		}
	}
	if len(held) == 0 {
		return nil
	}
	return d.tx(ctx, func(tx *sql.Tx) error {
		for nice, slug := range held {
			if err := storeAddress(ctx, tx, nice, slug); err != nil {
				return err
			}
		}
		return nil
	})
}
