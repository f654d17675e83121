"""Simulates peers that send garbage. Each peer sends another kind of garbage.

badpeer.py dial HOST PORT HASH   connects all peers to HOST:PORT and exits at the end
badpeer.py listen HASH           listens on one port for each peer and prints "ports P..."
"""
import os
import socket
import struct
import sys
import threading
import time


def message(number, body=b""):
    return struct.pack(">IB", len(body) + 1, number) + body


info_hash = bytes.fromhex(sys.argv[-1])
hello = b"\x13BitTorrent protocol" + bytes(5) + b"\x10\x00\x04" + info_hash + b"-XX0000-badbadbadbad"
other = b"\x13BitTorrent protocol" + bytes(8) + os.urandom(20) + b"-XX0000-badbadbadbad"
interested = message(2)
request = struct.pack(">III", 0, 0, 16384)

talks = {
    "silence": b"",
    "noise": os.urandom(200_000),
    "another protocol": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "another torrent": other,
    "half a handshake": hello[:40],
    "noise after the handshake": hello + os.urandom(200_000),
    "a giant message": hello + b"\xff\xff\xff\xff" + bytes(300_000),
    "a long bitfield": hello + message(5, b"\xff" * 1000),
    "a short bitfield": hello + message(5),
    "spare bits": hello + message(5, b"\xff" * 9),
    "have of no piece": hello + message(4, b"\xff\xff\xff\xff"),
    "pieces without requests": hello + message(15) + message(14) + message(7, bytes(8) + os.urandom(16384)) * 50,
    "requests beyond the end": hello + interested + message(6, struct.pack(">III", 2**31, 2**31, 2**31 - 1)),
    "giant requests": hello + interested + message(6, struct.pack(">III", 0, 0, 2**24)),
    "requests while choked": hello + message(6, request) * 5000,
    "broken extensions": hello + message(20, b"\x00d1:md11:ut_metadatai-1ee") + message(20, b"\x00" + b"l" * 50_000),
    "metadata of nowhere": hello + message(20, b"\x00d1:md11:ut_metadatai3eee")
    + message(20, b"\x01d8:msg_typei0e5:piecei99999999ee") * 100,
    "reject of nothing": hello + message(16, request) * 100,
    "short messages": hello + b"".join(message(n) for n in range(256)),
    "keep-alives": hello + bytes(4) * 20_000,
}


def talk(c, what):
    """Sends the garbage, reads for up to two seconds and closes the connection."""
    c.settimeout(2)
    try:
        c.sendall(talks[what])
        end = time.time() + 2
        while time.time() < end and c.recv(65536):
            pass
    except OSError:
        pass
    c.close()


def serve(s, what):
    while True:
        threading.Thread(target=talk, args=(s.accept()[0], what), daemon=True).start()


threads = []
if sys.argv[1] == "dial":
    for what in talks:
        c = socket.create_connection((sys.argv[2], int(sys.argv[3])))
        threads.append(threading.Thread(target=talk, args=(c, what)))
else:
    ports = []
    for what in talks:
        s = socket.create_server(("0.0.0.0", 0))
        ports.append(str(s.getsockname()[1]))
        threads.append(threading.Thread(target=serve, args=(s, what)))
    print("ports " + " ".join(ports), flush=True)
for t in threads:
    t.start()
for t in threads:
    t.join()
