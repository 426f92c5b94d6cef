"""For each line of input, calls `https://NAME/hello` with clients and TLS contexts of three ages, and prints a line of JSON: what each got.

`context` was made before the first line, `pool` likewise, `bundle` reads its certificates for each connection. Nothing here knows of Tollgate.
"""

import json
import ssl
import sys
import urllib.request

import requests
import urllib3

url = f"https://{sys.argv[1]}/hello"
context = ssl.create_default_context()
pool = urllib3.PoolManager(retries=False)


def urlopen(context):
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        return answer.status


WAYS = {
    "context": lambda: urlopen(context),
    "pool": lambda: pool.request("GET", url, timeout=10).status,
    "fresh": lambda: urlopen(None),
    "bundle": lambda: requests.get(url, timeout=10).status_code,
}

for line in sys.stdin:
    told = {}
    for name, call in WAYS.items():
        try:
            told[name] = call()
        except Exception as error:
            told[name] = "untrusted" if "CERTIFICATE_VERIFY_FAILED" in str(error) else f"{type(error).__name__}: {error}"
    print(json.dumps(told), flush=True)
