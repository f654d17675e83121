// Package proxy connects through proxies: SOCKS5 (RFC 1928, 1929) and HTTP CONNECT (RFC 9110,
// 9.3.6). [Outgoing] says which connections go through which proxy. A proxy gets the names of hosts as
// they are, so that this machine asks no name server for them.
//
// What cannot go through a proxy is an error. Nothing in this package falls back to a direct
// connection.
package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// The ports of proxies whose URL has none.
const (
	socksPort = "1080"
	httpPort  = "8080"
)

// maxCredential is the longest user name or password of SOCKS5 in bytes (RFC 1929).
const maxCredential = 255

// Is reports whether text is meant as the URL of a proxy: it has a scheme.
func Is(text string) bool { return strings.Contains(text, "://") }

// Parse parses the URL of a proxy: socks5://, socks5h:// or http://, with a user name and a password if
// the proxy needs them, and without a path. SOCKS5 proxies always resolve the names of hosts, so that
// socks5h means the same as socks5. The result always has a port. No error contains a user name or a password.
func Parse(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("the URL of the proxy cannot be parsed; special characters of a password are written as %XX")
	}
	u.Scheme = strings.ToLower(u.Scheme)
	port := httpPort
	switch u.Scheme {
	case "socks5", "socks5h":
		u.Scheme, port = "socks5", socksPort
	case "http":
	default:
		return nil, fmt.Errorf("a proxy of the scheme %.20q is not supported; the schemes are socks5, socks5h and http", u.Scheme)
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return nil, errors.New("the URL of the proxy has no host")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL of the proxy has a path; it ends after the port")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errors.New("the port of the proxy is not a number from 1 to 65535")
		}
		port = p
	}
	name, password := credentials(u)
	if len(name) > maxCredential || len(password) > maxCredential || u.Scheme == "socks5" && u.User != nil && (name == "" || password == "" && hasPassword(u)) {
		return nil, errors.New("the user name and the password of a proxy have 1 to 255 bytes each")
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: net.JoinHostPort(u.Hostname(), port)}, nil
}

func hasPassword(u *url.URL) bool {
	_, ok := u.User.Password()
	return ok
}

// credentials returns the user name and the password in a URL, or "".
func credentials(u *url.URL) (name, password string) {
	if u.User == nil {
		return "", ""
	}
	password, _ = u.User.Password()
	return u.User.Username(), password
}

// Show returns the URL of a proxy for people: without the user name and the password.
func Show(via *url.URL) string { return via.Scheme + "://" + via.Host }

// Kind is what failed at a proxy.
type Kind uint8

// The kinds of failures.
const (
	Down   Kind = iota // no connection to the proxy can be made, or it ended or was silent
	Denied             // the proxy does not accept the user name and the password, or wants some
	Odd                // the answer is not that of a proxy of this kind
	Target             // the proxy works, but cannot or will not connect to the host
	NoWay              // the proxy has no way for such connections; nothing was sent
)

// Error is the error of a connection through a proxy. It never contains a user name or a password.
type Error struct {
	Proxy string // scheme, host and port
	Kind  Kind
	To    string // HOST:PORT of the connection
	// Err is the cause. For [Target] it is an error of the system, such as
	// syscall.ECONNREFUSED, if the proxy names one.
	Err error
}

func (e *Error) Error() string {
	switch e.Kind {
	case Down:
		return fmt.Sprintf("the proxy %s does not answer: %v", e.Proxy, e.Err)
	case Denied:
		return fmt.Sprintf("the proxy %s refuses: %v", e.Proxy, e.Err)
	case Odd:
		return fmt.Sprintf("%s does not answer like a proxy: %v", e.Proxy, e.Err)
	case NoWay:
		return fmt.Sprintf("%v (proxy %s)", e.Err, e.Proxy)
	}
	return fmt.Sprintf("the proxy %s cannot connect to %s: %v", e.Proxy, e.To, e.Err)
}

// Unwrap returns Err if the proxy works, so that a proxy that refuses connections is not taken for a
// host that does.
func (e *Error) Unwrap() error {
	if e.Kind == Target || e.Kind == NoWay {
		return e.Err
	}
	return nil
}

// Failed returns the [*Error] in err if the proxy itself failed, and not the host behind it. Otherwise it
// returns nil.
func Failed(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e.Kind != Target && e.Kind != NoWay {
		return e
	}
	return nil
}

// Causes of [NoWay].
var (
	ErrUDP   = errors.New("UDP does not go through the proxy")
	ErrPeers = errors.New("an http:// proxy carries no connections to peers; a socks5:// proxy does")
	ErrNames = errors.New("names are resolved by the proxy only")
)
