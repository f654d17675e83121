// Package e2e contains tests of the whole program with other clients, trackers and tools:
// aria2, Transmission, libtorrent, rtorrent, opentracker, mktorrent, Chromium, curl. Each
// test creates hosts as network namespaces of this machine, connected by a bridge and
// separated from the machine's own network. The tests need Linux, root and these programs.
// A test is skipped, with a message, if one of its programs is missing; with
// SPATE_E2E=require it fails.
package e2e
