// Package transmission answers the RPC protocol of Transmission, so that remotes and media managers
// which speak it control a daemon of spate.
//
// It speaks both dialects: the one of Transmission 3.00, with mixed spellings, and JSON-RPC 2.0 with
// snake_case, of 4.1. Handlers know only the spelling of 4.1; dialect.go translates. What cannot be
// done is an error that names it.
//
// The protocol is described in docs/rpc-spec.md of Transmission.
package transmission
