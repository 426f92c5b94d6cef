//! Masking: what comes out contains nothing that is to be masked, stays what it was, and does not depend on how a stream arrived.

use bytes::{Bytes, BytesMut};
use gateway_user::mask::{self, Set, Shape, Stream};
use gateway_user::protocol::frames::{Framer, Framing};

const SHAPES: [Shape; 9] = [
    Shape::OpenAiChat,
    Shape::AnthropicMessages,
    Shape::Json,
    Shape::Text,
    Shape::OpenAiResponses,
    Shape::Vectors,
    Shape::Gemini,
    Shape::Ollama,
    Shape::Bedrock,
];

/// A whole body.
pub(super) fn body(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let shape = shape(choice);
    let body = Bytes::copy_from_slice(body);
    let Ok(masked) = mask::body(&body, shape, &Set::all()) else {
        return;
    };
    if masked.findings.is_empty() {
        assert_eq!(masked.bytes, body);
    }
    if shape == Shape::Json && !body.trim_ascii().is_empty() {
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&masked.bytes).is_ok());
    }
    // A placeholder ends the word it stands in, so that what stands beside it can become a finding of its own; only then is more found.
    let Ok(again) = mask::body(&masked.bytes, shape, &Set::all()) else {
        panic!("what was masked cannot be read: {:?}", masked.bytes);
    };
    assert!(
        !masked.findings.is_empty() || again.findings.is_empty(),
        "something was left to mask"
    );
}

/// A stream of events.
pub(super) fn stream(data: &[u8]) {
    let [choice, seed, stream @ ..] = data else {
        return;
    };
    let whole = masked(shape(*choice), std::iter::once(stream));
    let cut = masked(shape(*choice), super::pieces(stream, *seed));
    assert_eq!(whole.is_ok(), cut.is_ok());
    let (Ok(whole), Ok(cut)) = (whole, cut) else {
        return;
    };
    assert_eq!(whole, cut);
    let framing = framing(shape(*choice));
    assert_eq!(
        events(framing, &whole),
        events(framing, stream),
        "events came or went"
    );
}

fn shape(choice: u8) -> Shape {
    SHAPES[usize::from(choice) % SHAPES.len()]
}

fn masked<'a>(
    shape: Shape,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<BytesMut, mask::MaskError> {
    let mut stream = Stream::new(shape, framing(shape), Set::all());
    let mut out = BytesMut::new();
    for piece in pieces {
        stream.push(piece, &mut out)?;
    }
    stream.finish(&mut out)?;
    Ok(out)
}

/// Every framing is met.
fn framing(shape: Shape) -> Framing {
    match shape {
        Shape::Gemini => Framing::Array,
        Shape::Ollama => Framing::Lines,
        Shape::Bedrock => Framing::Messages,
        _ => Framing::Events,
    }
}

fn events(framing: Framing, stream: &[u8]) -> usize {
    let (mut framer, mut events) = (Framer::new(framing, usize::MAX), Vec::new());
    // The stream has been read before, so it is one.
    let _ = framer.push(stream, &mut events);
    let _ = framer.finish(&mut events);
    events.len()
}
