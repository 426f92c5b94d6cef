//! Event streams: the events are the stream, however it is cut; replacing data by itself changes nothing that a client reads.

use gateway_user::protocol::sse::{Event, Framer, SseError};

/// Small, so that the cap is met too.
const MAX_EVENT: usize = 200;

pub(super) fn run(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else {
        return;
    };
    let (whole, error) = framed(std::iter::once(stream));
    let (cut, cut_error) = framed(super::pieces(stream, seed));
    assert_eq!((&whole, error), (&cut, cut_error));
    let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw.to_vec()).collect();
    if error.is_none() {
        assert_eq!(raw, stream);
    } else {
        assert!(stream.starts_with(&raw));
    }
    for event in &whole {
        let Some(text) = &event.data else { continue };
        let (again, _) = framed(std::iter::once(&*event.with_data(text)));
        assert_eq!(again.len(), 1, "{event:?}");
        assert_eq!((&again[0].data, &again[0].name), (&event.data, &event.name));
    }
}

fn framed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Option<SseError>) {
    let (mut framer, mut events) = (Framer::new(MAX_EVENT), Vec::new());
    let mut error = None;
    for piece in pieces {
        error = error.or(framer.push(piece, &mut events).err());
    }
    framer.finish(&mut events);
    (events, error)
}
