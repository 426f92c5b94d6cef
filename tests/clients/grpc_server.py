"""A gRPC server without generated code: it echoes one message, a stream of messages as they come, and fails as it is told.

Arguments: address, certificate, key. It prints `ready` once it listens, and ends with its input.
"""

import sys
from concurrent import futures

import grpc

SERVICE = "test.Echo"


def unary(request, context):
    context.set_trailing_metadata((("x-length", str(len(request))),))
    return request


def stream(requests, context):
    """Answers each message before the next is read: a client that waits for each answer shows that nothing is held back."""
    for request in requests:
        yield request[::-1]


def fail(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"not today: {request.decode()} \u2713")


def main():
    address, certificate, key = sys.argv[1:]
    server = grpc.server(futures.ThreadPoolExecutor(4))
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    pair = tuple(open(path, "rb").read() for path in (key, certificate))
    server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(None)


main()
