// Package wire encodes and decodes announces and scrapes: queries and bencoded
// responses over HTTP (BEP 3, 7, 21, 23, 24, 31, 48) and packets over UDP (BEP 15, BEP
// 41).
//
// The functions for servers do not allocate: they append to a buffer of the caller and
// keep no reference to their arguments. This package checks and limits all input, so
// that its users need not.
package wire
