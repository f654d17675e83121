"""Connects useless peers to a seed, and again when the seed closes their connections.

useless.py HOST PORT INFO-HASH COUNT HABIT

HABIT: idle (has no pieces and sends nothing), interested (sends interested and no requests),
deaf (sends requests and never reads), slow (sends requests and reads 1 kB/s). It prints
"ready" when all peers have tried to connect.
"""
import asyncio, os, struct, sys

host, port, info_hash, count, habit = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3]), int(sys.argv[4]), sys.argv[5]


async def peer():
    reader, writer = await asyncio.open_connection(host, port, limit=4096)
    try:
        # Support the Fast extension and send have none.
        writer.write(b"\x13BitTorrent protocol" + bytes(7) + b"\x04" + info_hash + b"-XX0000-" + os.urandom(12))
        writer.write(b"\0\0\0\1\x0f")
        if habit != "idle":
            writer.write(b"\0\0\0\1\2")
        await reader.readexactly(68)
        if habit in ("idle", "interested"):
            while await reader.read(4096):
                pass
            return
        shown, unchoked = [], False
        while True:
            (n,) = struct.unpack(">I", await reader.readexactly(4))
            m = await reader.readexactly(n)
            if m[:1] == b"\4":
                shown.append(m[1:5])
            elif m[:1] == b"\x01":
                unchoked = True
            elif m[:1] == b"\x07" or unchoked and shown:
                break
        for piece in shown:
            for begin in range(16):
                writer.write(b"\0\0\0\x0d\6" + piece + struct.pack(">II", begin << 14, 1 << 14))
        while habit == "deaf" and not writer.is_closing() or habit == "slow" and await reader.read(1000):
            await asyncio.sleep(1)
    finally:
        writer.close()


async def again():
    while True:
        try:
            await peer()
        except (OSError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(1)


async def main():
    tasks = [asyncio.create_task(again()) for _ in range(count)]
    await asyncio.sleep(3)
    print("ready", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main())
