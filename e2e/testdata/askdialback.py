"""A peer that asks a spate peer again and again to connect back: askdialback.py HOST PORT INFOHASH COUNT

It prints the outcomes of TCP in the answers, a number a line (docs/interop.md).
"""
import os
import socket
import struct
import sys

host, port, infohash, count = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3]), int(sys.argv[4])
OURS = 7  # the id of the message in our direction


def message(number, payload):
    return struct.pack(">IBB", len(payload) + 2, 20, number) + payload


def exactly(n):
    b = b""
    while len(b) < n:
        part = s.recv(n - len(b))
        if not part:
            sys.exit("the peer has closed the connection")
        b += part
    return b


s = socket.create_connection((host, port), timeout=60)
s.sendall(b"\x13BitTorrent protocol" + bytes([0, 0, 0, 0, 0, 16, 0, 0]) + infohash + b"-XX0000-" + os.urandom(12))
exactly(68)
s.sendall(message(0, b"d1:md14:spate_dialbacki%deee" % OURS))
theirs, answers = 0, 0
while answers < count:
    body = exactly(struct.unpack(">I", exactly(4))[0])
    if len(body) < 2 or body[0] != 20:
        continue
    if body[1] == 0 and not theirs:
        theirs = int(body.split(b"14:spate_dialbacki")[1].split(b"e")[0])
        for i in range(count):
            s.sendall(message(theirs, b"d8:msg_typei0e5:nonce20:" + os.urandom(20) + b"3:tcpi%de3:udpi%dee" % (40000 + i, 40000 + i)))
    elif body[1] == OURS:
        print(int(body.split(b"3:tcpi")[1].split(b"e")[0]), flush=True)
        answers += 1
