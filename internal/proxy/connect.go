package proxy

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"spate"
)

// maxAnswer is the longest header of an answer to CONNECT, in bytes.
const maxAnswer = 16 << 10

// connectHTTP makes an HTTP proxy connect to a host (RFC 9110, 9.3.6).
func (h *handshake) connectHTTP(nc io.ReadWriter) error {
	if strings.ContainsFunc(h.to, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return h.fail(Target, errors.New("the name of the host has characters that no URL has"))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: spate/%s\r\n", h.to, h.to, spate.Version)
	if name, password := credentials(h.via); h.via.User != nil {
		fmt.Fprintf(&b, "Proxy-Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	}
	b.WriteString("\r\n")
	h.asked = true
	if _, err := io.WriteString(nc, b.String()); err != nil {
		return h.broken(err)
	}
	limited := &io.LimitedReader{R: nc, N: maxAnswer}
	r := bufio.NewReader(limited)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil && limited.N == 0:
		return h.fail(Odd, errors.New("the header of its answer is longer than 16 KiB"))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isNet(err):
		return h.broken(err)
	case err != nil:
		return h.fail(Odd, errors.New("its answer is not HTTP"))
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return Refused(h.via)
	case resp.StatusCode/100 != 2:
		return h.fail(Target, fmt.Errorf("it answers %.60q", resp.Status))
	case r.Buffered() > 0:
		return h.fail(Odd, errors.New("it sends data before the host can"))
	}
	return nil
}

// isNet reports whether err is that of a connection.
func isNet(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// Refused returns the error for a proxy that answers with the status 407.
func Refused(via *url.URL) *Error {
	cause := errWrong
	if via.User == nil {
		cause = errWanted
	}
	return &Error{Proxy: Show(via), Kind: Denied, Err: cause}
}

// Causes of [Denied].
var (
	errWanted = errors.New("it wants a user name and a password, which its URL does not have")
	errWrong  = errors.New("the user name or the password is wrong")
)
