"""Runs libtorrent-rasterbar for bench: roles seed, get, many, create, dht.

After the arguments of seed and get may follow: utp for uTP instead of TCP, rc4 for encryption.
"""
import os
import signal
import sys

import libtorrent as lt

role, args = sys.argv[1], sys.argv[2:]


def create(data, out, announce, kind):
    fs = lt.file_storage()
    lt.add_files(fs, data)
    t = lt.create_torrent(fs, 1 << 20, lt.create_torrent.v1_only if kind == "v1" else 0)
    t.add_tracker(announce)
    lt.set_piece_hashes(t, os.path.dirname(data))
    with open(out, "wb") as f:
        f.write(lt.bencode(t.generate()))


def session(listen, how=()):
    p = lt.high_performance_seed() if role != "get" else {}
    p.update({
        "listen_interfaces": listen, "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_outgoing_utp": False, "enable_incoming_utp": False, "allow_multiple_connections_per_ip": True,
        "in_enc_policy": 2, "out_enc_policy": 2, "unchoke_slots_limit": -1, "connections_limit": 8000,
        "active_downloads": -1, "active_seeds": -1, "active_limit": 100000,
        "max_out_request_queue": 1000, "max_allowed_in_request_queue": 4000,
        "send_buffer_watermark": 512 << 10, "send_buffer_watermark_factor": 50,
        "max_queued_disk_bytes": 8 << 20, "aio_threads": 2, "hashing_threads": 1,
        "alert_mask": int(lt.alert.category_t.status_notification),
    })
    if "utp" in how:
        for way in ("outgoing", "incoming"):
            p.update({"enable_%s_utp" % way: True, "enable_%s_tcp" % way: False})
    if "rc4" in how:
        p.update({"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2})
    return lt.session(p)


def add(ses, torrent, folder):
    p = lt.add_torrent_params()
    p.ti = lt.torrent_info(torrent)
    p.save_path = folder
    p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    ses.async_add_torrent(p)


def dht(listen, bootstrap=""):
    # DHT nodes on one machine share an address, so all limits by address are off.
    return lt.session({
        "listen_interfaces": listen, "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "dht_bootstrap_nodes": bootstrap, "dht_upload_rate_limit": 100_000_000, "dht_block_ratelimit": 1_000_000,
        "dht_max_torrents": 100_000, "dht_max_peers": 100_000,
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False, "dht_prefer_verified_node_ids": False,
    })


if role == "create":
    create(*args)
    sys.exit()
if role == "dht":
    ses = dht(*args)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)
torrent, folder, listen, *how = args
ses = session(listen, how)
if role == "many":
    for name in sorted(os.listdir(torrent)):
        add(ses, os.path.join(torrent, name), folder)
else:
    add(ses, torrent, folder)
while role == "get":
    ses.wait_for_alert(200)
    if any(isinstance(a, lt.torrent_finished_alert) for a in ses.pop_alerts()):
        os._exit(0)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
os._exit(0)
