"""What systemd does for a service of Type=notify with a descriptor store, as far as a restart needs it.

Usage: service.py NOTIFY_SOCKET PROGRAM ARGUMENT...

Takes the sockets that the program asks to have kept (sd_notify(3), FDSTORE) and hands them to the next one (sd_listen_fds(3)).
Says "ready N" with the number of kept sockets when the program is ready. A line of input is another PROGRAM to go on with: the old one
is stopped first. Ends when the program does, with its status.
"""

import fcntl
import os
import select
import signal
import socket
import sys

PATH, COMMAND = sys.argv[1], sys.argv[2:]
SO_NETNS_COOKIE = 71
kept = {}


def start():
    child = os.fork()
    if child:
        return child
    # Out of the way of the numbers that they get.
    sockets = [fcntl.fcntl(each, fcntl.F_DUPFD, 256) for each in kept.values()]
    for number, each in enumerate(sockets, 3):
        os.dup2(each, number)
    os.closerange(3 + len(sockets), 1024)
    told = {"NOTIFY_SOCKET": PATH, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets))}
    os.execvpe("setpriv", ["setpriv", "--pdeathsig", "KILL", *COMMAND], os.environ | told)


def keep(name, descriptors):
    for descriptor in descriptors:
        each = socket.socket(fileno=descriptor)
        # One that is kept already is told again by the next daemon. Network namespaces have the same addresses.
        namespace = each.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        kept.setdefault((name, namespace, each.type, each.getsockname()[:2]), each)


def give_up(name):
    for key in [key for key in kept if key[0] == name]:
        kept.pop(key).close()


def main():
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(PATH)
    child = start()
    while True:
        readable, _, _ = select.select([notify, sys.stdin], [], [], 0.02)
        if notify in readable:
            text, descriptors, _, _ = socket.recv_fds(notify, 4096, 16)
            told = dict(line.split(b"=", 1) for line in text.splitlines())
            if b"FDSTORE" in told:
                keep(told[b"FDNAME"], descriptors)
            if b"FDSTOREREMOVE" in told:
                give_up(told[b"FDNAME"])
            if b"READY=1" in text:
                print("ready", len(kept), flush=True)
        elif sys.stdin in readable:
            program = sys.stdin.readline().strip()
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
            if not program:
                return 0
            COMMAND[0] = program
            child = start()
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) & 255


sys.exit(main())
