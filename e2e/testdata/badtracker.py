"""Runs a tracker that misbehaves: badtracker.py garbage|error|mute|hold|page|drop

It prints its port. "mute" never answers. "hold" answers all requests but those with the event
"stopped": it holds their connections, and prints "held" and their number.
"""
import socket
import sys

answers = {
    "garbage": b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"\x00\xffd8:inter" * 4,
    "error": b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nd14:failure reason18:you are not liked.e",
    "page": b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>what?</h1>\n",
    "hold": b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\nd8:intervali1800e5:peers0:e",
    "drop": b"",
}
how = sys.argv[1]
s = socket.create_server(("0.0.0.0", 0))
print(s.getsockname()[1], flush=True)
held = []
while True:
    c, _ = s.accept()
    if how == "mute":
        held.append(c)
        continue
    c.settimeout(5)
    try:
        request = c.recv(4096)
        if how == "hold" and b"event=stopped" in request:
            held.append(c)
            print("held", len(held), flush=True)
            continue
        c.sendall(answers[how])
    except OSError:
        pass
    c.close()
