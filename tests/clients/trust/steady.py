"""Calls `https://NAME/hello` from four threads without a pause, each time over a connection of its own. For each line of input, prints a line of
JSON: how often each outcome came since the last. The certificates in CA are trusted besides the host's, as a control without Tollgate needs.
"""

import collections
import http.client
import json
import ssl
import sys
import threading

name, ca = sys.argv[1:]
context = ssl.create_default_context()
context.load_verify_locations(ca)
told = collections.Counter()
lock = threading.Lock()


def outcome():
    connection = http.client.HTTPSConnection(name, timeout=5, context=context)
    try:
        connection.request("GET", "/hello")
        return str(connection.getresponse().status)
    except Exception as error:
        return "untrusted" if "CERTIFICATE_VERIFY_FAILED" in str(error) else type(error).__name__
    finally:
        connection.close()


def call():
    while True:
        result = outcome()
        with lock:
            told[result] += 1


for _ in range(4):
    threading.Thread(target=call, daemon=True).start()

for line in sys.stdin:
    with lock:
        now, told = told, collections.Counter()
    print(json.dumps(now), flush=True)
