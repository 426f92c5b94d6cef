"""Opens files in the folder that is named, in each way there is, and prints a line of JSON with what came of it. Nothing here knows of Tollgate."""

import ctypes
import errno
import fcntl
import json
import os
import struct
import subprocess
import sys
import threading

FOLDER = sys.argv[1]
os.chdir(FOLDER)
FOUND = {}


def tell(name, attempt):
    try:
        FOUND[name] = attempt()
    except OSError as error:
        FOUND[name] = errno.errorcode[error.errno]


def text(fd):
    with open(fd) as file:
        return file.read()


def beside():
    """By a descriptor of the folder, from a thread that has a folder of its own."""
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    read = os.open("etc/hostname", os.O_RDONLY, dir_fd=folder)
    os.close(read)
    folder = os.open(FOLDER, os.O_PATH)
    return text(os.open("cacert.pem", os.O_RDONLY, dir_fd=folder))


def second(flags, resolve=0):
    """openat2(2)"""
    how = struct.pack("QQQ", flags, 0, resolve)
    fd = ctypes.CDLL(None, use_errno=True).syscall(437, -100, b"cacert.pem", how, len(how))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "openat2")
    return text(fd)


def written():
    with open("cacert.pem", "r+") as file:
        file.seek(0, os.SEEK_END)
        file.write("# written\n")
    return os.stat("cacert.pem").st_size


def sealed():
    fd = os.open("cacert.pem", os.O_RDONLY | os.O_CLOEXEC)
    path = os.readlink(f"/proc/self/fd/{fd}")
    flags = fcntl.fcntl(fd, fcntl.F_GETFD), fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE, fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    try:
        os.write(fd, b"x")
    except OSError as error:
        return [path.split(" ")[0], *flags, errno.errorcode[error.errno]]


def waits():
    """Whoever opens the end of a pipe waits for the other; others go on meanwhile."""
    opened = threading.Thread(target=lambda: open("pipe/cacert.pem").close(), daemon=True)
    opened.start()
    read = text(os.open("plain.txt", os.O_RDONLY))
    os.close(os.open("pipe/cacert.pem", os.O_WRONLY))
    opened.join(10)
    return [read, opened.is_alive()]


def copied():
    subprocess.run(["cp", "cacert.pem", "copy.txt"], check=True)
    subprocess.run(["cp", "-P", "cacert.pem", "second.txt"], check=True)
    return [open("copy.txt").read(), open("second.txt").read()]


tell("bundle", lambda: open("cacert.pem").read())
tell("absolute", lambda: open(f"{FOLDER}/cacert.pem").read())
tell("beside", beside)
tell("second", lambda: second(os.O_RDONLY))
tell("by link", lambda: open("link/cacert.pem").read())
tell("no certificate", lambda: open("none/cacert.pem").read())
tell("other name", lambda: open("plain.txt").read())
tell("missing", lambda: open("missing/cacert.pem").read())
tell("folder", lambda: len(os.listdir(os.open("folder/cacert.pem", os.O_RDONLY))))
tell("others' own", lambda: open("theirs/cacert.pem").read())
tell("link to others' own", lambda: open("led/cacert.pem").read())
tell("sealed", sealed)
tell("waits", waits)
tell("copied", copied)
tell("written", written)
print(json.dumps(FOUND))
