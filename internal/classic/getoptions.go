package classic

// getOptions returns the options of the tools that download.
func getOptions() []Option {
	const adapts = "the engine adjusts this for each connection"
	const never = "all data is checked before it is written, and a peer that sends bad data is banned"
	return []Option{
		{"responsefile", Text, "", Both, true, "the path of the .torrent file"},
		{"url", Text, "", Both, true, "the URL of the .torrent, or a magnet link"},
		{"saveas", Text, "", Both, true, "the path to save the data at (btlaunchmany: the directory for all data)"},
		{"ip", Text, "", Both, true, "the IP address to announce to trackers; a tracker uses it only if the request comes from a private network"},
		{"bind", Text, "", Both, true, "the local IP address for all sockets"},
		{"minport", Int, "6881", Both, true, "the first port to try for incoming peers"},
		{"maxport", Int, "6999", Both, true, "the last port to try for incoming peers"},
		{"random_port", Int, "0", Tornado, true, "1: start with a random port between --minport and --maxport"},
		{"max_uploads", Int, "4", Both, true, "the minimum number of upload slots, without the optimistic one"},
		{"max_upload_rate", Float, "0", Both, true, "the upload limit in KiB/s; 0 or a negative number: the limit is learned, as without `spate seed --up`"},
		{"max_download_rate", Float, "0", Tornado, true, "the download limit in KiB/s; 0: no limit"},
		{"max_connections", Int, "0", Tornado, true, "the maximum number of connections of a torrent; 0: 80"},
		{"max_allow_in", Int, "55", Mainline, true, "the same as --max_connections: the limit counts incoming and outgoing connections together"},
		{"max_initiate", Int, "40", Both, true, "the maximum number of connection attempts at the same time"},
		{"max_files_open", Int, "256", Tornado, true, "the maximum number of open files; 0: 256"},
		{"priority", Text, "", Tornado, true, "the priority of each file, separated by commas: 0 high, 1 normal, 2 low, -1 skip the file"},
		{"display_interval", Float, "0.5", Both, true, "the seconds between two status blocks"},
		{"spew", Int, "0", Both, true, "1: print a line for each peer below the status block"},
		{"super_seeder", Int, "0", Tornado, true, "1 (and without this option): super-seed until another peer has all pieces; 0: never super-seed"},
		{"http_timeout", Float, "60", Both, true, "the seconds to wait for the answer of a tracker"},
		{"crypto_allowed", Int, "1", Tornado, true, "1: accept encrypted connections, and dial with encryption where a peer requires it; 0: no encryption"},
		{"crypto_only", Int, "0", Tornado, true, "1: use only encrypted connections, as `spate seed --encryption require`"},
		{"crypto_stealth", Int, "0", Tornado, true, "1: the same as --crypto_only 1"},

		{"keepalive_interval", Float, "120", Both, false, "keep-alives are sent every two minutes (BEP 3)"},
		{"download_slice_size", Int, "16384", Both, false, "all requests are for 16 KiB, because current clients refuse larger ones"},
		{"upload_unit_size", Int, "1460", Tornado, false, "--max_upload_rate needs no small packets"},
		{"request_backlog", Int, "10", Both, false, adapts},
		{"max_message_length", Int, "8388608", Both, false, "each type of message has its own limit"},
		{"max_slice_length", Int, "131072", Both, false, "requests of up to 128 KiB are served"},
		{"timeout", Float, "300", Both, false, "a connection is closed after two minutes of silence (BEP 3)"},
		{"timeout_check_interval", Float, "60", Both, false, "timeouts are checked when they are due"},
		{"max_rate_period", Float, "20", Both, false, "rates are averages of the last seconds"},
		{"max_rate_recalculate_interval", Float, "15", Both, false, "rates are averages of the last seconds"},
		{"upload_rate_fudge", Float, "5", Both, false, "--max_upload_rate needs no estimate of the system's buffers"},
		{"tcp_ack_fudge", Float, "0.03", Tornado, false, "--max_upload_rate counts only payload"},
		{"rerequest_interval", Float, "300", Both, false, "each tracker sets its announce interval"},
		{"min_peers", Int, "20", Both, false, "a torrent announces at the interval of the tracker, or at once if no peer is left"},
		{"check_hashes", Int, "1", Both, false, "all data is checked, except pieces that were checked in an earlier run"},
		{"report_hash_failures", Int, "0", Mainline, false, "a bad piece is downloaded again, and the peer that sent it is banned"},
		{"snub_time", Float, "30", Both, false, adapts},
		{"rarest_first_cutoff", Int, "4", Both, false, adapts},
		{"rarest_first_priority_cutoff", Int, "5", Both, false, adapts},
		{"min_uploads", Int, "4", Both, false, adapts},
		{"round_robin_period", Float, "30", Tornado, false, adapts},
		{"alloc_type", Text, "sparse", Tornado, false, "files are sparse: they use disk space only as data arrives"},
		{"alloc_rate", Float, "2", Tornado, false, "files are sparse: they use disk space only as data arrives"},
		{"alloc_pause", Float, "3", Mainline, false, "files are sparse: they use disk space only as data arrives"},
		{"buffer_reads", Int, "1", Tornado, false, "the operating system caches reads"},
		{"write_buffer_size", Int, "4", Tornado, false, "a piece is written as soon as it is complete and checked"},
		{"auto_flush", Int, "0", Tornado, false, "a piece is written as soon as it is complete and checked"},
		{"breakup_seed_bitfield", Int, "1", Tornado, false, "super-seeding has the same effect"},
		{"selector_enabled", Int, "1", Tornado, false, "file selection and resume are always enabled"},
		{"expire_cache_data", Int, "10", Tornado, false, "spate keeps little data about a torrent, in the state directory"},
		{"security", Int, "1", Tornado, false, "the number of connections from one IP address is always limited"},
		{"auto_kick", Int, "1", Tornado, false, never},
		{"double_check", Int, "1", Tornado, false, never},
		{"triple_check", Int, "0", Tornado, false, never},
		{"lock_files", Int, "1", Tornado, false, "a lock in the state directory always keeps two processes from using one torrent"},
		{"lock_while_reading", Int, "0", Tornado, false, "a lock in the state directory always keeps two processes from using one torrent"},
		{"dedicated_seed_id", Text, "", Tornado, false, "trackers do not recognize particular seeds"},
		{"ipv6_enabled", Int, "1", Tornado, false, "IPv4 and IPv6 are always enabled; --bind restricts them to one address"},
		{"ipv6_binds_v4", Int, "1", Tornado, false, "one socket accepts IPv4 and IPv6"},
		{"upnp_nat_access", Int, "1", Tornado, false, "these tools do not ask the router: use `spate seed`, or forward the peer port in the router yourself"},
		{"save_options", Int, "0", Tornado, false, "spate never writes its settings file, ~/.config/spate/spate.toml: edit it yourself"},
	}
}

// manyOptions returns the options of the tools that watch a directory.
func manyOptions() []Option {
	return append(getOptions(),
		Option{"parse_dir_interval", Float, "60", Tornado, true, "the seconds between two scans of the directory, if the system does not report changes earlier"},
		Option{"saveas_style", Int, "1", Tornado, true, "the name of the data: 1 that of the .torrent file, 2 the name inside the .torrent, 3 the name inside, in a directory named after the .torrent file; without this option 2 if data with the name inside exists, otherwise 1"},
		Option{"display_path", Int, "1", Tornado, true, "1: status lines show the path of the .torrent file; 0: they show the name of the torrent"},
	)
}

// guiOptions returns the options of btdownloadgui, which opens the client of a daemon in the browser.
func guiOptions() []Option {
	list := getOptions()
	for i := range list {
		switch o := &list[i]; o.Name {
		case "responsefile", "url":
		case "saveas":
			o.Works, o.Means = false, "the page asks where to store the data"
		case "priority":
			o.Works, o.Means = false, "the page asks which files to fetch"
		default:
			if o.Works {
				o.Works, o.Means = false, "the page and the settings of spate serve decide this"
			}
		}
	}
	return list
}
