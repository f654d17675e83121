package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestDaemonHangs checks that every request to a daemon that accepts connections but does not
// answer, or stops in the middle of an answer, ends with an error about that.
func TestDaemonHangs(t *testing.T) {
	t.Parallel()
	nothing := func(Event) error { return nil }
	requests := map[string]func(context.Context, *Client) error{
		"status":   func(ctx context.Context, c *Client) error { _, err := c.Status(ctx); return err },
		"releases": func(ctx context.Context, c *Client) error { _, err := c.Releases(ctx, List{}); return err },
		"release":  func(ctx context.Context, c *Client) error { _, err := c.Release(ctx, "x"); return err },
		"peers":    func(ctx context.Context, c *Client) error { _, err := c.Peers(ctx, "x"); return err },
		"withdraw": func(ctx context.Context, c *Client) error { return c.Withdraw(ctx, "x") },
		"change":   func(ctx context.Context, c *Client) error { return c.Change(ctx, "x", Change{}) },
		"backup":   func(ctx context.Context, c *Client) error { return c.Backup(ctx, "/x") },
		"copy":     func(ctx context.Context, c *Client) error { return c.ReadBackup(ctx, io.Discard) },
		"dialback": func(ctx context.Context, c *Client) error { _, err := c.DialBack(ctx); return err },
		"publish":  func(ctx context.Context, c *Client) error { return c.Publish(ctx, Publish{}, nothing) },
		"watch": func(ctx context.Context, c *Client) error {
			return c.Watch(ctx, time.Second, func(Snapshot) error { return nil })
		},
	}
	for name, half := range map[string]string{"no answer": "", "only a status line": "HTTP/1.1 200 OK\r\n", "half an answer": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"} {
		dir, err := os.MkdirTemp("", "spate") // the path of a socket must be short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		l, err := net.Listen("unix", filepath.Join(dir, SocketName))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { conn.Close() })
				go func() {
					conn.Read(make([]byte, 1))
					conn.Write([]byte(half))
				}()
			}
		}()
		for what, ask := range requests {
			if name == "half an answer" && (what == "withdraw" || what == "change" || what == "backup") {
				continue // the status is all that they read
			}
			t.Run(name+"/"+what, func(t *testing.T) {
				c := New(dir)
				c.limit = 10 * time.Millisecond
				c.http.Transport.(*http.Transport).DisableKeepAlives = true
				var silence *SilenceError
				if err := ask(t.Context(), c); !errors.As(err, &silence) || silence.Where != filepath.Join(dir, SocketName) {
					t.Errorf("got %v, want a SilenceError", err)
				}
			})
		}
	}
}
