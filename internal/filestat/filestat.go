// Package filestat reads what the system knows about a file beyond its size and modification
// time: it finds files that were replaced, and files whose modification time was put back.
package filestat
