#!/usr/bin/python3
"""Makes the golden torrents of this directory with other programs: libtorrent
(python3-libtorrent), mktorrent and transmission-create, all from Debian.

The data is made by a rule, which golden_test.go knows as well. Beside each
torrent a .json says what libtorrent reads in it.
"""
import json, os, shutil, subprocess, tempfile
import libtorrent as lt

TREE = {"a.bin": 100000, "b.bin": 0, "dir/Z.txt": 5, "dir/c.bin": 16384, "dir/sub/d.bin": 70001,
        "exact.bin": 65536, "zero": 0, "é.txt": 40000}
here = os.path.dirname(os.path.abspath(__file__))


def data(path, n):
    seed = sum(path.encode())
    return bytes((i * 7 + (i >> 8) * 3 + seed) & 255 for i in range(n))


def describe(b):
    ti = lt.torrent_info(lt.bdecode(b))
    f, ih = ti.files(), ti.info_hashes()
    zero = b"\0" * 32
    files = []
    for i in range(f.num_files()):
        if f.file_flags(i) & lt.file_flags_t.flag_pad_file:
            continue
        root = f.root(i).to_bytes() if ih.has_v2() else zero
        files.append({"path": f.file_path(i), "length": f.file_size(i), "symlink": f.symlink(i),
                      "executable": bool(f.file_flags(i) & lt.file_flags_t.flag_executable),
                      "pieces_root": root.hex() if root != zero else ""})
    return {"v1": str(ih.v1) if ih.has_v1() else "", "v2": str(ih.v2) if ih.has_v2() else "",
            "name": ti.name(), "pieces": ti.num_pieces(), "piece_length": ti.piece_length(), "files": files}


def save(name, b):
    with open(os.path.join(here, name + ".torrent"), "wb") as f:
        f.write(b)
    with open(os.path.join(here, name + ".json"), "w") as f:
        json.dump(describe(b), f, indent=1)


def libtorrent(name, src, flags, scan=0):
    fs = lt.file_storage()
    lt.add_files(fs, src, lambda path: True, scan)
    ct = lt.create_torrent(fs, 32768, flags=flags | scan)
    ct.add_tracker("http://tracker.example/announce", 0)
    ct.add_tracker("udp://tracker.example:6969", 1)
    ct.add_url_seed("http://seed.example/files/")
    ct.add_node("dht.example", 6881)
    ct.set_comment("golden")
    lt.set_piece_hashes(ct, os.path.dirname(src))
    e = ct.generate()
    e[b"creation date"] = 1700000000
    save(name, lt.bencode(e))


with tempfile.TemporaryDirectory() as tmp:
    tree = os.path.join(tmp, "tree")
    for path, n in TREE.items():
        p = os.path.join(tree, path)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        with open(p, "wb") as f:
            f.write(data(path, n))
    single = os.path.join(tmp, "single.bin")
    with open(single, "wb") as f:
        f.write(data("single.bin", 123456))
    for fmt, flags in (("v1", lt.create_torrent.v1_only), ("v2", lt.create_torrent.v2_only), ("hybrid", 0)):
        libtorrent("libtorrent-tree-" + fmt, tree, flags)
        libtorrent("libtorrent-single-" + fmt, single, flags)
    libtorrent("libtorrent-canonical", tree, lt.create_torrent.canonical_files)
    for tool in (["mktorrent", "-d", "-l", "15", "-c", "golden", "-w", "http://seed.example/files/", "-p",
                  "-a", "http://tracker.example/announce,http://two.example/announce",
                  "-a", "udp://tracker.example:6969"],
                 ["transmission-create", "-p", "-s", "32", "-c", "golden", "-t", "http://tracker.example/announce"]):
        out = os.path.join(tmp, tool[0] + ".torrent")
        subprocess.run(tool + ["-o", out, tree], check=True, stdout=subprocess.DEVNULL)
        save(tool[0] + "-tree", open(out, "rb").read())
    os.symlink("dir/c.bin", os.path.join(tree, "link"))
    os.symlink("sub", os.path.join(tree, "dir/dirlink"))
    os.chmod(os.path.join(tree, "a.bin"), 0o755)
    for fmt, flags in (("v1", lt.create_torrent.v1_only), ("hybrid", 0)):
        libtorrent("libtorrent-symlinks-" + fmt, tree, flags, lt.create_torrent.symlinks | lt.create_torrent.modification_time)
