"""A client with libtorrent: lt.py get|seed TORRENT DIR LISTEN[,LISTEN...] [PEER...]
or a node of the DHT alone: lt.py node - - LISTEN[,LISTEN...]

On SIGINT and SIGTERM it announces "stopped" and exits.
"""
import os
import signal
import sys
import time

import libtorrent as lt

verb, torrent, folder, listen = sys.argv[1:5]
ses = lt.session({
    "listen_interfaces": listen,
    # DHT turns the DHT on, and names its first node. The nodes of a test have similar addresses.
    "enable_dht": "DHT" in os.environ, "dht_bootstrap_nodes": os.environ.get("DHT", ""),
    "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
    "enable_lsd": "LSD" in os.environ, "enable_upnp": False, "enable_natpmp": False,
    "enable_outgoing_utp": "UTP" in os.environ, "enable_incoming_utp": "UTP" in os.environ,
    "enable_outgoing_tcp": "UTP" not in os.environ, "enable_incoming_tcp": "UTP" not in os.environ,
    "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.status_notification
    | lt.alert.category_t.tracker_notification | lt.alert.category_t.dht_notification,
    # ENCRYPT refuses connections without encryption, and encrypts all data.
    **({"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2} if "ENCRYPT" in os.environ else {}),
})
# libtorrent searches for the peers of a torrent only once in 15 minutes, also if it knows no node yet.
bootstrapped = not os.environ.get("DHT")
while not bootstrapped:
    ses.wait_for_alert(1000)
    bootstrapped = any(isinstance(a, lt.dht_bootstrap_alert) for a in ses.pop_alerts())
if verb == "node":
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    sys.exit()
p = lt.parse_magnet_uri(torrent) if torrent.startswith("magnet:") else lt.add_torrent_params()
if not torrent.startswith("magnet:"):
    p.ti = lt.torrent_info(torrent)
p.save_path = folder
p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
h = ses.add_torrent(p)
for peer in sys.argv[5:]:
    host, port = peer.rsplit(":", 1)
    h.connect_peer((host, int(port)))
stopping = []
for sig in (signal.SIGINT, signal.SIGTERM):
    signal.signal(sig, lambda *_: stopping.append(True))
was = None
while not stopping:
    for a in ses.pop_alerts():
        print(a.message(), flush=True)
        # libtorrent 2.0.8 sometimes stops a hybrid torrent with good data (see its issue
        # 6394). Start it again.
        if isinstance(a, lt.torrent_error_alert) and "do not describe the same data" in a.message():
            h.clear_error()
            h.resume()
    s = h.status()
    now = (str(s.state), int(s.progress * 20), s.num_peers)
    if now != was:
        was = now
        print("%s %.0f %% peers %d" % (s.state, 100 * s.progress, s.num_peers), flush=True)
    time.sleep(0.1)
h.pause()
time.sleep(1)  # wait until announces over UDP are sent
