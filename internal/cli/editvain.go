package cli

import (
	"slices"

	"spate/metainfo"
)

// vainURLs returns a note for each URL in removed that list does not contain, and for each URL
// in added that list keeps. noun describes the URLs. list holds the URLs before the change.
func vainURLs(noun string, list, removed, added []string) (notes []string) {
	for _, u := range removed {
		switch {
		case u == "all" && len(list) == 0:
			notes = append(notes, "the torrent has no "+noun+" to remove")
		case u != "all" && !hasURL(list, u):
			notes = append(notes, noun+" "+u+" is not in the torrent")
		}
	}
	for i, u := range added {
		kept := hasURL(list, u) && !hasURL(removed, u) && !slices.Contains(removed, "all")
		if kept || slices.Contains(added[:i], u) {
			notes = append(notes, noun+" "+u+" is in the torrent already")
		}
	}
	return notes
}

// vainFields returns a note for each field that the flags remove and that m does not have.
func (o *editOptions) vainFields(m *metainfo.MetaInfo) (notes []string) {
	for _, f := range []struct {
		noun string
		vain bool
	}{
		{"comment", o.given["comment"] && o.comment == "" && m.Comment == ""},
		{"source", o.given["source"] && o.source == "" && m.Info.Source == ""},
		{"program that made it", o.given["created-by"] && o.createdBy == "" && m.CreatedBy == ""},
		{"creation date", o.given["no-date"] && o.noDate && m.CreationDate.IsZero()},
	} {
		if f.vain {
			notes = append(notes, "the torrent names no "+f.noun)
		}
	}
	return notes
}
