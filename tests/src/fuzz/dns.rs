//! The DNS stage: whatever a workload or a resolver sends gets an answer that fits, or none; what is told to it of a public name leads nowhere inside.
//!
//! A corpus file is a seed for the cuts of a stream, two bytes with the length of a question, the question, and what a resolver answers.

use gateway_user::dns::{
    self, Bound, Filtered, Framer, Question, Refusal, Trust, belonging, bound, filter, refuse, tell,
};

use super::pieces;

pub(super) fn run(data: &[u8]) {
    let Some((&[seed, high, low], rest)) = data.split_first_chunk() else {
        return;
    };
    let length = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
    let (asked, answer) = rest.split_at(length);
    cut(rest, seed);
    match dns::read(asked) {
        Ok(question) => {
            told(&question, asked);
            answered(&question, asked, answer);
        }
        Err(Some(told)) => assert_answers(&told, asked),
        Err(None) => {}
    }
}

/// The messages of a stream do not depend on where it is cut.
fn cut(stream: &[u8], seed: u8) {
    let whole = Framer::default().push(stream);
    let mut framer = Framer::default();
    let mut messages = Vec::new();
    let parts = pieces(stream, seed).try_for_each(|piece| {
        messages.extend(framer.push(piece)?);
        Ok::<(), dns::TooLong>(())
    });
    match (whole, parts) {
        (Ok(whole), Ok(())) => assert_eq!(whole, messages),
        (whole, parts) => assert_eq!(whole.is_err(), parts.is_err()),
    }
}

/// What is told without asking anybody.
fn told(question: &Question, asked: &[u8]) {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    assert!(question.name.bytes().all(plain), "{}", question.name);
    assert!(question.name.ends_with(&question.host));
    let long = "why ".repeat(200);
    for refusal in [
        Refusal::Forbidden(long.clone()),
        Refusal::Rebinding,
        Refusal::Refused(long),
        Refusal::Unanswered,
    ] {
        let told = refuse(question, &refusal).fitting(question.room);
        assert!(told.len() <= question.room, "{} bytes", told.len());
        assert_answers(&told, asked);
    }
}

/// What is told of a resolver's answer.
fn answered(question: &Question, asked: &[u8], answer: &[u8]) {
    let id = u16::from_be_bytes([asked[0], asked[1]]);
    let Some(message) = belonging(question, id, answer) else {
        return;
    };
    match filter(question, message, Trust::Public, &|_| true) {
        Filtered::Rebinding(address) => assert_ne!(bound(address), Bound::Public),
        Filtered::Answer {
            code,
            records,
            soa,
            addresses,
        } => {
            for (address, _) in addresses {
                assert_eq!(bound(address), Bound::Public, "{address}");
            }
            let told = tell(question, code, records, soa).fitting(question.room);
            assert!(told.len() <= question.room, "{} bytes", told.len());
            assert_answers(&told, asked);
        }
    }
}

/// It is an answer, and to this question.
fn assert_answers(told: &[u8], asked: &[u8]) {
    assert!(told.len() >= HEADER && told[..2] == asked[..2], "{told:?}");
    assert_ne!(told[2] & RESPONSE, 0);
}

const HEADER: usize = 12;
const RESPONSE: u8 = 0x80;
