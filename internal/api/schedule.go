package api

import (
	"context"
	"net/http"

	"spate/internal/daemon"
	"spate/internal/schedule"
)

// SetSchedule replaces the windows that requests have set: PUT /v1/schedule.
type SetSchedule struct {
	Windows []schedule.Window `json:"windows"`
}

// ScheduleBackend is the part of a [Backend] with the limits by time.
type ScheduleBackend interface {
	Schedule(ctx context.Context) (daemon.Schedule, error)
	SetSchedule(ctx context.Context, windows []schedule.Window) error
}

func (s *Server) schedule(w http.ResponseWriter, r *http.Request) error {
	v, err := s.backend.Schedule(r.Context())
	return send(w, r, v, err)
}

func (s *Server) setSchedule(w http.ResponseWriter, r *http.Request) error {
	var q SetSchedule
	if err := read(r, &q); err != nil {
		return err
	}
	if q.Windows == nil {
		return &Error{Code: BadRequest, Message: "the request has no windows; write [] for none"}
	}
	if err := s.backend.SetSchedule(r.Context(), q.Windows); err != nil {
		return err
	}
	return s.schedule(w, r)
}

// Schedule implements [ScheduleBackend].
func (b backend) Schedule(context.Context) (daemon.Schedule, error) {
	s, err := b.d.Schedule()
	return s, toAPI(err)
}

// SetSchedule implements [ScheduleBackend].
func (b backend) SetSchedule(_ context.Context, windows []schedule.Window) error {
	return toAPI(b.d.SetSchedule(windows))
}

// Schedule returns the schedule, and what applies now.
func (c *Client) Schedule(ctx context.Context) (s daemon.Schedule, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/schedule", nil, &s)
}

// SetSchedule replaces the windows that requests have set, and returns the schedule.
func (c *Client) SetSchedule(ctx context.Context, windows []schedule.Window) (s daemon.Schedule, err error) {
	return s, c.call(ctx, http.MethodPut, "/v1/schedule", SetSchedule{append([]schedule.Window{}, windows...)}, &s)
}
