"""Creates a torrent with libtorrent: mk.py PATH PIECE_LENGTH OUT [FLAG...]"""
import os
import sys

import libtorrent as lt

path, length, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
flags = 0
for f in sys.argv[4:]:
    flags |= int(getattr(lt.create_torrent, f))
fs = lt.file_storage()
lt.add_files(fs, path, lambda p: True, flags)
t = lt.create_torrent(fs, length, flags)
lt.set_piece_hashes(t, os.path.dirname(path))
with open(out, "wb") as f:
    f.write(lt.bencode(t.generate()))
