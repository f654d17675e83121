package onevent

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spate/internal/fault"
)

// Limits of the rules.
const (
	MaxRules   = 32        // rules of a daemon
	maxTimeout = time.Hour // for one run of a program
)

// Rule says what to do when events happen: run a program, or post the event to a URL.
type Rule struct {
	Events []Kind

	// Run is the absolute path of a program and its arguments. No shell reads them.
	Run []string
	// Post is an http or https URL.
	Post string
	// Secret signs what is posted, by HMAC-SHA256. Empty: it is not signed.
	Secret string
	// Timeout limits one run of the program, or one request. 0: a minute.
	Timeout time.Duration
}

// Check returns an error if the rule cannot work.
func (r *Rule) Check() error {
	if len(r.Events) == 0 {
		return fault.Usagef("event names no event")
	}
	for _, k := range r.Events {
		if !slices.Contains(Kinds[:], k) {
			return fault.UsageHint("the events are "+names(), "there is no event %q", k)
		}
	}
	switch {
	case len(r.Run) == 0 && r.Post == "":
		return fault.Usagef("neither run nor post says what to do")
	case len(r.Run) > 0 && r.Post != "":
		return fault.UsageHint("write a second [[on]] for one of them", "run and post cannot be in one rule")
	case r.Timeout < 0 || r.Timeout > maxTimeout:
		return fault.Usagef("timeout must be positive, and at most an hour")
	}
	if len(r.Run) > 0 {
		return r.checkRun()
	}
	u, err := url.Parse(r.Post)
	if err != nil {
		return fault.Usagef("post: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fault.UsageHint("write http://HOST/PATH or https://HOST/PATH", "post %q is no URL of a web server", r.Post)
	}
	return nil
}

func (r *Rule) checkRun() error {
	if r.Secret != "" {
		return fault.Usagef("secret signs what is posted, and has no meaning for a program")
	}
	if !filepath.IsAbs(r.Run[0]) {
		return fault.UsageHint("write the path from the root, such as /usr/local/bin/"+filepath.Base(r.Run[0]), "run %q is no absolute path of a program", r.Run[0])
	}
	for _, arg := range r.Run {
		if strings.ContainsRune(arg, 0) {
			return fault.Usagef("run contains a zero byte")
		}
	}
	return nil
}

// String describes what the rule does, without the secret and without a password in the URL.
func (r *Rule) String() string {
	if len(r.Run) > 0 {
		return "run " + r.Run[0]
	}
	if u, err := url.Parse(r.Post); err == nil {
		return "post to " + u.Redacted()
	}
	return "post"
}

// names lists the kinds for a hint.
func names() string {
	list := make([]string, len(Kinds))
	for i, k := range Kinds {
		list[i] = string(k)
	}
	return fmt.Sprintf("%s and %s", strings.Join(list[:len(list)-1], ", "), list[len(list)-1])
}
