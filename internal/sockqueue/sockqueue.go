// Package sockqueue limits and measures the send queue of a socket: the bytes that a
// program has written and that the other side has not acknowledged. Only Linux can do
// both; on other systems the functions do nothing.
package sockqueue
