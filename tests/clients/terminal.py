"""A person at a terminal who starts a command that is a shell, and interrupts, stops and continues what runs in it.

Usage: terminal.py COMMAND ARGUMENT...

Says "ok" when all was as at any terminal, else what was there instead.
"""

import os
import pty
import select
import sys
import time

PATIENCE = 20
# Typed so that the terminal's echo of it is not taken for its output.
BUSY = b"sh -c 'echo be''gun; exec sleep 1000'\n"


def main():
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    seen = b""

    def until(text):
        nonlocal seen
        deadline = time.monotonic() + PATIENCE
        while text not in seen:
            if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
                sys.exit(f"no {text!r} in {seen!r}")
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                sys.exit(f"ended without {text!r}: {seen!r}")
        seen = seen[seen.index(text) + len(text) :]

    def type_in(text):
        os.write(terminal, text)

    type_in(b"PS1=; echo rea''dy\n")
    until(b"ready")
    shell = os.tcgetpgrp(terminal)
    type_in(BUSY)
    until(b"begun")
    type_in(b"\x03")
    type_in(b"echo inter''rupted $?\n")
    until(b"interrupted 130")
    type_in(BUSY)
    until(b"begun")
    type_in(b"\x1a")
    until(b"Stopped")
    type_in(b"jobs; echo lis''ted\n")
    until(b"Stopped")
    until(b"listed")
    type_in(b"fg\n")
    until(b"sleep 1000")
    # The shell says what it continues before that has the terminal.
    deadline = time.monotonic() + PATIENCE
    while os.tcgetpgrp(terminal) == shell:
        if time.monotonic() > deadline:
            sys.exit("the job did not get the terminal")
        time.sleep(0.005)
    type_in(b"\x03")
    type_in(b"echo a''gain $?\n")
    until(b"again 130")
    type_in(b"jobs; test -t 0 && echo at a ter''minal\n")
    until(b"at a terminal")
    type_in(b"exit 7\n")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ok" if status == 7 else f"ended with {status}")


main()
