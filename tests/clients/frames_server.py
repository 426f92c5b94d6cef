"""A strict WebSocket server (the `websockets` library) that sends every message back as it came.

Arguments: address, certificate, key. It prints `ready` once it listens, and ends with its input.
"""

import asyncio
import ssl
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError


async def echo(connection):
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosedError:
        pass  # a case that is meant to end so


async def main():
    address, certificate, key = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with serve(echo, host, int(port), ssl=context, max_size=None, ping_interval=None, close_timeout=2):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
