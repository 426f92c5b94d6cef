//! What of an answer is told.

use std::net::IpAddr;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::svcb::{
    Alpn, EchConfigList, IpHint, Mandatory, SVCB, SvcParamKey, SvcParamValue,
};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, HTTPS, MX, TXT};
use hickory_proto::rr::{RData, Record, RecordType};

use super::{name, question};
use crate::dns::{Bound, Filtered, Question, Trust, bound, filter, tell};

fn a(owner: &str, address: &str) -> Record {
    let data = match address.parse().unwrap() {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    Record::from_rdata(name(owner), 300, data)
}

fn cname(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 300, RData::CNAME(CNAME(name(target))))
}

fn answer(records: Vec<Record>) -> Message {
    let mut message = Message::response(7, OpCode::Query);
    message.answers = records;
    message
}

fn filtered(question: &Question, records: Vec<Record>, trust: Trust) -> Option<Vec<Record>> {
    match filter(question, answer(records), trust, &|_| true) {
        Filtered::Answer { records, .. } => Some(records),
        Filtered::Rebinding(_) => None,
    }
}

#[test]
fn only_the_chain_of_the_question_is_told() {
    let asked = question("www.example.com", RecordType::A);
    let records = vec![
        a("end.example.net", "192.0.2.1"),
        cname("www.example.com", "cdn.example.net"),
        a("other.example.com", "192.0.2.66"),
        cname("cdn.example.net", "end.example.net"),
        a("end.example.net", "192.0.2.2"),
        a("end.example.net", "2001:db9::1"),
        Record::from_rdata(
            name("www.example.com"),
            1,
            RData::TXT(TXT::new(vec!["x".to_owned()])),
        ),
    ];
    let kept = filtered(&asked, records, Trust::Public).unwrap();
    let owners: Vec<String> = kept.iter().map(|record| record.name.to_string()).collect();
    assert_eq!(
        owners,
        [
            "www.example.com",
            "cdn.example.net",
            "end.example.net",
            "end.example.net"
        ]
    );
    // A loop ends.
    let looped = vec![
        cname("www.example.com", "b.test"),
        cname("b.test", "www.example.com"),
    ];
    assert_eq!(filtered(&asked, looped, Trust::Public).unwrap().len(), 2);
    // A chain that leads from elsewhere answers nothing.
    let stray = vec![a("evil.test", "192.0.2.1")];
    assert!(filtered(&asked, stray, Trust::Public).unwrap().is_empty());
}

#[test]
fn local_and_private_addresses_are_told_only_where_the_operator_names_the_host() {
    let local = [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "169.254.169.254",
        "169.254.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "::",
        "::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "2001:0:7f00:1::",
        "2001:0:c000:201:0:0:80ff:fffe",
        "::ffff:0:127.0.0.1",
        "::127.0.0.1",
        "2001:db8::5efe:7f00:1",
    ];
    let private = [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "fc00::1",
        "fd12::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "::ffff:192.168.0.1",
        "::8.8.8.8",
    ];
    let public = [
        "8.8.8.8",
        "172.32.0.1",
        "172.15.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "192.0.2.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ];
    let bounds = [
        (Bound::Local, &local[..]),
        (Bound::Private, &private),
        (Bound::Public, &public),
    ];
    for (expected, addresses) in bounds {
        for address in addresses {
            assert_eq!(bound(address.parse().unwrap()), expected, "{address}");
            let kind = match address.contains(':') {
                true => RecordType::AAAA,
                false => RecordType::A,
            };
            let question = question("a.test", kind);
            // One bad address among good ones is enough.
            let records = || {
                vec![
                    a("a.test", public[usize::from(kind == RecordType::AAAA) * 6]),
                    a("a.test", address),
                ]
            };
            let told = |trust| filtered(&question, records(), trust).is_some();
            assert_eq!(told(Trust::Public), expected == Bound::Public, "{address}");
            assert_eq!(told(Trust::Domain), expected <= Bound::Private, "{address}");
            assert!(told(Trust::Host), "{address}");
        }
    }
}

#[test]
fn what_this_host_cannot_route_is_left_out() {
    let question = question("a.test", RecordType::AAAA);
    let message = answer(vec![a("a.test", "2606:4700::1111")]);
    match filter(&question, message, Trust::Public, &|address| {
        address.is_ipv4()
    }) {
        Filtered::Answer {
            code,
            records,
            addresses,
            ..
        } => {
            assert!(records.is_empty() && addresses.is_empty());
            let told = Message::from_vec(&tell(&question, code, records, None).bytes).unwrap();
            assert_eq!(told.metadata.response_code, ResponseCode::NoError);
            assert_eq!(told.authorities[0].record_type(), RecordType::SOA);
        }
        other => panic!("{other:?}"),
    }
}

fn binding(params: Vec<(SvcParamKey, SvcParamValue)>) -> Record {
    let data = HTTPS(SVCB::new(1, name("."), params));
    Record::from_rdata(name("a.test."), 300, RData::HTTPS(data))
}

fn v4_hint(address: &str) -> (SvcParamKey, SvcParamValue) {
    let hint = IpHint(vec![A(address.parse().unwrap())]);
    (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(hint))
}

#[test]
fn service_bindings_lose_ech_and_hints_are_addresses() {
    let question = question("a.test", RecordType::HTTPS);
    let ech = (
        SvcParamKey::EchConfigList,
        SvcParamValue::EchConfigList(EchConfigList(vec![1, 2])),
    );
    let alpn = (
        SvcParamKey::Alpn,
        SvcParamValue::Alpn(Alpn(vec!["h2".to_owned()])),
    );
    let mandatory = |keys| {
        (
            SvcParamKey::Mandatory,
            SvcParamValue::Mandatory(Mandatory(keys)),
        )
    };
    let record = binding(vec![
        mandatory(vec![SvcParamKey::Alpn, SvcParamKey::EchConfigList]),
        alpn.clone(),
        v4_hint("8.8.8.8"),
        ech.clone(),
    ]);
    let kept = filtered(&question, vec![record], Trust::Public).unwrap();
    let told = tell(&question, ResponseCode::NoError, kept, None);
    let told = Message::from_vec(&told.bytes).unwrap();
    let expected = binding(vec![
        mandatory(vec![SvcParamKey::Alpn]),
        alpn,
        v4_hint("8.8.8.8"),
    ]);
    assert_eq!(told.answers, [expected]);
    let only = binding(vec![mandatory(vec![SvcParamKey::EchConfigList]), ech]);
    let kept = filtered(&question, vec![only], Trust::Public).unwrap();
    assert_eq!(kept, [binding(vec![])]);
    let private = binding(vec![v4_hint("169.254.169.254")]);
    assert!(filtered(&question, vec![private], Trust::Domain).is_none());
    let unreachable = answer(vec![binding(vec![v4_hint("8.8.8.8")])]);
    match filter(&question, unreachable, Trust::Public, &|_| false) {
        Filtered::Answer { records, .. } => assert_eq!(records, [binding(vec![])]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_types_pass_as_they_come() {
    let question = question("a.test", RecordType::MX);
    let record = Record::from_rdata(
        name("a.test"),
        300,
        RData::MX(MX::new(10, name("mail.a.test"))),
    );
    let kept = filtered(&question, vec![record.clone()], Trust::Public).unwrap();
    assert_eq!(kept, [record]);
}
