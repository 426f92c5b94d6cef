//! Sequences of frames, and what must come of each.

const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const ACK: u8 = 1;
const PADDED: u8 = 8;

/// Error codes (RFC 9113, section 7).
pub(super) const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

/// What must come of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// The connection ends, with one of these codes if it says why (section 5.4.1: SHOULD). The library also says PROTOCOL_ERROR where a
    /// frame cannot be decoded at all.
    Connection(&'static [u32]),
    /// The stream ends with this code, or with a refusal; the connection goes on.
    Stream(u32),
    /// Nothing: the connection goes on.
    Ignored,
}

use Expect::{Connection, Ignored, Stream};

/// Each with the section that forbids it.
pub(super) fn cases(authority: &str) -> Vec<(&'static str, Vec<u8>, Expect)> {
    let get = block(authority, &[]);
    let headers = |stream, flags, block: &[u8]| frame(HEADERS, flags, stream, block);
    let open = headers(1, END_HEADERS, &post(authority, &[]));
    let then = |first: &[u8], second: Vec<u8>| [first, &second].concat();
    let setting = |id: u16, value: u32| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let with =
        |fields: &[(&str, &str)]| headers(1, END_STREAM | END_HEADERS, &block(authority, fields));
    vec![
        (
            "4.2 a frame larger than the limit",
            frame(DATA, 0, 1, &[0; 16_385]),
            Connection(&[FRAME_SIZE, PROTOCOL]),
        ),
        (
            "4.3 a header block that cannot be decoded",
            headers(
                1,
                END_STREAM | END_HEADERS,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            ),
            Connection(&[COMPRESSION]),
        ),
        (
            "5.1 DATA on an idle stream",
            frame(DATA, END_STREAM, 1, b"x"),
            Connection(&[PROTOCOL, STREAM_CLOSED]),
        ),
        (
            "5.1 RST_STREAM on an idle stream",
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.1 WINDOW_UPDATE on an idle stream",
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.1.1 a stream with an even number",
            headers(2, END_STREAM | END_HEADERS, &get),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.5 a frame of an unknown type",
            frame(0xbe, 0, 0, b"grease"),
            Ignored,
        ),
        (
            "6.1 DATA on the connection",
            frame(DATA, 0, 0, b"x"),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.1 padding longer than the frame",
            then(&open, frame(DATA, PADDED, 1, &[9, 0])),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.2 HEADERS on the connection",
            headers(0, END_STREAM | END_HEADERS, &get),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.2 another frame inside a header block",
            then(&headers(1, END_STREAM, &get), frame(PING, 0, 0, &[0; 8])),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.2 another stream's HEADERS inside a header block",
            then(
                &headers(1, END_STREAM, &get),
                headers(3, END_STREAM | END_HEADERS, &get),
            ),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.3 PRIORITY on the connection",
            frame(PRIORITY, 0, 0, &[0; 5]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.4 RST_STREAM on the connection",
            frame(RST_STREAM, 0, 0, &[0; 4]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.4 RST_STREAM of a wrong length",
            then(&open, frame(RST_STREAM, 0, 1, &[0; 3])),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.5 SETTINGS on a stream",
            frame(SETTINGS, 0, 1, &[]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.5 SETTINGS of a wrong length",
            frame(SETTINGS, 0, 0, &[0; 5]),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.5 an acknowledgement that says something",
            frame(SETTINGS, ACK, 0, &setting(3, 1)),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.5.2 ENABLE_PUSH that is no flag",
            frame(SETTINGS, 0, 0, &setting(2, 2)),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.5.2 a window that is too large",
            frame(SETTINGS, 0, 0, &setting(4, 1 << 31)),
            Connection(&[FLOW_CONTROL]),
        ),
        (
            "6.5.2 a frame size below the least",
            frame(SETTINGS, 0, 0, &setting(5, 16_383)),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.5.2 a setting that is unknown",
            frame(SETTINGS, 0, 0, &setting(0xbeef, 1)),
            Ignored,
        ),
        (
            "6.6 PUSH_PROMISE of a client",
            then(&open, frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.7 PING on a stream",
            frame(PING, 0, 1, &[0; 8]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.7 PING of a wrong length",
            frame(PING, 0, 0, &[0; 7]),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.8 GOAWAY on a stream",
            frame(GOAWAY, 0, 1, &[0; 8]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.9 WINDOW_UPDATE of nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.9 WINDOW_UPDATE of a wrong length",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.9.1 a window that overflows",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            Connection(&[FLOW_CONTROL]),
        ),
        (
            "6.10 CONTINUATION of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &get),
            Connection(&[PROTOCOL]),
        ),
        (
            "8.1.1 a body longer than content-length",
            then(
                &headers(1, END_HEADERS, &post(authority, &[("content-length", "1")])),
                frame(DATA, END_STREAM, 1, b"xy"),
            ),
            Stream(PROTOCOL),
        ),
        (
            "8.1.1 a body shorter than content-length",
            then(
                &headers(1, END_HEADERS, &post(authority, &[("content-length", "3")])),
                frame(DATA, END_STREAM, 1, b"xy"),
            ),
            Stream(PROTOCOL),
        ),
        (
            "8.2.1 a name in upper case",
            with(&[("X-Upper", "1")]),
            Stream(PROTOCOL),
        ),
        (
            "8.2.2 connection",
            with(&[("connection", "x-secret")]),
            Stream(PROTOCOL),
        ),
        (
            "8.2.2 transfer-encoding",
            with(&[("transfer-encoding", "chunked")]),
            Stream(PROTOCOL),
        ),
        (
            "8.2.2 te that is not trailers",
            with(&[("te", "gzip")]),
            Stream(PROTOCOL),
        ),
        (
            "8.2.1 a line break in a value",
            with(&[("x-a", "1\r\nx-b: 2")]),
            Stream(PROTOCOL),
        ),
        (
            "8.3 a pseudo-header after a header",
            with(&[("x-a", "1"), (":path", "/other")]),
            Stream(PROTOCOL),
        ),
        (
            "8.3 a pseudo-header twice",
            with(&[(":path", "/other")]),
            Stream(PROTOCOL),
        ),
        (
            "8.3 a pseudo-header of answers",
            with(&[(":status", "200")]),
            Stream(PROTOCOL),
        ),
        (
            "8.3 an unknown pseudo-header",
            with(&[(":proto", "x")]),
            Stream(PROTOCOL),
        ),
        (
            "8.3.1 no method",
            headers(
                1,
                END_STREAM | END_HEADERS,
                &fields(&[
                    (":scheme", "https"),
                    (":authority", authority),
                    (":path", "/hello"),
                ]),
            ),
            Stream(PROTOCOL),
        ),
        (
            "8.3.1 an empty path",
            headers(
                1,
                END_STREAM | END_HEADERS,
                &fields(&[
                    (":method", "GET"),
                    (":scheme", "https"),
                    (":authority", authority),
                    (":path", ""),
                ]),
            ),
            Stream(PROTOCOL),
        ),
    ]
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn block(authority: &str, more: &[(&str, &str)]) -> Vec<u8> {
    request("GET", "/hello", authority, more)
}

fn post(authority: &str, more: &[(&str, &str)]) -> Vec<u8> {
    request("POST", "/echo", authority, more)
}

fn request(method: &str, path: &str, authority: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let head = [
        (":method", method),
        (":scheme", "https"),
        (":authority", authority),
        (":path", path),
    ];
    fields(&[&head, more].concat())
}

/// A header block of literals that are not indexed (RFC 7541, section 6.2.2); every text here is shorter than 127 bytes.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap_or(126)], text.as_bytes()].concat();
    fields
        .iter()
        .flat_map(|(name, value)| [vec![0], text(name), text(value)].concat())
        .collect()
}
