package daemon

import (
	"context"

	"spate/internal/filetrust"
)

// AnswerAPI answers the API of a daemon on the socket at path until ctx ends, so that other processes
// can see and use this publisher, which has no folders and keeps its catalog in memory. o gets the
// changes that come from the API. AnswerAPI calls ready once the socket listens.
func (p *Publisher) AnswerAPI(ctx context.Context, path string, answer APIHandler, o Observer, ready func()) error {
	d := &Daemon{Publisher: p, conf: Config{PublisherConfig: p.conf, Socket: path}, started: p.env.Now().UTC(), life: ctx, observer: o}
	if err := removeSocket(path); err != nil {
		return err
	}
	l, err := filetrust.Listen(path)
	if err != nil {
		return err
	}
	ready()
	return serveStreams(ctx, l, answer(d, APIAccess{}))
}
