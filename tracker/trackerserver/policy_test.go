package trackerserver

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"spate/tracker"
)

// TestAdmission checks each reason for a refusal.
func TestAdmission(t *testing.T) {
	s := newServer(t, Options{
		OnlyAllowed: true, DenyNets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
		Policies: []Policy{func(a *Announce) *Refusal {
			if a.Request.Port == 25 {
				return &Refusal{Reason: "not a peer's port", RetryIn: 90 * time.Second}
			}
			return nil
		}},
	})
	_, err := announce(t, s, "192.0.2.1:9", peer(1))
	refusedFor(t, err, "not served")
	if err := s.Allow(testHash, tracker.Note{Name: "x", Warning: "old release"}); err != nil {
		t.Fatal(err)
	}
	r, err := announce(t, s, "192.0.2.1:9", peer(1))
	if err != nil || r.Warning != "old release" {
		t.Errorf("%+v %v", r, err)
	}
	_, err = announce(t, s, "198.51.100.7:9", peer(1))
	refusedFor(t, err, "address")
	mail := peer(1)
	mail.Port = 25
	_, err = announce(t, s, "192.0.2.1:9", mail)
	refusedFor(t, err, "not a peer's port")
	var failure *tracker.FailureError
	errors.As(err, &failure)
	if failure.RetryIn != 2*time.Minute {
		t.Errorf("retry in %v", failure.RetryIn)
	}
	s.Allow(testHash, tracker.Note{Failure: "withdrawn"})
	_, err = announce(t, s, "192.0.2.1:9", peer(1))
	refusedFor(t, err, "withdrawn")
	s.Disallow(testHash)
	_, err = announce(t, s, "192.0.2.1:9", peer(1))
	refusedFor(t, err, "not served")
	if _, ok := s.Note(testHash); ok {
		t.Error("the torrent still has a note")
	}
	s.opts.AllowNets, s.opts.DenyNets = []netip.Prefix{netip.MustParsePrefix("::ffff:198.51.100.0/120")}, nil
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	_, err = announce(t, s, "192.0.2.1:9", peer(1))
	refusedFor(t, err, "address")
	_, err = announce(t, s, "198.51.100.7:9", peer(1))
	refusedFor(t, err, "not served")
	if c := s.Counts(); c.Refused != 7 {
		t.Errorf("%+v", c)
	}
}

// TestRandomHashesAreNotStored checks that refused announces take no memory.
func TestRandomHashesAreNotStored(t *testing.T) {
	s := newServer(t, Options{OnlyAllowed: true, Limit: RateLimit{PerSecond: -1}})
	s.Allow(testHash, tracker.Note{})
	req := peer(1)
	for n := range 10000 {
		req.InfoHash[0], req.InfoHash[1], req.InfoHash[2] = byte(n), byte(n>>8), 0xff
		announce(t, s, "192.0.2.1:9", req)
	}
	if got := s.Store().Totals(); got.Swarms != 1 || got.Peers() != 0 {
		t.Errorf("%+v", got)
	}
}
