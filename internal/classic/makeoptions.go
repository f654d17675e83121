package classic

func announceList() Option {
	return Option{"announce_list", Text, "", Tornado, true, "tracker URLs as URL[,URL...][|URL[,URL...]...]: commas separate the URLs of a tier, bars separate tiers"}
}

func makeOptions() []Option {
	return []Option{
		{"piece_size_pow2", Int, "18", Both, true, "the piece length as a power of two (18: 256 KiB); 0: choose it by the size of the data"},
		{"comment", Text, "", Both, true, "the comment in the .torrent"},
		{"target", Text, "", Both, true, "the path of the .torrent (btcompletedir: the directory for all .torrent files)"},
		announceList(),
		{"httpseeds", Text, "", Tornado, true, "HTTP seeds as URL[|URL...], written in the format of BEP 17"},
		{"filesystem_encoding", Text, "", Both, false, "names are UTF-8"},
	}
}
