//! The same events however the stream is cut, and not a byte lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn events<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut framer = Framer::new(1 << 20);
    let mut events = Vec::new();
    for part in parts {
        framer.push(part, &mut events).unwrap();
    }
    framer.finish(&mut events);
    events
}

fn one(text: &str) -> Event {
    let mut all = events([text.as_bytes()]);
    assert_eq!(all.len(), 1, "{text:?}");
    all.remove(0)
}

const STREAM: &str = "\u{feff}: hello\n\nevent: a\ndata: 1\n\nid: 7\r\ndata: é\r\ndata:two\r\n\r\n\
    data: x\rdata\r\revent:\ndata:  spaced\n\n\n: ping\n\ndata: {\"a\":\"b:c\"}\nretry: 5\n\n\u{feff}data: no\n\ndata: [DONE]\n\ndata: cut";

#[test]
fn every_cut_gives_the_same_events_and_all_bytes() {
    let whole = events([STREAM.as_bytes()]);
    let bytes = STREAM.as_bytes();
    assert_eq!(events(bytes.chunks(1)), whole);
    for at in 0..=bytes.len() {
        for behind in at..=bytes.len() {
            let parts = [&bytes[..at], &bytes[at..behind], &bytes[behind..]];
            assert_eq!(events(parts), whole, "cut at {at} and {behind}");
        }
    }
    let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw.to_vec()).collect();
    assert_eq!(raw, bytes);
    let seen: Vec<_> = whole
        .iter()
        .map(|event| (event.name.as_deref(), event.data.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            (None, None),
            (Some("a"), Some("1")),
            (None, Some("é\ntwo")),
            (None, Some("x\n")),
            (None, Some(" spaced")),
            (None, None),
            (None, None),
            (None, Some("{\"a\":\"b:c\"}")),
            (None, None),
            (None, Some("[DONE]")),
            (None, Some("cut")),
        ]
    );
}

#[test]
fn an_event_leaves_with_its_empty_line() {
    for text in ["data: 1\n\n", "data: 1\r\n\r\n"] {
        let mut framer = Framer::new(100);
        let mut events = Vec::new();
        framer.push(text.as_bytes(), &mut events).unwrap();
        assert_eq!(events.len(), 1, "{text:?}");
        assert_eq!(events[0].raw, text);
    }
}

#[test]
fn other_data_leaves_everything_else_alone() {
    for (text, data, expected) in [
        ("data: old\n\n", "new", "data: new\n\n"),
        ("data:old\r\n\r\n", "new", "data:new\r\n\r\n"),
        ("data:old\n\n", " new", "data:  new\n\n"),
        ("data: old\r\r", "new", "data: new\r\r"),
        (
            ": c\nevent: e\r\nid: 1\ndata: old\nretry: 2\nodd\n\n",
            "new",
            ": c\nevent: e\r\nid: 1\ndata: new\nretry: 2\nodd\n\n",
        ),
        (
            "data: a\nid: 1\ndata: b\n\n",
            "c\nd",
            "data: c\nid: 1\ndata: d\n\n",
        ),
        ("data: a\nid: 1\ndata: b\n\n", "c", "data: c\nid: 1\n\n"),
        ("data: a\nid: 1\n\n", "c\nd", "data: c\ndata: d\nid: 1\n\n"),
        ("data\n\n", "new", "data:new\n\n"),
        ("\u{feff}data: a\n\n", "b", "\u{feff}data: b\n\n"),
        ("data: cut", "new", "data: new"),
        (": none\n\n", "new", ": none\n\n"),
    ] {
        let event = one(text);
        assert_eq!(event.with_data(data), expected, "{text:?}");
        if let Some(same) = &event.data {
            let again = one(str::from_utf8(&event.with_data(same)).unwrap());
            assert_eq!(again.data, event.data, "{text:?}");
        }
        if event.data.is_some() && text.ends_with(['\r', '\n']) {
            let new = event.with_data(data);
            assert_eq!(
                one(str::from_utf8(&new).unwrap()).data.as_deref(),
                Some(data)
            );
        }
    }
}

#[test]
fn too_long_an_event_ends_the_stream_at_every_cut() {
    let fits = format!("data: {}\n\n", "x".repeat(24));
    assert_eq!(fits.len(), 32);
    let too_long = format!("data: {}\n\n", "x".repeat(25));
    let text = format!("{fits}{too_long}{fits}");
    for size in 1..=text.len() {
        let mut framer = Framer::new(32);
        let mut events = Vec::new();
        let result = text
            .as_bytes()
            .chunks(size)
            .try_for_each(|part| framer.push(part, &mut events));
        assert_eq!(result, Err(SseError::TooLong(32)), "{size}");
        assert_eq!(events.len(), 1, "{size}");
        assert_eq!(
            framer.push(b"\n\n", &mut events),
            Err(SseError::TooLong(32))
        );
        framer.finish(&mut events);
        assert_eq!(events.len(), 1, "{size}");
    }
}

#[test]
fn what_is_not_utf8_ends_the_stream() {
    let mut framer = Framer::new(100);
    let mut events = Vec::new();
    let result = framer.push(b"data: 1\n\ndata: \xff\n\ndata: 2\n\n", &mut events);
    assert_eq!(result, Err(SseError::NotUtf8));
    assert_eq!(events.len(), 1);
}
