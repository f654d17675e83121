package classic

func announceList() Option {
	return Option{"announce_list", Text, "", Tornado, true, "trackers as URL[,URL...][|URL[,URL...]...]: a comma separates those of a tier, a bar the tiers"}
}

func makeOptions() []Option {
	return []Option{
		{"piece_size_pow2", Int, "18", Both, true, "pieces of 2 to this power bytes; 0 chooses by the size"},
		{"comment", Text, "", Both, true, "the comment in the torrent"},
		{"target", Text, "", Both, true, "where the .torrent goes (btcompletedir: the directory for all)"},
		announceList(),
		{"httpseeds", Text, "", Tornado, true, "web seeds, URL[|URL...]: written as those of BEP 17, for the programs that ask them"},
		{"filesystem_encoding", Text, "", Both, false, "names are UTF-8"},
	}
}
