"""Load that keeps a record of itself.

Usage: load.py PERMITTED FORBIDDEN

Asks for numbered paths of the permitted host, over a new connection each time and over kept-alive ones, and of the forbidden one, until its
input ends. Then prints, for each kind, how many got the expected answer, and every failure.
"""

import itertools
import json
import sys
import threading

import requests

PERMITTED, FORBIDDEN = sys.argv[1:]
numbers, over = itertools.count(), threading.Event()
told = {"fresh": [0, []], "kept": [0, []], "forbidden": [0, []]}


def ask(kind, host, expected, get):
    while not over.is_set():
        number = next(numbers)
        try:
            status = get(f"https://{host}/{number}", timeout=30).status_code
            assert status == expected, status
            told[kind][0] += 1
        except Exception as error:
            told[kind][1].append(repr(error))
        over.wait(0.005)


def main():
    # The upstream has nothing there; what matters is that it was asked.
    asking = [("fresh", PERMITTED, 404, requests.get)] * 3
    asking += [("kept", PERMITTED, 404, requests.Session().get) for _ in range(3)]
    asking += [("forbidden", FORBIDDEN, 403, requests.get)]
    threads = [threading.Thread(target=ask, args=arguments) for arguments in asking]
    for thread in threads:
        thread.start()
    print("started", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps(told), flush=True)


main()
