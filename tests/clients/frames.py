"""Sends WebSocket frames by hand, in the cases of the Autobahn test suite, and prints what came back of each: one JSON line a case.

Argument: host:port. The cases have the numbers of the suite's sections: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing,
large messages. Nothing here knows of Tollgate.
"""

import base64
import hashlib
import json
import os
import socket
import ssl
import sys

CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONTEXT = ssl.create_default_context()
KEY = b"\x37\xfa\x21\x3d"


def frame(opcode, payload=b"", fin=True, reserved=0, masked=True):
    length = len(payload)
    head = bytes([fin << 7 | reserved << 4 | opcode])
    flag = 0x80 if masked else 0
    if length < 126:
        head += bytes([flag | length])
    elif length < 65536:
        head += bytes([flag | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([flag | 127]) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    key = int.from_bytes((KEY * (length // 4 + 1))[:length], "big")
    return head + KEY + (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big")


def closing(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def cases():
    """Name, what is sent, and how many messages have to come back before the last of it is."""
    end = closing(1000)
    for length in (0, 125, 126, 127, 128, 65535, 65536):
        yield f"1.1 text of {length}", [frame(TEXT, b"*" * length), end], 1
        yield f"1.2 binary of {length}", [frame(BINARY, b"\xfe" * length), end], 1
    for payload in (b"", b"hello", bytes(range(125))):
        yield f"2 ping of {len(payload)}", [frame(PING, payload), end], 0
    yield "2.5 ping of 126", [frame(PING, b"\xfe" * 126)], 0
    yield "2.7 pong that nobody asked for", [frame(PONG, b"hello"), end], 0
    yield "2.10 ten pings", [frame(PING, b"%d" % number) for number in range(10)] + [end], 0
    for reserved in range(1, 8):
        yield f"3 reserved bits {reserved}", [frame(TEXT, b"one"), frame(TEXT, b"two", reserved=reserved)], 1
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"4 opcode {opcode}", [frame(TEXT, b"one"), frame(opcode, b"two")], 1
    yield "5.1 fragmented ping", [frame(PING, b"a", fin=False), frame(CONTINUE, b"b")], 0
    yield "5.3 two fragments", [frame(TEXT, b"one", fin=False), frame(CONTINUE, b"two"), end], 1
    yield "5.6 ping between fragments", [frame(TEXT, b"one", fin=False), frame(PING, b"p"), frame(CONTINUE, b"two"), end], 1
    yield "5.9 continuation of nothing", [frame(CONTINUE, b"one"), frame(TEXT, b"two")], 0
    yield "5.12 continuation of nothing, open", [frame(CONTINUE, b"one", fin=False), frame(TEXT, b"two")], 0
    yield "5.18 text inside a text", [frame(TEXT, b"one", fin=False), frame(TEXT, b"two")], 0
    many = [frame(CONTINUE, b"x", fin=False) for _ in range(50)]
    yield "5.19 many fragments", [frame(TEXT, b"", fin=False), *many, frame(CONTINUE, b""), end], 1
    word = "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!! \u03ba\U0001f980".encode()
    yield "6.2 text in other scripts", [frame(TEXT, word), end], 1
    yield "6.2 one fragment a byte", [frame(TEXT, word[:1], fin=False)] + [frame(CONTINUE, word[at : at + 1], fin=at == len(word) - 1) for at in range(1, len(word))] + [end], 1
    for name, text in {"a byte alone": b"\xce", "a surrogate": b"\xed\xa0\x80", "too long a form": b"\xc0\xaf", "beyond the last": b"\xf4\x90\x80\x80", "in the middle": b"ok\xffok"}.items():
        yield f"6.3 {name}", [frame(TEXT, text)], 0
    yield "6.4 in the second fragment", [frame(TEXT, b"ok", fin=False), frame(CONTINUE, b"\xf4\x90\x80\x80")], 0
    yield "7.1 data behind a close", [frame(TEXT, b"one"), end + frame(TEXT, b"two")], 1
    yield "7.1 ping behind a close", [end + frame(PING, b"p")], 0
    yield "7.3 close without a code", [closing()], 0
    yield "7.3 close with half a code", [frame(CLOSE, b"\x03")], 0
    yield "7.3 close with the longest reason", [closing(1000, b"*" * 123)], 0
    yield "7.3 close that is too long", [closing(1000, b"*" * 124)], 0
    yield "7.5 close with a reason that is no text", [closing(1000, b"\xce\xba\xff")], 0
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield f"7.7 code {code}", [closing(code)], 0
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"7.9 code {code}", [closing(code)], 0
    yield "9.1 a text of 1 MiB", [frame(TEXT, b"*" * (1 << 20)), end], 1
    yield "9.2 binary of 4 MiB", [frame(BINARY, b"\xfe" * (4 << 20)), end], 1
    parts = [frame(CONTINUE, b"*" * 4096, fin=False) for _ in range(256)]
    yield "9.3 1 MiB in fragments", [frame(TEXT, b"", fin=False), *parts, frame(CONTINUE), end], 1
    yield "9.7 a thousand messages", [frame(TEXT, b"%d" % number) for number in range(1000)] + [end], 1000
    yield "9.9 byte by byte", [bytes([byte]) for byte in frame(TEXT, b"slowly")] + [end], 1
    yield "5.1 a frame without mask", [frame(TEXT, b"one", masked=False)], 0


class Peer:
    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        raw = socket.create_connection((host, int(port)), timeout=20)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = CONTEXT.wrap_socket(raw, server_hostname=host)
        key = base64.b64encode(os.urandom(16)).decode()
        fields = f"Host: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
        self.socket.sendall(f"GET /frames HTTP/1.1\r\n{fields}\r\n\r\n".encode())
        self.input = self.socket.makefile("rb")
        status = self.input.readline().decode()
        assert " 101 " in status, status
        while self.input.readline() != b"\r\n":
            pass
        self.heard, self.close = [], "no close frame"

    def hear(self, messages):
        """Messages, large ones by their digest, and pongs: so many messages, or all until the close frame or the end."""
        message = b""
        while messages != 0 and len(head := self.input.read(2)) == 2:
            opcode, length = head[0] & 15, head[1] & 127
            if length > 125:
                length = int.from_bytes(self.input.read(2 if length == 126 else 8), "big")
            payload = self.input.read(length)
            if opcode == CLOSE:
                self.close = int.from_bytes(payload[:2], "big") if payload else None
                return
            if opcode in (PING, PONG):
                self.heard.append([opcode, payload.hex()])
                continue
            message += payload
            if head[0] & 128:
                self.heard.append(["message", hashlib.sha256(message).hexdigest()[:16]])
                message = b""
                messages -= 1


for name, (*frames, last), messages in cases():
    peer = Peer(sys.argv[1])
    try:
        # Each frame alone, or many at once.
        for piece in frames if len(frames) < 100 else [b"".join(frames)]:
            peer.socket.sendall(piece)
        peer.hear(messages)
        peer.socket.sendall(last)
    except OSError:
        pass  # who has been refused need not listen to the rest
    try:
        peer.hear(-1)
    except OSError as error:
        peer.close = type(error).__name__
    print(json.dumps({"case": name, "heard": peer.heard, "close": peer.close}), flush=True)
