// Package e2e holds the tests of the whole program against other people's
// clients and trackers: aria2, Transmission, libtorrent, rtorrent, opentracker,
// mktorrent, Chromium, curl. Each test has machines of its own, which are
// network namespaces of this one joined by a bridge; nothing reaches the
// machine's own addresses. It takes root, Linux and the programs, and says what
// is missing when it skips; SPATE_E2E=require makes that a failure.
package e2e
