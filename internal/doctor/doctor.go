// Package doctor checks what keeps others from downloading from this machine, and what is wrong
// with a torrent, its trackers and its web servers. The functions that judge are pure: they get
// facts and return findings. Probes collect the facts from this machine (probe.go) or from
// servers (tracker.go, web.go, webseed.go). The text of a finding can contain words of servers;
// the caller escapes it before it prints it.
package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/sockerr"
	"spate/tracker"
	"spate/tracker/trackerclient"
)

// Level says how bad a finding is.
type Level string

// The levels, from good to bad.
const (
	OK   Level = "ok"   // as it should be
	Note Level = "note" // worth knowing, or not checked; nothing has to be done
	Warn Level = "warn" // it works, but something should be done
	Fail Level = "fail" // it does not work
)

// Finding is the result of a check.
type Finding struct {
	Check   string `json:"check"`             // name of the check, such as "clock"
	Subject string `json:"subject,omitempty"` // the URL, host or path that was checked; absent: this machine
	Level   Level  `json:"level"`
	Text    string `json:"text"`
	Advice  string `json:"advice,omitempty"` // what to do

	noSeed bool // whether it is the answer of a tracker that knows no seed
}

// String returns the text and the advice in one line.
func (f Finding) String() string {
	s := f.Text
	if f.Subject != "" {
		s = f.Subject + ": " + s
	}
	if f.Advice != "" {
		s += "; " + f.Advice
	}
	return s
}

// ToDo returns the findings after which something should be done.
func ToDo(list []Finding) (out []Finding) {
	for _, f := range list {
		if f.Level == Warn || f.Level == Fail {
			out = append(out, f)
		}
	}
	return out
}

// about returns a finding of a check. A finding without a level is OK.
func about(check, subject, format string, args ...any) Finding {
	return Finding{Check: check, Subject: subject, Level: OK, Text: fmt.Sprintf(format, args...)}
}

// as returns the finding with another level and advice.
func (f Finding) as(level Level, advice string) Finding {
	f.Level, f.Advice = level, advice
	return f
}

// failed returns the finding about an error of a request to a server. text says what failed.
func failed(check, subject, text string, err error, now time.Time) Finding {
	why, advice := explain(err, now)
	return about(check, subject, "%s: %s", text, why).as(Fail, advice)
}

// explain returns the reason of an error of a connection or a request, and what to do about it.
func explain(err error, now time.Time) (why, advice string) {
	var (
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		dns     *net.DNSError
		failure *tracker.FailureError
		answer  *trackerclient.AnswerError
		silence *trackerclient.SilenceError
		address *netguard.AddressError
		timeout net.Error
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && now.Before(invalid.Cert.NotBefore):
		return "its certificate is not valid before " + day(invalid.Cert.NotBefore), "check the clocks of this machine and of the server"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return "its certificate expired on " + day(invalid.Cert.NotAfter), "its operator must renew the certificate"
	case errors.As(err, &name):
		return name.Error(), "its operator must get a certificate for this name, or the URL must have the name of the certificate"
	case errors.As(err, &unknown):
		return "its certificate is from an authority that is not trusted", "its operator must install the intermediate certificates or a certificate of a public authority; SSL_CERT_FILE names a file of trusted ones"
	case fault.IsUntrusted(err):
		return "its certificate cannot be verified: " + fault.Message(err), "its operator must get another certificate"
	case errors.As(err, &failure):
		return "it refused: " + failure.Reason, "ask its operator, or remove the tracker: spate edit"
	case errors.As(err, &answer):
		return answer.Error(), "check that the URL is a tracker's and that its path is right"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name " + dns.Name + " has no address", "correct or remove the URL: spate edit"
	case errors.As(err, &dns):
		return "the name " + dns.Name + " could not be resolved", "check the name servers of this machine"
	case errors.As(err, &address):
		return address.Error(), "use a URL that other machines reach"
	case sockerr.Is(err, syscall.ECONNREFUSED):
		return "connection refused", "check that the server runs, and check the port"
	case errors.As(err, &silence), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time", "check that the server runs, and that a firewall lets requests through"
	case sockerr.Is(err, syscall.ENETUNREACH), sockerr.Is(err, syscall.EHOSTUNREACH):
		return "no route leads there", "check the connection of this machine"
	case errors.Is(err, fs.ErrPermission):
		return fault.Message(err), "check the firewall of this machine"
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the finding names the URL
	}
	return fault.Message(err), "check the server"
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Report are the findings of a check.
type Report struct {
	Checked  time.Time `json:"checked"`
	Findings []Finding `json:"findings"`
}
