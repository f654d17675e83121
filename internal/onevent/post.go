package onevent

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// waits are the times before the second and each further attempt to post an event.
var waits = [...]time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// maxReply is the number of bytes of a reply that are read.
const maxReply = 64 << 10

// post posts an event to the URL of a rule, and tries again after failures that may pass.
func (r *Runner) post(ctx context.Context, rule *Rule, e *Event, log *slog.Logger) {
	body, err := json.Marshal(e)
	if err != nil {
		log.Warn("an event cannot be posted", "err", err)
		return
	}
	id := "msg_" + rand.Text()
	for attempt := 0; ; attempt++ {
		again, err := r.try(ctx, rule, id, body)
		switch {
		case err == nil:
			log.Info("posted an event", "attempts", attempt+1)
			return
		case ctx.Err() != nil:
			return // the daemon stops
		case !again || attempt == len(waits):
			log.Warn("an event was not posted", "err", err, "attempts", attempt+1)
			return
		}
		log.Debug("an event is posted again later", "err", err, "after", waits[attempt])
		select {
		case <-ctx.Done():
			return
		case <-time.After(waits[attempt]):
		}
	}
}

// try posts a body once. again reports whether a failure may pass. The headers are those of Standard
// Webhooks (www.standardwebhooks.com): all attempts have the same id.
func (r *Runner) try(ctx context.Context, rule *Rule, id string, body []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, rule.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, rule.Post, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	at := strconv.FormatInt(r.opt.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "spate")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", at)
	if rule.Secret != "" {
		req.Header.Set("Webhook-Signature", sign(rule.Secret, id, at, body))
	}
	client := http.Client{Transport: r.opt.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	switch s := resp.StatusCode; {
	case s/100 == 2:
		return false, nil
	case s/100 == 3:
		return false, fmt.Errorf("the server redirects (%s), which is not followed", resp.Status)
	default:
		return s/100 == 5 || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout, fmt.Errorf("the server answers %s", resp.Status)
	}
}

// sign returns the signature of a body by the symmetric scheme of Standard Webhooks. A secret that
// begins with whsec_ is in base64, as that scheme writes it; the bytes of any other are the key.
func sign(secret, id, at string, body []byte) string {
	key := []byte(secret)
	if text, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if k, err := base64.StdEncoding.DecodeString(text); err == nil {
			key = k
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
