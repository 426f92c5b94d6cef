"""Says of each request on its input (a JSON list) whose key has signed it, and whether the signature is the one that botocore's own signer makes.

Arguments: the keys, each `ID:SECRET` or `ID:SECRET:TOKEN`. One JSON object a line. Nothing here knows of Tollgate.
"""

import json
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEYS = {key.split(":")[0]: Credentials(*key.split(":")) for key in sys.argv[1:]}


def checked(request):
    headers = dict(request["headers"])
    fields = dict(field.split("=", 1) for field in headers["authorization"].split(" ", 1)[1].split(", "))
    name, _, region, service, _ = fields["Credential"].split("/")
    key = KEYS[name]
    signed = [header for header in fields["SignedHeaders"].split(";") if header != "host"]
    url = "https://" + headers["host"] + request["path"]
    again = AWSRequest(request["method"], url, {header: headers[header] for header in signed}, request["body"].encode())
    again.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(key, service, region)
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    right = signature == fields["Signature"] and headers.get("x-amz-security-token") == key.token
    return {"key": name, "region": region, "service": service, "right": right}


for request in json.load(sys.stdin):
    print(json.dumps(checked(request)))
