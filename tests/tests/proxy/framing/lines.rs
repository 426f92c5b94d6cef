//! HTTP/1 as bytes, and what has to come of it.

use super::Arrives;

/// `HOST` stands for the right authority.
pub(super) const TABLE: &[(&str, &str, Arrives)] = &[
    (
        "a length",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\nabc",
        &[("/a", "abc")],
    ),
    (
        "chunks",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        &[("/a", "abc")],
    ),
    (
        "chunks and a length: the chunks count",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        &[("/a", "abc")],
    ),
    (
        "a length and chunks with a request behind",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[("/a", "")],
    ),
    (
        "a body that looks like a request",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 19\r\n\r\nGET /admin HTTP/1.1",
        &[("/a", "GET /admin HTTP/1.1")],
    ),
    (
        "two lengths",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        &[],
    ),
    (
        "the same length twice",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxy",
        &[("/a", "xy")],
    ),
    (
        "lengths in a list",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2, 2\r\n\r\nxy",
        &[],
    ),
    (
        "a signed length",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: +2\r\n\r\nxy",
        &[],
    ),
    (
        "a length in hex",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0x2\r\n\r\nxy",
        &[],
    ),
    (
        "a huge length",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999999999999999\r\n\r\nxy",
        &[],
    ),
    (
        "chunked twice",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "identity behind chunked",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "chunked behind identity",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "xchunked",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "chunked behind a vertical tab",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "chunked behind spaces",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding:   chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        &[("/a", "x")],
    ),
    (
        "quoted",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "two transfer codings",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "a space before the colon",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "a folded field",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        &[],
    ),
    (
        "a folded first field",
        "POST /a HTTP/1.1\r\n Host: HOST\r\n\r\n",
        &[],
    ),
    (
        "a bare carriage return in a value",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n",
        &[],
    ),
    (
        "NUL in a value",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nX: a\0b\r\n\r\n",
        &[],
    ),
    (
        "bare line feeds are line ends, here and behind",
        "GET /a HTTP/1.1\nHost: HOST\nX: 1\n\n",
        &[("/a", "")],
    ),
    (
        "a line feed hides a field",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nX: 1\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[("/a", "")],
    ),
    (
        "chunk extensions are dropped",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n",
        &[("/a", "abc")],
    ),
    (
        "a line feed in a chunk extension",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nxyz\r\nabc\r\n0\r\n\r\n",
        &[],
    ),
    (
        "a huge chunk",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        &[],
    ),
    (
        "a chunk of a negative size",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        &[],
    ),
    (
        "a chunk with a prefix",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        &[],
    ),
    (
        "a chunk longer than its size",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        &[],
    ),
    (
        "a chunk that ends in a line feed",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        &[],
    ),
    (
        "framing in trailers",
        "POST /a HTTP/1.1\r\nHost: HOST\r\nTrailer: content-length, x-sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: other\r\nX-Sum: 1\r\n\r\n",
        &[("/a", "x")],
    ),
    (
        "an absolute form that agrees",
        "GET http://HOST/a HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[("/a", "")],
    ),
    (
        "an absolute form that disagrees",
        "GET http://other/a HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "an absolute form with user information",
        "GET http://HOST@other/a HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "two hosts",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nHost: other\r\n\r\n",
        &[],
    ),
    ("no host", "GET /a HTTP/1.1\r\n\r\n", &[]),
    (
        "hosts in a list",
        "GET /a HTTP/1.1\r\nHost: HOST, other\r\n\r\n",
        &[],
    ),
    (
        "a host behind another name",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-Host: other\r\n\r\n",
        &[("/a", "")],
    ),
    (
        "a target with a space",
        "GET /a b HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "a target with a tab",
        "GET /a\tb HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "a fragment",
        "GET /a#/admin HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[("/a", "")],
    ),
    (
        "dot segments",
        "GET /a/../admin HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "dot segments before parameters",
        "GET /a/..;/admin HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "encoded twice",
        "GET /a/%252e%252e/admin HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "doubled slashes are decided as one",
        "GET //admin HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "doubled slashes are left as they are",
        "GET /a//b HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[("/a//b", "")],
    ),
    (
        "a GET with a body",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[("/a", "abc"), ("/b", "")],
    ),
    (
        "a request behind a refused one with a body",
        "POST /admin HTTP/1.1\r\nHost: HOST\r\nContent-Length: 36\r\n\r\nGET /a HTTP/1.1\r\nHost: HOST\r\nX: yz\r\n\r\n",
        &[],
    ),
    (
        "a request behind what is none",
        "GET /a\0 HTTP/1.1\r\nHost: HOST\r\n\r\nGET /b HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    (
        "a field that Connection names",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nConnection: close, host, content-length\r\n\r\n",
        &[("/a", "")],
    ),
    (
        "an unknown version",
        "GET /a HTTP/1.2\r\nHost: HOST\r\n\r\n",
        &[],
    ),
    ("the version before versions", "GET /a\r\n\r\n", &[]),
    (
        "a method override",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
        &[],
    ),
    (
        "an upgrade nobody asked for",
        "GET /a HTTP/1.1\r\nHost: HOST\r\nConnection: upgrade\r\nUpgrade: tls/1.2\r\n\r\n",
        &[("/a", "")],
    ),
];
