package publish

// HashingStatus is the progress of hashing an entry.
type HashingStatus struct {
	Name        string
	Done, Total int64   // bytes
	Rate        float64 // bytes a second
}

// setHashing records the progress of hashing an entry; nil ends it.
func (f *Folder) setHashing(h *HashingStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hashing = h
}
