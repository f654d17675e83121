package classic

import "context"

// gui runs btdownloadgui. Without a .torrent it opens the client alone; in 2005 it asked for a file.
func (r *run) gui(ctx context.Context) error {
	if len(r.args) == 0 && !r.v.Given("url") && !r.v.Given("responsefile") {
		return r.Open(ctx, "")
	}
	arg, err := r.source()
	if err != nil {
		return err
	}
	return r.Open(ctx, arg)
}
