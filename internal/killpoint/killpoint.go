// Package killpoint is for tests: it runs a program and kills it just before a given
// one of the calls by which a process writes, makes, names and removes anything.
// The calls of all its threads count together. (strace counts those of each thread
// alone, so what it breaks depends on how the scheduler spread the work.)
//
// A test binary is its own killer: its TestMain calls [Main] first, and a test runs
// the command line that [Command] returns.
package killpoint

// Killed is the exit code of a killer that has killed its program; else it is the
// program's own.
const Killed = 137

// variable says at which call, in the environment of the killer.
const variable = "SPATE_KILLPOINT"
