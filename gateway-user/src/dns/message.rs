//! Reading questions, and writing what is told without asking anybody.
//!
//! In: the bytes of one message. Out: a [`Question`], or the answer that says why it is none. Invariants: one question, of class IN, by
//! QUERY; its name is plain text in lower case, so that policy sees what resolvers see.

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// The type that is asked for.
pub type Kind = RecordType;

/// One question that can be decided.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its name, in lower case, without the last dot; the root is `.`.
    pub name: String,
    /// The name as policy sees it: without labels that say which service of the host is meant, such as `_https`.
    pub host: String,
    /// The type that is asked for.
    pub kind: Kind,
    /// The most bytes that a datagram to the client may have.
    pub room: usize,
    query: Query,
    metadata: Metadata,
    edns: bool,
}

/// Why a question gets no answer of a resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No policy permits the name. Told as a name that does not exist: `getaddrinfo` fails with it at once and for good, while after
    /// REFUSED it asks every other resolver and calls the failure temporary.
    Forbidden(String),
    /// The answer has addresses that the name may not lead to. Told in the same way.
    Rebinding,
    /// Too much was asked, or a type that is not asked for here.
    Refused(String),
    /// The operator's resolvers did not answer.
    Unanswered,
}

/// What is told to a client, and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The message.
    pub bytes: Vec<u8>,
    /// Short form, for the record.
    pub code: String,
}

/// Reads one message.
///
/// # Errors
/// What to answer; nothing for what is no question at all.
pub fn read(bytes: &[u8]) -> Result<Question, Option<Vec<u8>>> {
    let Ok(message) = Message::from_vec(bytes) else {
        return Err(malformed(bytes));
    };
    let metadata = message.metadata;
    if metadata.message_type != MessageType::Query {
        return Err(None);
    }
    let with = |code| {
        let mut told = Message::error_msg(metadata.id, metadata.op_code, code);
        told.metadata.recursion_desired = metadata.recursion_desired;
        told.queries.clone_from(&message.queries);
        Err(told.to_vec().ok())
    };
    if metadata.op_code != OpCode::Query {
        return with(ResponseCode::NotImp);
    }
    let [query] = message.queries.as_slice() else {
        return with(ResponseCode::FormErr);
    };
    if !message.answers.is_empty() || !message.authorities.is_empty() {
        return with(ResponseCode::FormErr);
    }
    if query.query_class != DNSClass::IN {
        return with(ResponseCode::Refused);
    }
    if message.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return with(ResponseCode::BADVERS);
    }
    let Some(name) = plain(&query.name) else {
        return with(ResponseCode::Refused);
    };
    let room = message.edns.as_ref().map_or(0, Edns::max_payload);
    Ok(Question {
        host: host(&name).to_owned(),
        name,
        kind: query.query_type,
        room: usize::from(room).clamp(SMALLEST_DATAGRAM, LARGEST_DATAGRAM),
        query: query.clone(),
        metadata,
        edns: message.edns.is_some(),
    })
}

/// The answer to a question that no resolver is asked, or whose answer is not told.
#[must_use]
pub fn refuse(question: &Question, refusal: &Refusal) -> Told {
    let (code, extended, text) = match refusal {
        Refusal::Forbidden(reason) => (ResponseCode::NXDomain, BLOCKED, reason.as_str()),
        Refusal::Rebinding => (ResponseCode::NXDomain, FORGED, REBINDING),
        Refusal::Refused(reason) => (ResponseCode::Refused, PROHIBITED, reason.as_str()),
        Refusal::Unanswered => (ResponseCode::ServFail, UNREACHABLE, "no resolver answers"),
    };
    let mut message = reply(question, code);
    if code == ResponseCode::NXDomain {
        message.add_authority(absent(question));
    }
    if let Some(edns) = &mut message.edns {
        let mut option = extended.to_be_bytes().to_vec();
        option.extend(text.bytes().take(MAX_TEXT));
        let extended = EdnsOption::Unknown(EXTENDED_ERROR, option);
        edns.options_mut().insert(extended);
    }
    Told {
        bytes: message.to_vec().unwrap_or_default(),
        code: code.to_str().to_owned(),
    }
}

/// The answer with these records. Without any it says that the name has none of the type, or, with `code`, why.
#[must_use]
pub fn tell(
    question: &Question,
    code: ResponseCode,
    answers: Vec<Record>,
    soa: Option<Box<Record>>,
) -> Told {
    let mut message = reply(question, code);
    let empty = answers
        .iter()
        .all(|record| record.record_type() == RecordType::CNAME);
    message.answers = answers;
    if empty && matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        message.add_authority(soa.map_or_else(|| absent(question), |soa| *soa));
    }
    Told {
        bytes: message.to_vec().unwrap_or_default(),
        code: code.to_str().to_owned(),
    }
}

impl Told {
    /// The message for a datagram: cut where it has no room, so that the client asks again over TCP.
    #[must_use]
    pub fn fitting(self, room: usize) -> Vec<u8> {
        if self.bytes.len() <= room {
            return self.bytes;
        }
        let cut = Message::from_vec(&self.bytes).map(|message| message.truncate());
        let cut = cut.ok().and_then(|message| message.to_vec().ok());
        cut.unwrap_or_default()
    }
}

impl Question {
    /// The same question for a resolver.
    pub(super) fn onward(&self, id: u16) -> Message {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = self.metadata.checking_disabled;
        message.add_query(self.query.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(UPSTREAM_DATAGRAM).set_version(0);
        message.set_edns(edns);
        message
    }

    pub(super) fn query(&self) -> &Query {
        &self.query
    }
}

fn reply(question: &Question, code: ResponseCode) -> Message {
    let mut message = Message::error_msg(question.metadata.id, OpCode::Query, code);
    message.metadata.recursion_desired = question.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.checking_disabled = question.metadata.checking_disabled;
    message.add_query(question.query.clone());
    if question.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(ADVERTISED).set_version(0);
        message.set_edns(edns);
    }
    message
}

/// Says for how long a client may remember that there is nothing (RFC 2308).
fn absent(question: &Question) -> Record {
    let zone = question.query.name.base_name();
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, NEGATIVE_TTL);
    Record::from_rdata(zone, NEGATIVE_TTL, RData::SOA(soa))
}

/// FORMERR for whatever has a header of a question.
fn malformed(bytes: &[u8]) -> Option<Vec<u8>> {
    let &[high, low, flags, ..] = bytes.get(..HEADER)? else {
        return None;
    };
    if flags & RESPONSE != 0 {
        return None;
    }
    let message = Message::error_msg(
        u16::from_be_bytes([high, low]),
        OpCode::Query,
        ResponseCode::FormErr,
    );
    message.to_vec().ok()
}

/// A name as text, if it has only characters that mean the same to everybody.
pub(super) fn plain(name: &Name) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !label.iter().all(plain) {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(
            label
                .iter()
                .map(|byte| char::from(byte.to_ascii_lowercase())),
        );
    }
    if text.is_empty() {
        text.push('.');
    }
    Some(text)
}

/// `_443._https.api.example.com` is asked for to reach `api.example.com`.
fn host(name: &str) -> &str {
    let mut rest = name;
    for _ in 0..MAX_SERVICE_LABELS {
        match rest.split_once('.') {
            Some((label, host)) if label.starts_with('_') => rest = host,
            _ => break,
        }
    }
    rest
}

const HEADER: usize = 12;
/// The bit that makes a message an answer.
const RESPONSE: u8 = 0x80;
/// What every client takes (RFC 1035).
const SMALLEST_DATAGRAM: usize = 512;
/// Loopback carries more, but no client asks for it in good order.
const LARGEST_DATAGRAM: usize = 4096;
const ADVERTISED: u16 = 4096;
/// What passes every path unfragmented (DNS flag day 2020).
const UPSTREAM_DATAGRAM: u16 = 1232;
/// Short: a policy can change.
const NEGATIVE_TTL: u32 = 5;
/// Extended DNS errors (RFC 8914).
const EXTENDED_ERROR: u16 = 15;
const FORGED: u16 = 4;
const BLOCKED: u16 = 15;
const PROHIBITED: u16 = 18;
const UNREACHABLE: u16 = 22;
/// Fits into the smallest datagram beside the longest name.
const MAX_TEXT: usize = 160;
/// A port or transport, and a service.
const MAX_SERVICE_LABELS: usize = 2;
/// Why an answer is withheld.
pub(super) const REBINDING: &str = "the name leads to an address of this host or a private network, which no configured service lists";
