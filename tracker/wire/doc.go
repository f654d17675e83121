// Package wire is the codec of announces and scrapes for both ends: queries and
// bencoded answers over HTTP (BEP 3, 7, 21, 23, 24, 31, 48) and packets over UDP
// (BEP 15, BEP 41).
//
// The functions of the server's side neither allocate nor keep what they are
// given; they append to the caller's buffer. Everything from outside is bounded
// and checked here, and here only.
package wire
