"""Looks names up in the ways of different resolvers, and prints what each found, one JSON line for each call.

Reads a JSON list of calls. `how` is "libc" (getaddrinfo), "pool" (two questions on one socket, as Go and musl ask), "many" (as musl does, to two
servers at once), or "tcp" (a question by TCP). `server` is the resolver that is asked where libc does not choose it.
"""

import json
import socket
import struct
import sys

TYPES = {"A": 1, "TXT": 16, "AAAA": 28, "HTTPS": 65}


def question(number, name, kind, room=0):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    asked = struct.pack(">6H", number, 0x0100, 1, 0, 0, 1 if room else 0) + labels + b"\0" + struct.pack(">2H", TYPES[kind], 1)
    return asked + (b"\0" + struct.pack(">HHIH", 41, room, 0, 0) if room else b"")


def told(message):
    number, flags, _, answers = struct.unpack(">4H", message[:8])
    return {"id": number, "code": flags & 15, "cut": bool(flags & 0x0200), "answers": answers, "bytes": len(message)}


def libc(call):
    try:
        found = socket.getaddrinfo(call["name"], 80, type=socket.SOCK_STREAM)
        return {"addresses": sorted({at[4][0] for at in found})}
    except socket.gaierror as error:
        return {"error": error.errno, "no-name": error.errno == socket.EAI_NONAME}


def pool(call):
    """Both questions leave before an answer is read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.connect((call["server"], 53))
        for number, kind in enumerate(call["types"], 1):
            asking.send(question(number, call["name"], kind, call.get("room", 0)))
        answers = [told(asking.recv(65535)) for _ in call["types"]]
    return {"answers": sorted(answers, key=lambda answer: answer["id"])}


def many(call):
    """One socket asks two servers, and takes only what comes from one of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        servers = [(server, 53) for server in call["servers"]]
        for server in servers:
            for number, kind in enumerate(("A", "AAAA"), 1):
                asking.sendto(question(number, call["name"], kind), server)
        answers = []
        while len({answer["id"] for answer in answers}) < 2:
            message, sender = asking.recvfrom(65535)
            if sender not in servers:
                return {"stranger": sender}
            answers.append(told(message))
    return {"answers": sorted({answer["id"]: answer for answer in answers}.values(), key=lambda answer: answer["id"])}


def tcp(call):
    with socket.create_connection((call["server"], 53), timeout=5) as asking:
        peer = asking.getpeername()
        for number, kind in enumerate(call["types"], 1):
            asked = question(number, call["name"], kind)
            asking.sendall(struct.pack(">H", len(asked)) + asked)
        reading = asking.makefile("rb")
        answers = [told(reading.read(struct.unpack(">H", reading.read(2))[0])) for _ in call["types"]]
    return {"answers": answers, "peer": peer[0]}


for each in json.load(sys.stdin):
    print(json.dumps({"libc": libc, "pool": pool, "many": many, "tcp": tcp}[each["how"]](each)), flush=True)
