//! What an answer is whose head does not tell, read off how it begins, so that it streams where it can.
//!
//! In: an upstream's body. Out: the same body, and what it is. Invariant: what only its end makes what it is, is not taken for a stream.

use std::collections::VecDeque;

use bytes::BytesMut;
use http::HeaderMap;
use http_body_util::BodyExt;

use crate::mask::Shape;
use crate::pipeline::coding::{Begun, Upstream};
use crate::pipeline::shape::{is_json, text};
use crate::protocol::frames::{Framing, Opening};
use crate::protocol::llm::Family;

/// Reads as much of an answer as it takes to say what it is.
pub(super) async fn read(
    mut upstream: Upstream,
    headers: &HeaderMap,
    family: Option<Family>,
) -> (Opening, Upstream) {
    if is_json(headers) {
        return (Opening::Document, upstream);
    }
    let (mut says, mut came) = (BytesMut::new(), VecDeque::new());
    let opening = loop {
        if let Some(opening) = Framing::opening(&says, family) {
            break opening;
        }
        let Some(frame) = upstream.frame().await else {
            break Opening::Document;
        };
        let data = frame.as_ref().ok().and_then(|frame| frame.data_ref());
        let goes_on = data.is_some();
        says.extend_from_slice(data.map_or(&[], |data| data));
        came.push_back(frame);
        if !goes_on {
            break Opening::Document;
        }
    };
    let opening = match opening {
        // It is in UTF-16.
        Opening::Text if text(headers, &says) != Shape::Text => Opening::Document,
        opening => opening,
    };
    let begun = Begun::new(came, upstream);
    (opening, Upstream::Begun(Box::new(begun)))
}
