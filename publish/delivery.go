package publish

import "math"

// Delivery compares the finished downloads of releases with the bytes that their publisher has
// sent.
type Delivery struct {
	Finished int64   `json:"finished"` // complete copies that downloaders have received
	Copies   float64 `json:"copies"`   // bytes that the publisher has sent, divided by the size
	Saved    int64   `json:"saved"`    // bytes of the finished copies that the publisher has not sent
}

// Delivery returns the delivery of a release of size bytes in the given number of files.
// [Counts.Direct] counts files, so downloads over HTTP are copies only if there is one file, or if
// they are archives of all files.
func (c Counts) Delivery(size int64, files int) Delivery {
	d := Delivery{Finished: c.Completed}
	if files == 1 {
		d.Finished += c.Direct
	} else {
		d.Finished += c.Archives
	}
	if size <= 0 {
		return d
	}
	d.Copies = math.Round(float64(c.OriginBytes())/float64(size)*100) / 100
	if d.Finished < math.MaxInt64/size {
		d.Saved = max(0, d.Finished*size-c.OriginBytes())
	}
	return d
}

// Add returns the delivery of two releases or groups of releases together. Copies are added, as
// finished downloads are, whatever the sizes of the releases.
func (d Delivery) Add(e Delivery) Delivery {
	return Delivery{d.Finished + e.Finished, math.Round((d.Copies+e.Copies)*100) / 100, d.Saved + e.Saved}
}
