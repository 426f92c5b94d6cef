"""For each line of input makes two gRPC calls, by a channel that is kept from the first line on and by a new one, and prints `trusts` or
`untrusted`, or both where they differ. The argument is the name to call. Nothing here knows of Tollgate.
"""

import sys

import grpc

target = f"{sys.argv[1]}:443"
kept = None


def made():
    return grpc.secure_channel(target, grpc.ssl_channel_credentials())


def call(channel):
    try:
        channel.unary_unary("/test.Echo/Say")(b"hello", timeout=10)
    except grpc.RpcError as error:
        # Who was asked answers that it knows no such call.
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return "trusts"
        if "CERTIFICATE_VERIFY_FAILED" in error.details():
            return "untrusted"
        return error.details().replace("\n", " ")
    return "trusts"


for line in sys.stdin:
    kept = kept or made()
    with made() as fresh:
        told = {call(kept), call(fresh)}
    print(*told, flush=True)
