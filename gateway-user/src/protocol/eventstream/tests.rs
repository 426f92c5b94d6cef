//! The same messages however a stream is cut, not a byte lost, and nothing read that has been changed on the way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const DELTA: &str = r#"{"contentBlockIndex":0,"delta":{"text":"hi"},"p":"abcd"}"#;
const INSIDE: &str = r#"{"type":"content_block_delta","index":0}"#;

fn chunk_of(document: &[u8]) -> Bytes {
    let bytes = String::from_utf8(base64::padded(document)).unwrap();
    event(
        "chunk",
        &format!("{{\"bytes\":\"{bytes}\",\"p\":\"abcdefgh\"}}"),
    )
}

fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, SseError> {
    let (mut framer, mut events) = (Framer::new(1 << 20), Vec::new());
    for piece in pieces {
        framer.push(piece, &mut events)?;
    }
    framer.finish()?;
    Ok(events)
}

fn fails(bytes: &[u8]) -> String {
    run([bytes]).unwrap_err().to_string()
}

fn with_headers(headers: &[(&str, &str)]) -> Bytes {
    message(&written(headers), b"{}")
}

#[test]
fn an_empty_message_is_that_of_the_specification() {
    let empty = [
        0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
    ];
    assert_eq!(message(&[], &[]), empty.as_slice());
}

#[test]
fn messages_are_found_wherever_a_stream_is_cut() {
    let messages = [
        event("messageStart", r#"{"role":"assistant"}"#),
        event("contentBlockDelta", DELTA),
        event("contentBlockStop", ""),
        chunk_of(INSIDE.as_bytes()),
        exception_of("validationException", r#"{"message":"no"}"#),
    ];
    let stream = messages.concat();
    let whole = run([stream.as_slice()]).unwrap();
    for at in 0..=stream.len() {
        let (one, other) = stream.split_at(at);
        assert_eq!(run([one, other]).unwrap(), whole, "{at}");
    }
    assert_eq!(run(stream.chunks(1)).unwrap(), whole);
    let raw: Vec<&[u8]> = whole.iter().map(|event| &*event.raw).collect();
    assert_eq!(raw, messages);
    let data: Vec<_> = whole.iter().map(|event| event.data.as_deref()).collect();
    let delta = format!("{{\"contentBlockDelta\":{DELTA}}}");
    let expected = [
        Some(r#"{"messageStart":{"role":"assistant"}}"#),
        Some(&*delta),
        None,
        Some(INSIDE),
        Some(r#"{"validationException":{"message":"no"}}"#),
    ];
    assert_eq!(data, expected);
    for event in &whole {
        if let Some(data) = &event.data {
            assert_eq!(event.with_data(data), event.raw);
        }
    }
}

fn exception_of(kind: &str, payload: &str) -> Bytes {
    let headers = [(":exception-type", kind), (":message-type", "exception")];
    message(&written(&headers), payload.as_bytes())
}

#[test]
fn other_data_has_its_own_lengths_and_checksums_and_keeps_the_rest() {
    for (message, new) in [
        (
            event("contentBlockDelta", DELTA),
            r#"{"contentBlockDelta":{"delta":{"text":"something longer"}}}"#,
        ),
        // A type is not changed.
        (
            event("contentBlockDelta", DELTA),
            r#"{"[X:y]":{"a":"b:c"}}"#,
        ),
        (chunk_of(INSIDE.as_bytes()), r#"{"é":1}"#),
    ] {
        let before = run([message.as_ref()]).unwrap().remove(0);
        let changed = before.with_data(new);
        let after = run([changed.as_ref()]).unwrap().remove(0);
        assert_eq!(after.name, before.name);
        let new = new.replace("[X:y]", "contentBlockDelta");
        assert_eq!(after.data.as_deref(), Some(&*new));
    }
    let changed = run([chunk_of(b"x").as_ref()]).unwrap()[0].with_data("y");
    assert!(
        changed
            .windows(16)
            .any(|part| part == b"\",\"p\":\"abcdefgh\"")
    );
}

#[test]
fn nothing_is_read_of_a_message_with_a_bit_that_changed() {
    let message = event("contentBlockDelta", DELTA);
    for bit in 0..message.len() * 8 {
        let mut changed = message.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let (mut framer, mut events) = (Framer::new(1 << 20), Vec::new());
        let pushed = framer.push(&changed, &mut events);
        assert!(pushed.is_err() && framer.finish().is_err(), "{bit}");
        assert!(events.is_empty(), "{bit}");
        // What comes behind it is not read either.
        assert!(framer.push(&message, &mut events).is_err());
        assert!(events.is_empty());
    }
    for end in 1..message.len() {
        assert!(fails(&message[..end]).contains("has no end"), "{end}");
    }
}

#[test]
fn lengths_beyond_the_limits_are_not_waited_for() {
    let begin = |total: u32, headers: u32| {
        let lengths = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        let checksum = crc32fast::hash(&lengths).to_be_bytes();
        [lengths, checksum.to_vec()].concat()
    };
    let most = 24 << 20;
    for (total, headers) in [
        (0, 0),
        (15, 0),
        (16, 1),
        (u32::MAX, 0),
        (16 + (128 << 10) + 1, (128 << 10) + 1),
        (16 + most + 1, 0),
    ] {
        let said = fails(&begin(total, headers));
        assert!(said.contains("beyond the limits"), "{total}: {said}");
    }
    assert!(fails(&begin(16 + most, 0)).contains("longer than"));
    let mut framer = Framer::new(64 << 20);
    assert!(framer.push(&begin(16 + most, 0), &mut Vec::new()).is_ok());
}

#[test]
fn headers_that_are_not_understood_end_the_stream() {
    let (kind, event) = ((":event-type", "metadata"), (":message-type", "event"));
    assert!(run([with_headers(&[kind, event]).as_ref()]).is_ok());
    for headers in [
        &[kind][..],
        &[event],
        &[kind, kind, event],
        &[kind, event, ("x-note", "call 4111 1111 1111 1111")],
        &[kind, event, (":exception-type", "a")],
        &[kind, (":message-type", "exception")],
        &[
            (":message-type", "error"),
            (":error-code", "a"),
            (":error-message", "b"),
        ],
        &[(":event-type", ""), event],
        &[(":event-type", "4111-1111-1111-1111"), event],
        &[(":event-type", &"a".repeat(65)), event],
        &[kind, event, (":content-type", "mail anna@example.com")],
        &[(":event-type", "a\":{}, \"b"), event],
        &[],
    ] {
        let said = fails(&with_headers(headers));
        assert!(said.starts_with("a message of the stream"), "{said}");
    }
    let good = written(&[kind, event]);
    assert!(run([message(&good, b"{}").as_ref()]).is_ok());
    let number = [b"\x05:date\x08".as_slice(), &[0; 8]].concat();
    let bytes = [b"\x01x\x06\x00\x02".as_slice(), b"ab"].concat();
    let cut = [b"\x01x\x07\x00\x02".as_slice(), b"a"].concat();
    for more in [number, bytes, cut, b"\x09a".to_vec()] {
        let message = message(&[good.clone(), more].concat(), b"{}");
        assert!(run([message.as_ref()]).is_err());
    }
}

#[test]
fn chunks_that_are_not_understood_end_the_stream() {
    for payload in [
        "[]",
        "{}",
        "x",
        r#"{"bytes":7}"#,
        r#"{"bytes":"e30"}"#,
        r#"{"bytes":"e3 0="}"#,
        r#"{"bytes":"/w=="}"#,
        r#"{"bytes":"e30=","bytes":"e30="}"#,
        r#"{"bytes":"e30=","note":"anna.lee@example.com"}"#,
        r#"{"bytes":"e30=","p":"anna.lee@example.com"}"#,
        r#"{"bytes":"e30=","p":["abc"]}"#,
    ] {
        assert!(
            run([event("chunk", payload).as_ref()]).is_err(),
            "{payload}"
        );
    }
    let escaped = event("chunk", r#"{"p":"abc","bytes":"e3\u0030="}"#);
    let read = run([escaped.as_ref()]).unwrap();
    assert_eq!(read[0].data.as_deref(), Some("{}"));
    assert!(run([event("metadata", "\u{fffd}").as_ref()]).is_ok());
    assert_eq!(
        run([message(
            &written(&[(":event-type", "a"), (":message-type", "event")]),
            b"\xff"
        )
        .as_ref()]),
        Err(SseError::NotUtf8)
    );
}
