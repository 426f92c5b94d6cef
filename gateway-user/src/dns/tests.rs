//! What the stage promises of messages, answers and limits.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;

use std::str::FromStr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

/// The bytes of a question.
fn asked(text: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(text), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    message
}

fn question(text: &str, kind: RecordType) -> Question {
    read(&asked(text, kind).to_vec().unwrap()).unwrap()
}

#[test]
fn a_question_is_read_as_resolvers_read_it() {
    let question = question("API.OpenAI.com.", RecordType::AAAA);
    assert_eq!(question.name, "api.openai.com");
    assert_eq!((question.kind, question.room), (RecordType::AAAA, 1232));
    for (text, host) in [
        ("_443._https.api.openai.com", "api.openai.com"),
        ("_https.api.openai.com", "api.openai.com"),
        ("_a._b._c.example.com", "_c.example.com"),
        ("example.com", "example.com"),
        ("_tcp", "_tcp"),
    ] {
        assert_eq!(self::question(text, RecordType::SRV).host, host, "{text}");
    }
    assert_eq!(self::question(".", RecordType::NS).name, ".");
}

#[test]
fn what_is_no_single_question_is_told_so() {
    let plain = asked("example.com", RecordType::A);
    let code = |message: &Message| {
        let told = read(&message.to_vec().unwrap()).unwrap_err()?;
        Some(Message::from_vec(&told).unwrap().metadata.response_code)
    };
    let mut two = plain.clone();
    two.add_query(plain.queries[0].clone());
    assert_eq!(code(&two), Some(ResponseCode::FormErr));
    let mut none = plain.clone();
    none.queries.clear();
    assert_eq!(code(&none), Some(ResponseCode::FormErr));
    let mut update = plain.clone();
    update.metadata.op_code = OpCode::Notify;
    assert_eq!(code(&update), Some(ResponseCode::NotImp));
    let mut chaos = plain.clone();
    chaos.queries[0].query_class = DNSClass::CH;
    assert_eq!(code(&chaos), Some(ResponseCode::Refused));
    let mut records = plain.clone();
    records.add_answer(Record::from_rdata(
        name("example.com"),
        300,
        RData::A(A::new(192, 0, 2, 1)),
    ));
    assert_eq!(code(&records), Some(ResponseCode::FormErr));
    // An answer is not answered, so that two servers cannot keep each other busy.
    let mut response = plain.clone();
    response.metadata.message_type = MessageType::Response;
    assert_eq!(code(&response), None);
    let label = |bytes: &[u8]| Name::from_labels([bytes, b"com"]).unwrap();
    for odd in [&b"a.b"[..], b"a b", b"a\0", b"\xc3\xa4", b"a\\", b"*"] {
        let mut message = plain.clone();
        message.queries[0].name = label(odd);
        assert_eq!(code(&message), Some(ResponseCode::Refused), "{odd:?}");
    }
}

#[test]
fn every_truncation_is_answered_or_dropped() {
    let whole = asked("api.openai.com", RecordType::A).to_vec().unwrap();
    for length in 0..whole.len() {
        match read(&whole[..length]) {
            Ok(question) => panic!("{length}: {question:?}"),
            Err(None) => assert!(length < 12, "{length}"),
            Err(Some(told)) => {
                let told = Message::from_vec(&told).unwrap();
                assert_eq!(told.metadata.id, 7);
                assert_eq!(told.metadata.response_code, ResponseCode::FormErr);
            }
        }
    }
}

#[test]
fn a_refused_name_does_not_exist_and_says_why_to_who_asks() {
    let question = question("evil.test", RecordType::A);
    let told = refuse(
        &question,
        &Refusal::Forbidden("no policy permits it".to_owned()),
    );
    let message = Message::from_vec(&told.bytes).unwrap();
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(message.metadata.id, 7);
    assert!(message.metadata.recursion_available && message.metadata.recursion_desired);
    assert_eq!(message.authorities[0].record_type(), RecordType::SOA);
    let text = String::from_utf8_lossy(&told.bytes).into_owned();
    assert!(text.contains("no policy permits it"), "{text}");
    let told = refuse(&question, &Refusal::Refused("tunnel".to_owned()));
    let message = Message::from_vec(&told.bytes).unwrap();
    assert_eq!(message.metadata.response_code, ResponseCode::Refused);
}

#[test]
fn an_answer_without_room_is_cut_and_the_client_asks_by_tcp() {
    let question = question("a.test", RecordType::TXT);
    let long = |number: usize| {
        let data = RData::TXT(TXT::new(vec![format!("{number:0>200}")]));
        Record::from_rdata(name("a.test"), 300, data)
    };
    let told = tell(
        &question,
        ResponseCode::NoError,
        (0..9).map(long).collect(),
        None,
    );
    assert!(told.bytes.len() > 1232);
    let cut = told.fitting(question.room);
    let cut = Message::from_vec(&cut).unwrap();
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    assert_eq!((cut.metadata.id, cut.queries.len()), (7, 1));
}

#[test]
fn a_tunnel_is_slowed_down_and_reported_once() {
    let (limits, now) = (Limits::default(), Instant::now());
    let mut admitted = 0;
    let mut reports = 0;
    for number in 0..2000 {
        let asked = question(&format!("{number:0>8x}data.attacker.test"), RecordType::A);
        match limits.admit(1, &asked, now) {
            Ok(()) => admitted += 1,
            Err(excess) => reports += u32::from(excess.first),
        }
    }
    assert_eq!((admitted, reports), (120, 1));
    // Names that were asked for are asked for again; others below other domains too; another workload does not notice.
    assert!(
        limits
            .admit(
                1,
                &question("00000001data.attacker.test", RecordType::AAAA),
                now
            )
            .is_ok()
    );
    assert!(
        limits
            .admit(1, &question("api.openai.com", RecordType::A), now)
            .is_ok()
    );
    assert!(
        limits
            .admit(2, &question("fresh.attacker.test", RecordType::A), now)
            .is_ok()
    );
    let later = now + Duration::from_secs(60);
    assert!(
        limits
            .admit(1, &question("fresh.attacker.test", RecordType::A), later)
            .is_ok()
    );
}

#[test]
fn bytes_and_kinds_that_carry_data_are_limited() {
    let now = Instant::now();
    for kind in [RecordType::NULL, RecordType::ANY, RecordType::AXFR] {
        assert!(
            Limits::default()
                .admit(1, &question("a.test", kind), now)
                .is_err()
        );
    }
    let long = ["a23456789.".repeat(19), "test".to_owned()].concat();
    assert!(
        Limits::default()
            .admit(1, &question(&long, RecordType::A), now)
            .is_err()
    );
    let limits = Limits::default();
    let text = |number: &u32| question(&format!("t{number}.a{number}.test"), RecordType::TXT);
    let admitted = (0..100).filter(|number| limits.admit(1, &text(number), now).is_ok());
    assert_eq!(admitted.count(), 30);
    // Encoded labels weigh four times: 16 a minute below one domain.
    let limits = Limits::default();
    let coded = |number: u64| {
        let mut state = number + 1;
        let label: String = (0..60)
            .map(|_| {
                // Knuth's MMIX generator.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(state >> 59) as usize])
            })
            .collect();
        question(&format!("{label}.attacker.test"), RecordType::A)
    };
    let admitted = (0..200).filter(|number| limits.admit(1, &coded(*number), now).is_ok());
    let admitted = admitted.count();
    assert!((16..24).contains(&admitted), "{admitted}");
}

#[test]
fn messages_do_not_depend_on_where_a_stream_is_cut() {
    let messages: Vec<Vec<u8>> = ["a.test", "b.example.com", "c"]
        .iter()
        .map(|text| asked(text, RecordType::A).to_vec().unwrap())
        .collect();
    let stream: Vec<u8> = messages
        .iter()
        .flat_map(|message| framed(message))
        .collect();
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let mut framer = Framer::default();
            let cuts = [&stream[..first], &stream[first..second], &stream[second..]];
            let found: Vec<Vec<u8>> = cuts
                .iter()
                .flat_map(|cut| framer.push(cut).unwrap())
                .collect();
            assert_eq!(found, messages);
            assert!(!framer.is_amid());
        }
    }
    assert!(Framer::default().push(&[0xff, 0xff, 0]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd_to_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(question) = read(&bytes) {
            let again = question.onward(9).to_vec().unwrap();
            prop_assert_eq!(read(&again).unwrap().name, question.name);
        }
    }

    #[test]
    fn no_change_of_a_question_is_too_odd(at in 0_usize..40, byte in any::<u8>()) {
        let mut bytes = asked("api.openai.com", RecordType::A).to_vec().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes);
    }

    #[test]
    fn whatever_leads_to_a_private_address_is_private(v4 in any::<u32>()) {
        let v4 = std::net::Ipv4Addr::from(v4);
        let [a, b, c, d] = v4.octets().map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        let inner = bound(v4.into());
        for v6 in [
            [0, 0, 0, 0, 0, 0xffff, high, low],
            [0x64, 0xff9b, 0, 0, 0, 0, high, low],
            [0x2002, high, low, 1, 2, 3, 4, 5],
            [0x2606, 0, 0, 0, 0, 0x5efe, high, low],
        ] {
            prop_assert_eq!(bound(std::net::Ipv6Addr::from(v6).into()), inner);
        }
    }
}
