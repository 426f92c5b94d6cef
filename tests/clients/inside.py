"""What a program finds where it runs: what ordinary agents do, and what a hostile one tries. Prints one JSON object.

Usage: inside.py work FILE DEVICE | inside.py escape PID SOCKET
"""

import ctypes
import errno
import http.server
import json
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request

LIBC = ctypes.CDLL(None, use_errno=True)


def double(number):
    return 2 * number


def pooled(way):
    with multiprocessing.get_context(way).Pool(2) as pool:
        return pool.map(double, [1, 2, 3])


def stored(path):
    database = sqlite3.connect(path)
    with database:
        database.execute("CREATE TABLE notes (text)")
        database.execute("INSERT INTO notes VALUES ('kept')")
    return database.execute("SELECT text FROM notes").fetchone()[0]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"own server")

    def log_message(self, *_):
        pass


def served():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=10) as answer:
        return answer.read().decode()


def own_abstract():
    name = f"\0tollgate-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(name)
        server.listen()
        client.connect(name)
        return "connected"


def terminal():
    """A program in a terminal of its own, as `script` gives it one."""
    done = subprocess.run(["script", "-qec", "test -t 0 && echo a terminal", "/dev/null"], capture_output=True, check=False)
    return done.stdout.decode().strip()


def status(field):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(field + ":"))


def work(path, device):
    # The one of the listing itself is gone by now.
    descriptors = [number for number in map(int, os.listdir("/proc/self/fd")) if still_open(number)]
    with open(device, "r+b", buffering=0) as opened:
        opened.write(b"to the device")
    return {
        "spawn": pooled("spawn"),
        "fork": pooled("fork"),
        "stored": stored(path),
        "served": served(),
        "abstract": own_abstract(),
        "terminal": terminal(),
        "shell": subprocess.run("echo one | cat", shell=True, capture_output=True, check=True).stdout.decode(),
        "descriptors": descriptors,
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "no_new_privs": status("NoNewPrivs"),
        "seccomp": status("Seccomp"),
        "capabilities": status("CapEff"),
        "interfaces": [name for _, name in socket.if_nameindex()],
    }


def still_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def call(name, *arguments):
    result = getattr(LIBC, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def attach(pid):
    call("ptrace", 16, pid, None, None)
    os.waitpid(pid, 0)
    call("ptrace", 17, pid, None, None)


def read_memory(pid):
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    try:
        with open(f"/proc/{pid}/maps") as maps:
            start = int(maps.readline().split("-")[0], 16)
    except FileNotFoundError:
        start = 0
    buffer = ctypes.create_string_buffer(16)
    local, remote = Vector(ctypes.addressof(buffer), 16), Vector(start, 16)
    call("process_vm_readv", pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)


def take_descriptor(pid):
    call("syscall", 438, os.pidfd_open(pid), 0, 0)


def enter(pid):
    with open(f"/proc/{pid}/ns/net") as namespace:
        call("setns", namespace.fileno(), 0)


def in_child(work, *arguments):
    """Some leave the process changed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, attempt(work, *arguments).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as result:
        return result.read()


def attempt(work, *arguments):
    try:
        work(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "done"


def typing():
    """What is typed at a terminal by a program (TIOCSTI), at one that it has made its own."""
    terminal = os.openpty()[1]
    os.setsid()
    call("ioctl", terminal, 0x540E, 0)
    call("ioctl", terminal, 0x5412, b"x")


def hosts_socket(name):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name)


def made(*kind):
    socket.socket(*kind).close()


def escape(pid, name):
    attempts = {
        "packet": (made, socket.AF_PACKET, socket.SOCK_DGRAM),
        "raw": (made, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "vsock": (made, socket.AF_VSOCK, socket.SOCK_STREAM),
        "alg": (made, socket.AF_ALG, socket.SOCK_SEQPACKET),
        "io_uring": (call, "syscall", 425, 1, ctypes.create_string_buffer(256)),
        "unshare user": (call, "unshare", 0x10000000),
        "unshare network": (call, "unshare", 0x40000000),
        "mount": (call, "mount", b"none", b"/mnt", b"tmpfs", 0, None),
        "keys": (call, "syscall", 250, 0, -3, 1),
        "typing": (typing,),
        "ptrace": (attach, pid),
        "memory": (read_memory, pid),
        "descriptor": (take_descriptor, pid),
        "own descriptor": (take_descriptor, os.getpid()),
        "setns": (enter, pid),
        "own setns": (enter, os.getpid()),
        "abstract": (hosts_socket, name),
        "signal": (os.kill, pid, 0),
    }
    # In a mount namespace of its own, so that the control's mount is gone with the child.
    return {key: in_child(in_own, *value) if key == "mount" else in_child(*value) for key, value in attempts.items()}


def in_own(*arguments):
    try:
        call("unshare", 0x20000)
        LIBC.mount(None, b"/", None, 0x44000, None)
    except OSError:
        pass
    call(*arguments[1:])


match sys.argv[1:]:
    case ["work", path, device]:
        if __name__ == "__main__":
            print(json.dumps(work(path, device)))
    case ["escape", pid, name]:
        print(json.dumps(escape(int(pid), name)))
