package transmission

import (
	"errors"
	"fmt"

	"spate/internal/fault"
)

// The codes of errors in JSON-RPC 2.0, and of Transmission 4.1 for the rest.
const (
	codeParse          = -32700
	codeRequest        = -32600
	codeMethod         = -32601
	codeParams         = -32602
	codeInternal       = -32603
	codePath           = 3
	codeUnknownTorrent = 4
	codeSystem         = 5
	codeFileIndex      = 6
)

// rpcError is an error of a request.
type rpcError struct {
	code int
	text string
}

// Error implements error.
func (e *rpcError) Error() string { return e.text }

func badParams(format string, args ...any) error {
	return &rpcError{codeParams, fmt.Sprintf(format, args...)}
}

// unsupported returns the error for what spate cannot do. It names it as the client did.
func unsupported(what, why string) error {
	return &rpcError{codeParams, fmt.Sprintf("spate does not support %s: %s", what, why)}
}

// asError converts err.
func asError(err error) *rpcError {
	var e *rpcError
	if errors.As(err, &e) {
		return e
	}
	text := fault.Message(err)
	if hint := fault.HintOf(err); hint != "" {
		text += " (" + hint + ")"
	}
	switch fault.CodeOf(err) {
	case fault.Usage:
		return &rpcError{codeParams, text}
	case fault.BadData:
		return &rpcError{codeUnknownTorrent, text}
	}
	return &rpcError{codeSystem, text}
}
