//! HTTP/2 as fields, and what has to come of it in HTTP/1.

use super::Arrives;

type Fields = &'static [(&'static str, &'static str)];

/// HTTP/2 requests that would be another request in HTTP/1: the fields before `host` are pseudo fields or come with them.
pub(super) const DOWNGRADED: &[(&str, Fields, &str, Arrives)] = &[
    ("a request", &[], "", &[("/a", "")]),
    (
        "a body",
        &[("content-length", "3")],
        "abc",
        &[("/a", "abc")],
    ),
    ("a body of unknown length", &[], "abc", &[("/a", "abc")]),
    (
        "a length that is too short",
        &[("content-length", "2")],
        "abc",
        &[],
    ),
    (
        "a length that is too long",
        &[("content-length", "30")],
        "abc",
        &[],
    ),
    (
        "two lengths",
        &[("content-length", "3"), ("content-length", "4")],
        "abc",
        &[],
    ),
    (
        "a transfer coding",
        &[("transfer-encoding", "chunked")],
        "0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n",
        &[],
    ),
    ("connection", &[("connection", "keep-alive")], "", &[]),
    ("upgrade", &[("upgrade", "h2c")], "", &[]),
    ("te other than trailers", &[("te", "gzip")], "", &[]),
    (
        "a line break in a value",
        &[("x", "a\r\ntransfer-encoding: chunked")],
        "",
        &[],
    ),
    (
        "a line feed in a value",
        &[("x", "a\nhost: other")],
        "",
        &[],
    ),
    ("NUL in a value", &[("x", "a\0b")], "", &[]),
    ("a line break in a name", &[("x\r\ny", "a")], "", &[]),
    ("a colon in a name", &[("x: a\r\ny", "a")], "", &[]),
    ("upper case in a name", &[("X-Upper", "a")], "", &[]),
    ("a host that disagrees", &[("host", "other")], "", &[]),
    ("a second path", &[(":path", "/admin")], "", &[]),
    ("a pseudo field of answers", &[(":status", "200")], "", &[]),
    ("an unknown pseudo field", &[(":x", "1")], "", &[]),
];

/// As [`DOWNGRADED`], in place of the right pseudo fields.
pub(super) const PSEUDO: &[(&str, &str, &str)] = &[
    (
        "a method that is a request line",
        ":method",
        "GET /admin HTTP/1.1\r\nhost: x\r\n\r\nGET",
    ),
    ("a method with a space", ":method", "GET /admin"),
    (
        "a path with a line break",
        ":path",
        "/a HTTP/1.1\r\nhost: other\r\n\r\nGET /admin",
    ),
    ("a path with a space", ":path", "/a b"),
    ("an empty path", ":path", ""),
    ("a path that is none", ":path", "admin"),
    ("dot segments", ":path", "/a/../admin"),
    ("another authority", ":authority", "other"),
    (
        "an authority with user information",
        ":authority",
        "u@AUTHORITY",
    ),
    ("an authority with a path", ":authority", "AUTHORITY/admin"),
    (
        "an authority with a line break",
        ":authority",
        "AUTHORITY\r\nx: y",
    ),
    ("an empty authority", ":authority", ""),
];
