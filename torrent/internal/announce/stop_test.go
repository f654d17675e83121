package announce

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"spate"
	"spate/discovery"
	"spate/tracker"
)

// slowClient is an answersByURL whose announces take some time.
type slowClient struct {
	answersByURL
	took time.Duration
}

func (c *slowClient) AnnounceLate(ctx context.Context, url string, req *tracker.AnnounceRequest, _ func(discovery.Candidate)) (*tracker.AnnounceResponse, error) {
	resp, err := c.Announce(ctx, url, req)
	select {
	case <-time.After(c.took):
		return resp, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// refuses makes the trackers at urls refuse announces, and all others answer.
func (c *slowClient) refuses(urls ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = map[string]error{}
	for _, url := range urls {
		c.errs[url] = errors.New("refused")
	}
}

// TestHaltsSayStopped checks that each tracker that lists a swarm, or may list it, is told when
// the swarm stops, and that a swarm that goes on says "started".
func TestHaltsSayStopped(t *testing.T) {
	const a, b = "a", "b" // trackers
	for name, c := range map[string]struct {
		took time.Duration // time that an announce takes
		idle bool          // the swarm is not started before do
		do   func(*Scheduler, []*Swarm, *slowClient)
		want []string
	}{
		"stop": {
			do:   func(s *Scheduler, w []*Swarm, _ *slowClient) { time.Sleep(time.Second); s.Stop(w) },
			want: []string{"started a", "stopped a"},
		},
		"stop twice": {
			do:   func(s *Scheduler, w []*Swarm, _ *slowClient) { time.Sleep(time.Second); s.Stop(w); s.Stop(w) },
			want: []string{"started a", "stopped a"},
		},
		"halt and start": {
			do: func(s *Scheduler, w []*Swarm, _ *slowClient) {
				time.Sleep(time.Second)
				s.Halt(w)
				time.Sleep(time.Second)
				s.Start(w, 0, 0)
				time.Sleep(time.Minute)
				s.Stop(w)
			},
			want: []string{"started a", "stopped a", "started a", "stopped a"},
		},
		"halt and start at once": {
			do: func(s *Scheduler, w []*Swarm, _ *slowClient) {
				time.Sleep(time.Second)
				s.Halt(w)
				s.Start(w, 0, 0)
				time.Sleep(time.Minute)
				s.Stop(w)
			},
			want: []string{"started a", "stopped a", "started a", "stopped a"},
		},
		"stop before the answer": {
			took: 3 * time.Second,
			do:   func(s *Scheduler, w []*Swarm, _ *slowClient) { time.Sleep(time.Second); s.Stop(w) },
			want: []string{"started a", "stopped a"},
		},
		"halt before the answer, and start": {
			took: 3 * time.Second,
			do: func(s *Scheduler, w []*Swarm, _ *slowClient) {
				time.Sleep(time.Second)
				s.Halt(w)
				s.Start(w, 0, 0)
				time.Sleep(time.Minute)
				s.Stop(w)
			},
			want: []string{"started a", "stopped a", "started a", "stopped a"},
		},
		"two trackers list the swarm": {
			do: func(s *Scheduler, w []*Swarm, c *slowClient) {
				time.Sleep(time.Second)
				c.refuses(a)
				time.Sleep(45 * time.Minute)
				c.refuses()
				s.Stop(w)
			},
			want: []string{"started a", "regular a", "started b", "stopped b", "stopped a"},
		},
		"trackers that refuse": {
			idle: true,
			do: func(s *Scheduler, w []*Swarm, c *slowClient) {
				c.refuses(a, b)
				s.Start(w, 0, 0)
				time.Sleep(time.Second)
				s.Stop(w)
			},
			want: []string{"started a", "started b"},
		},
		"a search after the answer": {
			idle: true,
			do: func(s *Scheduler, w []*Swarm, _ *slowClient) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				s.Poll(ctx, b, spate.InfoHash{9}, &fakeTorrent{})
				s.Leave()
			},
			want: []string{"started b", "stopped b"},
		},
		"a search before the answer": {
			took: 3 * time.Second,
			idle: true,
			do: func(s *Scheduler, w []*Swarm, _ *slowClient) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				s.Poll(ctx, b, spate.InfoHash{9}, &fakeTorrent{})
				s.Leave()
			},
			want: []string{"started b", "stopped b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &slowClient{took: c.took}
				s, end := process(t, client, "", 6881)
				defer end()
				w := swarmOf(&fakeTorrent{left: 1}, []string{a}, []string{b})
				if !c.idle {
					s.Start(w, 0, 0)
				}
				c.do(s, w, client)
				var got []string
				for _, one := range client.take() {
					got = append(got, cmp.Or(one.event.String(), "regular")+" "+one.url)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("announced %q, want %q", got, c.want)
				}
			})
		})
	}
}
