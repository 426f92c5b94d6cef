//! OpenTelemetry's exports in protocol buffers: traces, logs and metrics, which carry what was said to a model.
//!
//! Every field that the schema has as a text is masked, and the values of attributes behind their keys. Invariants: identifiers and numbers keep
//! their bytes; lengths around a changed text are those it has now; in a field that the schema does not have, something to mask is an error.
//! Source: opentelemetry-proto 1.x (trace, logs, metrics, common); protocol buffers, encoding.

use super::document::{binary, named};
use super::protobuf::{Frame, UNKNOWN, content, frames, put_varint, varint};
use super::{MaskError, Set};
use crate::detect::Finding;

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Metrics.
    Metrics,
}

/// Masks an export; `None` where nothing is to be masked.
pub(super) fn masked(
    body: &[u8],
    signal: Signal,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<Vec<u8>>, MaskError> {
    let kind = match signal {
        Signal::Traces => Kind::Traces,
        Signal::Logs => Kind::Logs,
        Signal::Metrics => Kind::Metrics,
    };
    message(body, kind, "", DEEPEST, set, found)
}

/// Masks the exports of a gRPC call; those that were compressed leave as they are where nothing is to be masked.
pub(super) fn calls(
    body: &[u8],
    signal: Signal,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<Vec<u8>>, MaskError> {
    let (mut out, mut changed) = (Vec::with_capacity(body.len()), false);
    for frame in frames(body)? {
        let Frame {
            head,
            payload,
            plain,
        } = frame;
        let new = masked(plain.as_deref().unwrap_or(payload), signal, set, found)?;
        match new {
            Some(new) => {
                let length = u32::try_from(new.len()).map_err(|_| UNKNOWN)?;
                out.push(0);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&new);
                changed = true;
            }
            None => {
                out.extend_from_slice(head);
                out.extend_from_slice(payload);
            }
        }
    }
    Ok(changed.then_some(out))
}

/// The messages of the schema that have texts somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Traces,
    ResourceSpans,
    ScopeSpans,
    Span,
    Event,
    Link,
    Status,
    Logs,
    ResourceLogs,
    ScopeLogs,
    LogRecord,
    Metrics,
    ResourceMetrics,
    ScopeMetrics,
    Metric,
    /// A gauge, sum, histogram or summary: points in field 1.
    Points,
    NumberPoint,
    HistogramPoint,
    ExponentialPoint,
    ExponentialPoints,
    Histogram,
    Exemplar,
    Resource,
    Entity,
    Scope,
    KeyValue,
    Value,
    Values,
    KeyValues,
}

/// What a length-delimited field is.
enum Field {
    Message(Kind),
    Text,
    /// Bytes of an attribute.
    Bytes,
    /// Identifiers and packed numbers.
    Numbers,
    Unknown,
}

fn field(kind: Kind, number: u64) -> Field {
    use Field::{Bytes, Message, Numbers, Text, Unknown};
    match (kind, number) {
        (Kind::Traces, 1) => Message(Kind::ResourceSpans),
        (Kind::Logs, 1) => Message(Kind::ResourceLogs),
        (Kind::Metrics, 1) => Message(Kind::ResourceMetrics),
        (Kind::ResourceSpans | Kind::ResourceLogs | Kind::ResourceMetrics, 1) => {
            Message(Kind::Resource)
        }
        (Kind::ResourceSpans, 2) => Message(Kind::ScopeSpans),
        (Kind::ResourceLogs, 2) => Message(Kind::ScopeLogs),
        (Kind::ResourceMetrics, 2) => Message(Kind::ScopeMetrics),
        (Kind::ScopeSpans | Kind::ScopeLogs | Kind::ScopeMetrics, 1) => Message(Kind::Scope),
        (Kind::ScopeSpans, 2) => Message(Kind::Span),
        (Kind::ScopeLogs, 2) => Message(Kind::LogRecord),
        (Kind::ScopeMetrics, 2) => Message(Kind::Metric),
        // The address of a schema.
        (
            Kind::ResourceSpans
            | Kind::ResourceLogs
            | Kind::ResourceMetrics
            | Kind::ScopeSpans
            | Kind::ScopeLogs
            | Kind::ScopeMetrics,
            3,
        ) => Text,
        (Kind::Span | Kind::Link, 1 | 2) | (Kind::Span, 4) => Numbers,
        (Kind::Span, 3 | 5) | (Kind::Link, 3) => Text,
        (Kind::Span, 11) => Message(Kind::Event),
        (Kind::Span, 13) => Message(Kind::Link),
        (Kind::Span, 15) => Message(Kind::Status),
        (Kind::Event | Kind::Status, 2) => Text,
        (Kind::Span, 9) | (Kind::Event, 3) | (Kind::Link, 4) => Message(Kind::KeyValue),
        (Kind::LogRecord, 3 | 12) => Text,
        (Kind::LogRecord, 5) => Message(Kind::Value),
        (Kind::LogRecord, 6) => Message(Kind::KeyValue),
        (Kind::LogRecord, 9 | 10) => Numbers,
        (Kind::Metric, 1..=3) => Text,
        (Kind::Metric, 5 | 7 | 11) => Message(Kind::Points),
        (Kind::Metric, 9) => Message(Kind::Histogram),
        (Kind::Metric, 10) => Message(Kind::ExponentialPoints),
        (Kind::Metric, 12) => Message(Kind::KeyValue),
        (Kind::Points, 1) => Message(Kind::NumberPoint),
        (Kind::Histogram, 1) => Message(Kind::HistogramPoint),
        (Kind::ExponentialPoints, 1) => Message(Kind::ExponentialPoint),
        (Kind::NumberPoint, 7) | (Kind::HistogramPoint, 9) | (Kind::ExponentialPoint, 1) => {
            Message(Kind::KeyValue)
        }
        (Kind::NumberPoint, 5) | (Kind::HistogramPoint, 8) | (Kind::ExponentialPoint, 11) => {
            Message(Kind::Exemplar)
        }
        // Bounds, counts and quantiles.
        (Kind::NumberPoint, 6)
        | (Kind::HistogramPoint, 6 | 7)
        | (Kind::ExponentialPoint, 8 | 9) => Numbers,
        (Kind::Exemplar, 4 | 5) => Numbers,
        (Kind::Exemplar, 7) => Message(Kind::KeyValue),
        (Kind::Resource, 1) | (Kind::Scope, 3) | (Kind::KeyValues, 1) => Message(Kind::KeyValue),
        (Kind::Resource, 3) => Message(Kind::Entity),
        (Kind::Entity, 1..=4) | (Kind::Scope, 1 | 2) => Text,
        (Kind::KeyValue, 1) | (Kind::Value, 1) => Text,
        (Kind::KeyValue, 2) | (Kind::Values, 1) => Message(Kind::Value),
        (Kind::Value, 5) => Message(Kind::Values),
        (Kind::Value, 6) => Message(Kind::KeyValues),
        (Kind::Value, 7) => Bytes,
        _ => Unknown,
    }
}

/// Masks one message; `key` is that of the attribute it belongs to.
fn message(
    bytes: &[u8],
    kind: Kind,
    key: &str,
    depth: u8,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<Vec<u8>>, MaskError> {
    let depth = depth.checked_sub(1).ok_or(UNKNOWN)?;
    let own = if kind == Kind::KeyValue {
        last_text(bytes)?
    } else {
        None
    };
    let key = own.unwrap_or(key);
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let tag = varint(bytes, &mut at)?;
        let start = at;
        let Some(range) = content(bytes, tag, &mut at)? else {
            continue;
        };
        let inside = &bytes[range.clone()];
        let text = |inside| std::str::from_utf8(inside).map_err(|_| MaskError::NotUtf8);
        let new = match field(kind, tag >> 3) {
            Field::Message(inner) => message(inside, inner, key, depth, set, found)?,
            Field::Text if kind == Kind::Value => {
                named(text(inside)?, key, set, found).map(String::into_bytes)
            }
            Field::Text => named(text(inside)?, "", set, found).map(String::into_bytes),
            Field::Bytes => binary(inside, set, found),
            Field::Numbers if inside.len() <= LONGEST_ID => None,
            Field::Numbers | Field::Unknown => match binary(inside, set, found) {
                Some(_) if !set.all => return Err(UNKNOWN),
                Some(_) => None,
                None => None,
            },
        };
        if let Some(new) = new {
            out.extend_from_slice(&bytes[copied..start]);
            put_varint(new.len() as u64, &mut out);
            out.extend_from_slice(&new);
            copied = range.end;
        }
    }
    if copied == 0 {
        return Ok(None);
    }
    out.extend_from_slice(&bytes[copied..]);
    Ok(Some(out))
}

/// The text in field 1; of several, readers take the last.
fn last_text(bytes: &[u8]) -> Result<Option<&str>, MaskError> {
    let (mut found, mut at) = (None, 0);
    while at < bytes.len() {
        let tag = varint(bytes, &mut at)?;
        if let Some(range) = content(bytes, tag, &mut at)?
            && tag >> 3 == 1
        {
            found = std::str::from_utf8(&bytes[range]).ok();
        }
    }
    Ok(found)
}

/// Attributes are nested less deep by every library.
const DEEPEST: u8 = 48;
/// Of a trace; lists of numbers are longer.
const LONGEST_ID: usize = 16;
