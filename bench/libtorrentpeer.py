"""Runs a peer of libtorrent for bench swarm, with libtorrent's own defaults.

The argument is JSON. A getter prints READY, waits for a line on standard input, adds the
torrent, and prints DONE when it is complete. All print "UP n", the payload sent, each second.
"""
import json
import signal
import sys
import time

import libtorrent as lt

c = json.loads(sys.argv[1])
settings = {
    "listen_interfaces": c["listen"], "enable_lsd": False,
    "enable_dht": c["dht"], "enable_upnp": c["router"], "enable_natpmp": c["router"],
    "alert_mask": int(lt.alert.category_t.error_notification | lt.alert.category_t.status_notification),
}
if c["tcp"]:
    settings.update({"enable_outgoing_utp": False, "enable_incoming_utp": False})
if c["up"]:
    settings["upload_rate_limit"] = c["up"]
ses = lt.session(settings)
if not c["seed"]:
    print("READY", flush=True)
    sys.stdin.readline()
if c["torrent"].startswith("magnet:"):
    p = lt.parse_magnet_uri(c["torrent"])
else:
    p = lt.add_torrent_params()
    p.ti = lt.torrent_info(c["torrent"])
p.save_path = c["dir"]
p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if c["seed"]:
    p.flags |= lt.torrent_flags.seed_mode
if c["super"]:
    p.flags |= lt.torrent_flags.super_seeding
h = ses.add_torrent(p)
ending = []
for s in (signal.SIGINT, signal.SIGTERM):
    signal.signal(s, lambda *_: ending.append(True))
done, told = c["seed"], 0
while not ending:
    ses.wait_for_alert(100)
    for a in ses.pop_alerts():
        if isinstance(a, lt.torrent_error_alert):
            print("ERROR", a.message(), flush=True)
            # libtorrent 2.0 halts good hybrids with this error at times (its issue 6394).
            if "do not describe the same data" in a.message():
                h.clear_error()
                h.resume()
        if isinstance(a, lt.torrent_finished_alert) and not done:
            done = True
            print("DONE", flush=True)
            if c["leave"]:
                ending.append(True)
    if time.time() - told >= 1:
        told = time.time()
        print("UP %d" % h.status().total_payload_upload, flush=True)
print("UP %d" % h.status().total_payload_upload, flush=True)
h.pause()
time.sleep(0.5)
