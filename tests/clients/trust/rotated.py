"""For each line of input, calls `https://NAME/hello` in several ways and prints a line of JSON: what each got, and who signed.

`context` and `session` were made before the first line; `once` read its roots then and reads nothing later, as Node, Java and Go do. `bundle` and
`curl` read them for each connection. `issuers` are the units in the issuer's name before and after the calls. Nothing here knows of Tollgate.
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.request

import requests

name = sys.argv[1]
url = f"https://{name}/hello"
context = ssl.create_default_context()
once = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
once.load_verify_locations(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
session = requests.Session()


def urlopen(context):
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        return answer.status


def curl():
    call = ["curl", "--silent", "--max-time", "10", "--output", "/dev/null", "--write-out", "%{http_code}", url]
    done = subprocess.run(call, capture_output=True, text=True)
    if done.returncode == 60:
        return "untrusted"
    return int(done.stdout)


def issuer():
    with socket.create_connection((name, 443), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secured:
            secured.sendall(f"GET /hello HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            while secured.recv(4096):
                pass
            fields = dict(pair for part in secured.getpeercert()["issuer"] for pair in part)
            return fields.get("organizationalUnitName")


WAYS = {
    "context": lambda: urlopen(context),
    "once": lambda: urlopen(once),
    "session": lambda: session.get(url, timeout=10).status_code,
    "bundle": lambda: requests.get(url, timeout=10).status_code,
    "curl": curl,
}


def outcome(call):
    try:
        return call()
    except Exception as error:
        return "untrusted" if "CERTIFICATE_VERIFY_FAILED" in str(error) else f"{type(error).__name__}: {error}"


for line in sys.stdin:
    before = outcome(issuer)
    told = {way: outcome(call) for way, call in WAYS.items()}
    told["issuers"] = [before, outcome(issuer)]
    print(json.dumps(told), flush=True)
