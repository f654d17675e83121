"""A router that answers NAT-PMP and lies: lyingrouter.py ADDRESS EXTERNAL

It listens on ADDRESS, says that its external address is EXTERNAL, and grants each mapping without
forwarding anything.
"""
import ipaddress
import socket
import struct
import sys
import time

external = ipaddress.ip_address(sys.argv[2]).packed
start = time.time()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 5351))
print("ready", flush=True)
while True:
    packet, sender = s.recvfrom(2048)
    if len(packet) < 2:
        continue
    version, op = packet[0], packet[1]
    epoch = int(time.time() - start) + 1000
    if version != 0:
        s.sendto(struct.pack(">BBHI", 0, op | 128, 1, epoch), sender)  # no PCP: unsupported version (RFC 6886)
    elif op == 0:
        s.sendto(struct.pack(">BBHI", 0, 128, 0, epoch) + external, sender)
    elif op in (1, 2) and len(packet) >= 12:
        inside, outside, lifetime = struct.unpack(">HHI", packet[4:12])
        s.sendto(struct.pack(">BBHIHHI", 0, op | 128, 0, epoch, inside, outside or inside, lifetime), sender)
