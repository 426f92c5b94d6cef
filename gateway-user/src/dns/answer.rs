//! What of a resolver's answer is told.
//!
//! In: a question, the resolver's message, how far the name is trusted, which addresses this host can route. Out: the records that answer the
//! question, and the addresses among them; or that the answer is not told at all. Kept are the chain of CNAMEs from the name and the records of
//! the asked type at its end; everything else of the message is dropped.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::address::{Bound, bound};
use super::message::Question;

/// How far the operator vouches for a name: by listing it in a configured service, or naming it in a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Not at all; it may lead to public addresses only.
    Public,
    /// It falls under a wildcard: private networks too.
    Domain,
    /// It is listed itself: any address.
    Host,
}

impl Trust {
    /// Whether a name that is trusted so far may lead to an address.
    #[must_use]
    pub fn reaches(self, address: IpAddr) -> bool {
        match bound(address) {
            Bound::Public => true,
            Bound::Private => self >= Self::Domain,
            Bound::Local => self == Self::Host,
        }
    }
}

/// What may be told.
#[derive(Clone, Debug)]
pub enum Filtered {
    /// These records; none is an empty answer of this kind.
    Answer {
        /// `NoError`, `NXDomain`, or the resolver's own failure.
        code: ResponseCode,
        /// In the order of the chain.
        records: Vec<Record>,
        /// What the resolver says of names that are not there.
        soa: Option<Box<Record>>,
        /// The addresses that the name has by this, and for how many seconds.
        addresses: Vec<(IpAddr, u32)>,
    },
    /// Nothing: the name leads where it may not.
    Rebinding(IpAddr),
}

/// Filters an answer.
#[must_use]
pub fn filter(
    question: &Question,
    message: Message,
    trust: Trust,
    routable: &dyn Fn(IpAddr) -> bool,
) -> Filtered {
    let code = message.metadata.response_code;
    let soa = message
        .authorities
        .into_iter()
        .find(|record| record.record_type() == RecordType::SOA)
        .map(Box::new);
    let mut records = chain(question, message.answers);
    for record in &mut records {
        if let Some(service) = service(&mut record.data) {
            let dropped = [SvcParamKey::EchConfigList];
            service.svc_params.retain(|(key, _)| !dropped.contains(key));
        }
        let forbidden = led_to(&record.data);
        if let Some(address) = forbidden
            .into_iter()
            .find(|address| !trust.reaches(*address))
        {
            return Filtered::Rebinding(address);
        }
        if let Some(service) = service(&mut record.data) {
            reachable_hints(service, routable);
        }
    }
    records.retain(|record| address(&record.data).is_none_or(routable));
    let addresses = records
        .iter()
        .filter_map(|record| Some((address(&record.data)?, record.ttl)))
        .collect();
    Filtered::Answer {
        code,
        records,
        soa,
        addresses,
    }
}

/// The CNAMEs from the name on, then the records of the asked type.
fn chain(question: &Question, answers: Vec<Record>) -> Vec<Record> {
    let kind = question.kind;
    let mut rest: Vec<Record> = answers
        .into_iter()
        .filter(|record| record.dns_class == DNSClass::IN)
        .collect();
    let mut name = question.query().name.clone();
    let mut chain = Vec::new();
    for _ in 0..=MAX_CHAIN {
        let at_name = |record: &Record| same(&record.name, &name);
        let (found, other): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|record| at_name(record) && record.record_type() == kind);
        rest = other;
        if !found.is_empty() {
            chain.extend(found);
            break;
        }
        let next = rest
            .iter()
            .position(|record| at_name(record) && matches!(record.data, RData::CNAME(_)));
        let Some(at) = next else { break };
        let alias = rest.swap_remove(at);
        if let RData::CNAME(target) = &alias.data {
            name = target.0.clone();
        }
        chain.push(alias);
    }
    chain
}

fn same(one: &Name, other: &Name) -> bool {
    one.eq_ignore_root(other)
}

/// The address of an address record.
fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(v4) => Some(v4.0.into()),
        RData::AAAA(v6) => Some(v6.0.into()),
        _ => None,
    }
}

/// Every address in a record.
fn led_to(data: &RData) -> Vec<IpAddr> {
    let hints = |service: &SVCB| {
        service
            .svc_params
            .iter()
            .flat_map(|(_, value)| -> Vec<IpAddr> {
                match value {
                    SvcParamValue::Ipv4Hint(hints) => {
                        hints.0.iter().map(|hint| hint.0.into()).collect()
                    }
                    SvcParamValue::Ipv6Hint(hints) => {
                        hints.0.iter().map(|hint| hint.0.into()).collect()
                    }
                    _ => Vec::new(),
                }
            })
            .collect()
    };
    match data {
        RData::HTTPS(https) => hints(&https.0),
        RData::SVCB(service) => hints(service),
        other => address(other).into_iter().collect(),
    }
}

/// The service binding in a record.
fn service(data: &mut RData) -> Option<&mut SVCB> {
    match data {
        RData::HTTPS(https) => Some(&mut https.0),
        RData::SVCB(service) => Some(service),
        _ => None,
    }
}

/// Takes out hints at what this host cannot reach, and from `mandatory` what is not there any more.
fn reachable_hints(service: &mut SVCB, routable: &dyn Fn(IpAddr) -> bool) {
    for (_, value) in &mut service.svc_params {
        match value {
            SvcParamValue::Ipv4Hint(hints) => hints.0.retain(|hint| routable(hint.0.into())),
            SvcParamValue::Ipv6Hint(hints) => hints.0.retain(|hint| routable(hint.0.into())),
            _ => {}
        }
    }
    service.svc_params.retain(|(_, value)| match value {
        SvcParamValue::Ipv4Hint(hints) => !hints.0.is_empty(),
        SvcParamValue::Ipv6Hint(hints) => !hints.0.is_empty(),
        _ => true,
    });
    let left: Vec<SvcParamKey> = service.svc_params.iter().map(|(key, _)| *key).collect();
    for (_, value) in &mut service.svc_params {
        if let SvcParamValue::Mandatory(keys) = value {
            keys.0.retain(|key| left.contains(key));
        }
    }
    let none_mandatory = |value: &SvcParamValue| matches!(value, SvcParamValue::Mandatory(keys) if keys.0.is_empty());
    service
        .svc_params
        .retain(|(_, value)| !none_mandatory(value));
}

/// Longer chains are mistakes, or made to keep resolvers busy.
const MAX_CHAIN: usize = 16;
