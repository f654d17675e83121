package metainfo_test

import (
	"bytes"
	"testing"

	"spate/metainfo"
)

// TestEditedFieldHasOneValue checks that no other value of a field survives a change of the
// field, under whichever keys and with whichever types the file has values for it.
func TestEditedFieldHasOneValue(t *testing.T) {
	t.Parallel()
	const info = "4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
	trackers := func(m *metainfo.MetaInfo) { m.AnnounceList = [][]string{{"http://new/"}} }
	for name, c := range map[string]struct {
		file string // the keys before info
		rest string // the keys after info
		edit func(m *metainfo.MetaInfo)
		old  []string // must not be in the result
		want string   // must be in the result
	}{
		"one tracker in both keys":         {file: "8:announce11:http://old/13:announce-listll11:http://old/ee", edit: trackers, old: []string{"old", "announce-list"}, want: "8:announce11:http://new/"},
		"trackers in the list only":        {file: "13:announce-listll11:http://old/ee", edit: trackers, old: []string{"old", "announce-list"}, want: "8:announce11:http://new/"},
		"different trackers":               {file: "8:announce12:http://old1/13:announce-listll12:http://old2/ee", edit: trackers, old: []string{"old"}, want: "new"},
		"a tracker of a wrong type":        {file: "8:announcei1e13:announce-list3:old", edit: trackers, old: []string{"old"}, want: "new"},
		"no tracker":                       {file: "8:announce11:http://old/13:announce-listll11:http://old/ee", edit: func(m *metainfo.MetaInfo) { m.AnnounceList = nil }, old: []string{"old", "announce"}},
		"the same tracker is overwritten":  {file: "8:announce11:http://new/13:announce-listli5ee", edit: func(m *metainfo.MetaInfo) { trackers(m); m.Overwrite(metainfo.FieldTrackers) }, old: []string{"announce-list"}, want: "new"},
		"both comments":                    {file: "7:comment3:old13:comment.utf-83:OLD", edit: func(m *metainfo.MetaInfo) { m.Comment = "new" }, old: []string{"old", "OLD", "utf-8"}, want: "7:comment3:new"},
		"a comment that another one hides": {file: "7:comment3:old13:comment.utf-83:new", edit: func(m *metainfo.MetaInfo) { m.Comment = "new"; m.Overwrite(metainfo.FieldComment) }, old: []string{"old", "utf-8"}, want: "7:comment3:new"},
		"a comment of a wrong type":        {file: "7:commentl3:olde", edit: func(m *metainfo.MetaInfo) { m.Overwrite(metainfo.FieldComment) }, old: []string{"old", "comment"}},
		"both programs":                    {file: "10:created by3:old16:created by.utf-83:OLD", edit: func(m *metainfo.MetaInfo) { m.CreatedBy = "" }, old: []string{"old", "OLD", "created by"}},
		"a date of a wrong type":           {file: "13:creation date3:old", edit: func(m *metainfo.MetaInfo) { m.Overwrite(metainfo.FieldCreationDate) }, old: []string{"old", "creation date"}},
		"a web seed of a wrong type":       {rest: "8:url-listi7e", edit: func(m *metainfo.MetaInfo) { m.Overwrite(metainfo.FieldWebSeeds) }, old: []string{"url-list"}},
		"an HTTP seed of a wrong type":     {file: "9:httpseedsi1e", edit: func(m *metainfo.MetaInfo) { m.Overwrite(metainfo.FieldHTTPSeeds) }, old: []string{"httpseeds"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := metainfo.Parse([]byte("d" + c.file + info + c.rest + "1:z1:ze"))
			if err != nil {
				t.Fatal(err)
			}
			c.edit(m)
			b, err := m.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range c.old {
				if bytes.Contains(b, []byte(s)) {
					t.Errorf("%q still contains %q", b, s)
				}
			}
			if !bytes.Contains(b, []byte(c.want)) || !bytes.HasSuffix(b, []byte("1:z1:ze")) {
				t.Errorf("%q does not contain %q, or an unknown key is missing", b, c.want)
			}
		})
	}
}
