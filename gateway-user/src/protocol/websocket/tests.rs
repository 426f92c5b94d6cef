//! Frames at every split and at random, the examples of the RFC, and handshakes over both versions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use hyper::ext::Protocol;
use proptest::prelude::*;

use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn head(opcode: Opcode, fin: bool, mask: Option<[u8; 4]>, length: usize) -> Head {
    Head {
        fin,
        compressed: false,
        opcode,
        mask,
        length: length as u64,
    }
}

fn frame(opcode: Opcode, fin: bool, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    head(opcode, fin, mask, payload.len()).write_frame(payload, &mut out);
    out.to_vec()
}

/// What `bytes` say in these chunks: pieces with neighbouring payloads put together, and the error behind them.
fn read(from: Peer, chunks: &[&[u8]]) -> (Vec<Piece>, Option<FrameError>) {
    let mut reader = Reader::new(from, false);
    let (mut pieces, mut error) = (Vec::new(), None);
    for chunk in chunks {
        if let Err(found) = reader.push(chunk, &mut pieces) {
            error = Some(found);
            break;
        }
    }
    let mut whole: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (whole.last_mut(), piece) {
            (
                Some(Piece::Payload {
                    wire: before,
                    end: ended @ false,
                }),
                Piece::Payload { wire, end },
            ) => {
                *before = [before.clone(), wire].concat().into();
                *ended = end;
            }
            (_, piece) => whole.push(piece),
        }
    }
    (whole, error)
}

fn wire(pieces: &[Piece]) -> Vec<u8> {
    let wires = pieces.iter().map(|piece| match piece {
        Piece::Begin { wire, .. } | Piece::Payload { wire, .. } | Piece::Control { wire, .. } => {
            wire.clone()
        }
    });
    wires.collect::<Vec<Bytes>>().concat()
}

/// A conversation with everything in it.
fn everything(mask: Option<[u8; 4]>) -> Vec<u8> {
    [
        frame(Opcode::Text, true, mask, b"Hello"),
        frame(Opcode::Text, false, mask, b"Hel"),
        frame(Opcode::Ping, true, mask, b"are you there"),
        frame(Opcode::Continuation, false, mask, b""),
        frame(Opcode::Pong, true, mask, b""),
        frame(Opcode::Continuation, true, mask, b"lo"),
        frame(Opcode::Binary, true, mask, &[7; 126]),
        frame(Opcode::Text, true, mask, b""),
        Close {
            code: Some(1000),
            reason: "bye".to_owned(),
        }
        .frame(mask)
        .to_vec(),
    ]
    .concat()
}

#[test]
fn every_frame_is_read_at_every_split() {
    for (from, mask) in [(Peer::Client, Some(KEY)), (Peer::Server, None)] {
        let bytes = everything(mask);
        let (whole, error) = read(from, &[&bytes]);
        assert_eq!(error, None);
        assert_eq!(wire(&whole), bytes);
        for split in 0..=bytes.len() {
            let (left, right) = bytes.split_at(split);
            assert_eq!(read(from, &[left, right]), (whole.clone(), None), "{split}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(from, &single), (whole, None));
    }
}

#[test]
fn the_examples_of_the_rfc() {
    let hello = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(frame(Opcode::Text, true, Some(KEY), b"Hello"), hello);
    assert_eq!(frame(Opcode::Text, true, None, b"Hello"), *b"\x81\x05Hello");
    assert_eq!(
        frame(Opcode::Binary, true, None, &[0; 256])[..4],
        [0x82, 0x7e, 1, 0]
    );
    assert_eq!(
        frame(Opcode::Binary, true, None, &[0; 65536])[..10],
        [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]
    );
}

#[test]
fn what_ends_could_read_differently_is_an_error_at_every_split() {
    let text = frame(Opcode::Text, false, None, b"a");
    for (bytes, error) in [
        (vec![0xa1, 0x00], FrameError::Reserved),
        (vec![0xc1, 0x00], FrameError::Reserved),
        (vec![0x83, 0x00], FrameError::Opcode(3)),
        (vec![0x8b, 0x00], FrameError::Opcode(11)),
        (vec![0x81, 0x80], FrameError::Masked),
        (vec![0x09, 0x00], FrameError::Control),
        (vec![0x89, 0x7e, 0x00, 0x7e], FrameError::Control),
        (vec![0x81, 0x7e, 0x00, 0x7d], FrameError::Length),
        (
            vec![0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            FrameError::Length,
        ),
        (
            vec![0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0],
            FrameError::TooLarge(1 << 63),
        ),
        (vec![0x80, 0x00], FrameError::Continuation),
        ([text.clone(), text].concat(), FrameError::Interleaved),
        (vec![0x88, 0x01, 0x03], FrameError::HalfCode),
        (vec![0x88, 0x02, 0x03, 0xed], FrameError::Code(1005)),
        (vec![0x88, 0x03, 0x03, 0xe8, 0xff], FrameError::NotUtf8),
    ] {
        let (_, found) = read(Peer::Server, &[&bytes]);
        assert_eq!(found.as_ref(), Some(&error), "{bytes:x?}");
        for split in 0..=bytes.len() {
            let (left, right) = bytes.split_at(split);
            assert_eq!(read(Peer::Server, &[left, right]).1.as_ref(), Some(&error));
        }
    }
    assert_eq!(
        read(Peer::Client, &[&[0x81, 0x00]]).1,
        Some(FrameError::Unmasked)
    );
    // Compression is of the message, so it stands on its first frame, where both ends agreed on it.
    let mut agreed = Reader::new(Peer::Server, true);
    assert_eq!(agreed.push(&[0x41, 0x00], &mut Vec::new()), Ok(()));
    assert_eq!(
        agreed.push(&[0xc0, 0x00], &mut Vec::new()),
        Err(FrameError::Reserved)
    );
}

#[test]
fn behind_a_close_frame_nothing_counts() {
    let close = Close::default().frame(None);
    let (pieces, error) = read(
        Peer::Server,
        &[&[&close[..], b"\xff\xff"].concat(), b"\xff"],
    );
    assert_eq!((pieces.len(), error), (1, None));
}

#[test]
fn codes_that_may_be_sent() {
    let read = |code: u16| Close::read(&code.to_be_bytes());
    for code in [1000, 1003, 1007, 1011, 1014, 3000, 4999] {
        assert_eq!(read(code).unwrap().code, Some(code));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        assert_eq!(read(code), Err(FrameError::Code(code)));
    }
    // A reason that is too long is cut between characters.
    let long = Close {
        code: Some(1008),
        reason: "é".repeat(100),
    };
    let frame = long.frame(None);
    assert_eq!(Close::read(&frame[2..]).unwrap().reason, "é".repeat(61));
}

fn request(version: Version, headers: &[(&'static str, &str)]) -> http::request::Parts {
    let mut request = Request::builder().version(version).uri("/chat");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

const ASKING: &[(&str, &str)] = &[
    ("upgrade", "WebSocket"),
    ("connection", "keep-alive, Upgrade"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
];

#[test]
fn what_asks_for_a_websocket() {
    let parts = request(Version::HTTP_11, ASKING);
    assert!(asked(&parts));
    assert_eq!(check(&parts), Ok(()));
    assert!(!asked(&request(Version::HTTP_10, ASKING)));
    assert!(!asked(&request(Version::HTTP_11, &ASKING[..1])));
    let mut posted = parts.clone();
    posted.method = Method::POST;
    assert!(!asked(&posted));
    // Over HTTP/2 only an extended CONNECT does.
    let mut parts = request(Version::HTTP_2, &ASKING[3..]);
    assert!(!asked(&request(Version::HTTP_2, ASKING)));
    parts.method = Method::CONNECT;
    assert!(!asked(&parts));
    parts.extensions.insert(Protocol::from_static("websocket"));
    assert!(asked(&parts));
    assert_eq!(check(&parts), Ok(()));
    parts
        .extensions
        .insert(Protocol::from_static("connect-udp"));
    assert!(!asked(&parts));
}

#[test]
fn handshakes_that_servers_could_differ_about() {
    let with = |name, value: &str| {
        let mut parts = request(Version::HTTP_11, ASKING);
        parts.headers.append(name, value.parse().unwrap());
        check(&parts)
    };
    let version = Err(HandshakeError::Version);
    assert_eq!(with("sec-websocket-version", "8"), version);
    assert_eq!(check(&request(Version::HTTP_11, &ASKING[..3])), version);
    let key = "AAAAAAAAAAAAAAAAAAAAAA==";
    assert_eq!(with("sec-websocket-key", key), Err(HandshakeError::Key));
    assert_eq!(with("content-length", "1"), Err(HandshakeError::Body));
    assert_eq!(
        with("transfer-encoding", "chunked"),
        Err(HandshakeError::Body)
    );
    assert_eq!(with("content-length", "0"), Ok(()));
    for key in [
        "",
        "abc",
        "AAAAAAAAAAAAAAAAAAAAAB==",
        "AAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAA=A==",
    ] {
        let mut parts = request(Version::HTTP_11, ASKING);
        parts
            .headers
            .insert("sec-websocket-key", key.parse().unwrap());
        assert_eq!(check(&parts), Err(HandshakeError::Key), "{key}");
    }
}

#[test]
fn both_versions_offer_and_accept() {
    let mut parts = request(Version::HTTP_2, &ASKING[3..]);
    parts.method = Method::CONNECT;
    with_key(&mut parts.headers).unwrap();
    let over_http1 = offer(&parts, Version::HTTP_11);
    assert!(asked(&over_http1));
    assert_eq!(check(&over_http1), Ok(()));
    let over_http2 = offer(&over_http1, Version::HTTP_2);
    assert!(asked(&over_http2) && !over_http2.headers.contains_key("sec-websocket-key"));
    let sent = parts.headers;

    let (mut answer, ()) = Response::new(()).into_parts();
    let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
    opened(&mut answer, Version::HTTP_11, Some(&key));
    assert_eq!(
        answer.headers["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert!(switches(answer.status, Version::HTTP_11) && !switches(answer.status, Version::HTTP_2));
    let h1 = Version::HTTP_11;
    assert_eq!(answered(&answer, &sent, h1), Err(HandshakeError::Accept));
    let sent = HeaderMap::from_iter([(http::header::SEC_WEBSOCKET_KEY, key)]);
    assert_eq!(answered(&answer, &sent, h1), Ok(false));
    answer.headers.insert(
        "sec-websocket-extensions",
        "permessage-deflate".parse().unwrap(),
    );
    assert_eq!(answered(&answer, &sent, h1), Err(HandshakeError::Extension));
    opened(&mut answer, Version::HTTP_2, None);
    assert!(switches(answer.status, Version::HTTP_2));
    assert!(!answer.headers.contains_key("sec-websocket-accept"));
}

fn any_frame(mask: Option<[u8; 4]>) -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    (payload, 0..5_u8).prop_map(move |(payload, kind)| {
        let short = &payload[..payload.len().min(125)];
        match kind {
            0 => frame(Opcode::Ping, true, mask, short),
            1 => frame(Opcode::Binary, true, mask, &payload),
            2 => [
                frame(Opcode::Text, false, mask, &payload),
                frame(Opcode::Pong, true, mask, short),
                frame(Opcode::Continuation, true, mask, short),
            ]
            .concat(),
            3 => frame(Opcode::Text, true, mask, &payload.repeat(330)),
            _ => frame(Opcode::Text, true, mask, &payload),
        }
    })
}

proptest! {
    #[test]
    fn chunks_make_no_difference(
        frames in prop::collection::vec(any_frame(Some([1, 2, 3, 4])), 0..6),
        cuts in prop::collection::vec(0usize..4000, 0..12),
    ) {
        let bytes = frames.concat();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        let (pieces, error) = read(Peer::Client, &chunks);
        prop_assert_eq!(&error, &None);
        prop_assert_eq!(wire(&pieces), bytes.clone());
        prop_assert_eq!(pieces, read(Peer::Client, &[&bytes]).0);
    }

    /// Bytes of any kind: an answer, never a panic, and the same however they are cut.
    #[test]
    fn garbage_makes_no_difference_either(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
        for from in [Peer::Client, Peer::Server] {
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(read(from, &[left, right]), read(from, &[&bytes]));
        }
    }

    #[test]
    fn a_mask_comes_off_in_pieces(payload in prop::collection::vec(any::<u8>(), 0..50), key: [u8; 4], cut in 0usize..50) {
        let cut = cut.min(payload.len());
        let mut toggled = payload.clone();
        toggle(key, 0, &mut toggled);
        let (left, right) = toggled.split_at_mut(cut);
        toggle(key, 0, left);
        toggle(key, cut, right);
        prop_assert_eq!(toggled, payload);
    }
}
