"""An index of Python packages and one of Debian's, each with one package, over TLS.

Usage: packages_server.py ADDRESS CERTIFICATE KEY. Says `ready` when it listens, and ends with its input.
"""

import hashlib
import http.server
import io
import ssl
import sys
import threading
import zipfile

DEB = b"a package"


def wheel():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("parcel.py", "CONTENT = 'arrived'\n")
        info = "parcel-1.0.dist-info/"
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        files = ["parcel.py", info + "METADATA", info + "WHEEL", info + "RECORD"]
        archive.writestr(info + "RECORD", "".join(f"{name},,\n" for name in files))
    return content.getvalue()


WHEEL = wheel()
NAME = "parcel-1.0-py3-none-any.whl"
SERVED = {
    "/simple/parcel/": ("text/html", f'<a href="/{NAME}#sha256={hashlib.sha256(WHEEL).hexdigest()}">{NAME}</a>'.encode()),
    f"/{NAME}": ("application/zip", WHEEL),
    "/apt/dists/stable/main/binary-amd64/Packages": (
        "text/plain",
        "Package: parcel\nVersion: 1.0\nArchitecture: all\nMaintainer: T <t@example.test>\nDescription: a package\n"
        f"Filename: pool/parcel_1.0_all.deb\nSize: {len(DEB)}\nSHA256: {hashlib.sha256(DEB).hexdigest()}\n\n".encode(),
    ),
    "/apt/pool/parcel_1.0_all.deb": ("application/octet-stream", DEB),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        kind, content = SERVED.get(self.path.replace("binary-arm64", "binary-amd64"), (None, b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def do_GET(self):
        self.wfile.write(self.do_HEAD())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    # A client that does not trust the certificate is no news.
    def handle_error(self, *_):
        pass


address, certificate, key = sys.argv[1:]
host, port = address.rsplit(":", 1)
server = Server((host, int(port)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
