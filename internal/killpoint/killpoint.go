// Package killpoint lets tests kill a program at a chosen point: just before the n-th
// system call that creates, writes, renames or removes a file. It counts the calls of all
// threads together. (strace counts each thread separately, so its result depends on the
// scheduler.)
//
// The test binary itself is the killer: its TestMain calls [Main] first, and a test runs
// the command line that [Command] returns.
package killpoint

// Killed is the exit code of the killer if it killed the program. Otherwise it exits
// with the exit code of the program.
const Killed = 137

// variable is the environment variable with the number of the system call.
const variable = "SPATE_KILLPOINT"
