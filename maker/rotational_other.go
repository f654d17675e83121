//go:build !linux

package maker

// rotational returns false, because this system does not provide the information here.
func rotational(uint64) bool { return false }
