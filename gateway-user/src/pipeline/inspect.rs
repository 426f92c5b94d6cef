//! Reads as much of a request as facts need: what policy decides on, and what an approval is bound to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Extensions, HeaderMap};

use super::Connection;
use super::body::{Budgets, Held, read_whole};
use super::charge;
use super::exchange::Context;
use super::resource::Resource;
use super::shape::shape;
use super::source::Source;
use super::surrogates::stands_for;
use crate::approve::Digest;
use crate::config::Credentials;
use crate::keeper::CredentialClass;
use crate::mask::{self, Clean, Witness};
use crate::policy::PolicySet;
use crate::protocol::http::{self as protocol, Head};
use crate::protocol::llm::{self, Call, Endpoint, Family, risks};
use crate::protocol::{Action, Fact, Facts, Why, credentials};
use crate::record::Finding;

/// A request body: read whole where facts, masks or an approval need it, else streamed.
pub(super) enum Payload {
    Whole(Held),
    Stream(Source),
}

impl Payload {
    /// The body, as far as it was read.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(held) => &held.bytes,
            Self::Stream(_) => &[],
        }
    }
}

/// A request that policy can decide on.
pub(super) struct Ready {
    pub(super) resource: Resource,
    pub(super) head: Head,
    pub(super) headers: HeaderMap,
    /// What hyper remembers of the head, such as the case of header names.
    pub(super) extensions: Extensions,
    pub(super) payload: Payload,
    pub(super) action: Action,
    /// The format, where it belongs to an LLM API.
    pub(super) family: Option<Family>,
    pub(super) call: Option<Call>,
    pub(super) findings: Vec<Finding>,
    /// Whether the body has none.
    pub(super) clean: Option<Clean>,
    /// The path as the record keeps it, where it was searched for policy.
    pub(super) shown: Option<String>,
    /// Why it would be refused before policy is asked, if it passes only because its workload is observed.
    pub(super) unfit: Option<String>,
    /// The set whose detectors were used.
    pub(super) policies: Arc<PolicySet>,
}

/// Why a request is refused before, or beside, policy.
pub(super) struct Unfit {
    pub(super) why: Why,
    pub(super) reason: String,
}

/// Reads as much of the request as facts need.
pub(super) async fn prepare(
    context: &Context,
    resource: Resource,
    head: Head,
    parts: Parts,
    body: Source,
    endpoint: Option<Endpoint>,
) -> Result<Ready, Unfit> {
    let connection = &context.connection;
    let mut policies = connection.gateway.policies.load_full();
    let Parts {
        headers,
        extensions,
        ..
    } = parts;
    let mut facts = place(connection, &resource, &head);
    facts.set(
        "credential",
        credential_class(connection, &resource, &headers, &head)?,
    );

    let streamed = llm::action(endpoint, &head, facts.clone());
    let is_call = endpoint.is_some_and(Endpoint::is_call);
    let inspected = policies.needs_body(streamed.name, &resource.name, &resource.groups);
    let signs = connection.gateway.keeper.signs(&resource.name);
    let payload = if is_call || inspected || signs {
        let budgets = Budgets::of(connection);
        Payload::Whole(read_whole(budgets, &headers, body).await?)
    } else {
        Payload::Stream(body)
    };
    let Payload::Whole(Held { bytes, .. }) = &payload else {
        // Findings stay absent: should a set that needs them come into force by now, it denies.
        return Ok(Ready {
            resource,
            head,
            headers,
            extensions,
            payload,
            action: streamed,
            family: endpoint.map(|found| found.family),
            call: None,
            findings: Vec::new(),
            clean: None,
            shown: None,
            unfit: None,
            policies: connection.gateway.policies.load_full(),
        });
    };

    // Reading took time. What is found and what is decided go by one set.
    policies = connection.gateway.policies.load_full();
    // Elsewhere than at a provider other things are called `messages` and `responses`.
    let endpoint = endpoint
        .filter(|found| !is_call || resource.is_provider() || llm::agrees(*found, &head, bytes));
    let family = endpoint.map(|found| found.family);
    let shape = shape(family, &head, &headers, bytes);
    let carried = connection.carried(&resource.name);
    let witness = carried.clone().map(|carried| carried as Arc<dyn Witness>);
    let everything = mask::Set::all().with(policies.detectors()).told(witness);
    let mut found = mask::head::found(&headers, head.websocket, &everything);
    let masked = mask::head::target(&head.target, &everything, &mut found);
    let path = |target: &str| target.split('?').next().map(str::to_owned);
    let shown = path(masked.as_deref().unwrap_or(&head.target))
        .filter(|_| path(&head.target).as_ref() == Some(&head.path));
    if let Payload::Whole(Held {
        trailers: Some(trailers),
        ..
    }) = &payload
    {
        found.extend(mask::head::found(trailers, false, &everything));
    }
    let mut clean = None;
    if !bytes.is_empty() {
        let inside = mask::findings(bytes, shape, &everything);
        let inside = inside.map_err(|error| malformed(&error))?;
        clean = Clean::of(&inside, shape, &everything);
        found.extend(inside);
    }
    let names = found
        .iter()
        .flat_map(|finding| [finding.detector.to_string(), finding.class.to_string()]);
    let mut names: BTreeSet<String> = names.collect();
    if policies.restores(streamed.name, &resource.name, &resource.groups) {
        names.extend(stands_for(connection, &head, &headers, bytes));
    }
    facts.set("findings", Fact::Set(names));
    let moved = carried.map(|carried| carried.moved());
    facts.set("moved", Fact::Set(moved.unwrap_or_default()));
    if endpoint.is_some_and(Endpoint::is_call) {
        charge::spent(connection, &mut facts);
    }
    let mut risks = BTreeSet::new();
    if is_call
        && endpoint.is_some()
        && policies.needs_risks(streamed.name, &resource.name, &resource.groups)
    {
        risks = risks::find(bytes, &connection.gateway.classifiers);
        let names = risks.iter().map(|name| (*name).to_owned());
        facts.set("risks", names.collect::<Fact>());
    }
    let call = endpoint
        .filter(|found| found.is_call())
        .map(|found| llm::read(found, &head, bytes, facts.clone()))
        .transpose()
        .map_err(|error| malformed(&error))?;
    if inspected && call.as_ref().is_some_and(|call| call.tokens) {
        return Err(malformed(&TOKENS));
    }
    let action = call.as_ref().map_or_else(
        || llm::action(endpoint, &head, facts),
        |call| call.action.clone(),
    );
    Ok(Ready {
        resource,
        head,
        headers,
        extensions,
        payload,
        action,
        family,
        call,
        findings: [
            counted(&found),
            tally(risks.into_iter().map(|name| (name, risks::CLASS))),
        ]
        .concat(),
        clean,
        shown,
        unfit: None,
        policies,
    })
}

/// Where a request goes.
pub(super) fn place(connection: &Connection, resource: &Resource, head: &Head) -> Facts {
    let mut facts = Facts::default();
    facts.set("host", head.host.as_str());
    facts.set("port", i64::from(connection.origin.port()));
    facts.set("tls", resource.tls());
    facts
}

fn credential_class(
    connection: &Connection,
    resource: &Resource,
    headers: &HeaderMap,
    head: &Head,
) -> Result<&'static str, Unfit> {
    uses_held(connection, resource)?;
    let presented = credentials::presented(headers, &head.target).unwrap_or_default();
    let class = connection
        .gateway
        .keeper
        .classify(&resource.name, presented, &[]);
    class.map(CredentialClass::as_str).map_err(|error| Unfit {
        why: Why::Unavailable,
        reason: error.to_string(),
    })
}

/// Refuses a service with a held credential to an identity that uses none, in every mode.
pub(super) fn uses_held(connection: &Connection, resource: &Resource) -> Result<(), Unfit> {
    let identity = &connection.caller.identity;
    let held = connection.gateway.keeper.holds(&resource.name);
    if held && identity.credentials == Credentials::Never {
        return Err(Unfit {
            why: Why::Policy,
            reason: format!(
                "identity \"{}\" uses no held credential, and {} has one",
                identity.id, resource.name
            ),
        });
    }
    Ok(())
}

pub(super) fn digest(ready: &Ready) -> [u8; 32] {
    // As they leave: a header that `Connection` names would count and yet be taken out.
    let mut headers = ready.headers.clone();
    protocol::end_to_end(&mut headers);
    let class = ready.action.facts.text("credential").unwrap_or_default();
    let digest = Digest::http(
        ready.head.method.as_str(),
        &ready.resource.place(),
        &ready.head.target,
    );
    match &ready.payload {
        Payload::Whole(held) => {
            let digest = digest.content(pairs(&headers), class, &held.bytes);
            match &held.trailers {
                Some(trailers) => digest.headers(pairs(trailers), class).finish(),
                None => digest.finish(),
            }
        }
        Payload::Stream(_) => digest.headers(pairs(&headers), class).finish(),
    }
}

/// Headers as a digest reads them.
pub(super) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// How long the client's own read timeout, which SDKs tell, leaves for a person; a margin is left to be refused in time.
pub(super) fn hold(headers: &HeaderMap) -> Duration {
    let told = TIMEOUT_HEADERS
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok()?.parse::<f64>().ok());
    match told {
        Some(seconds) if seconds.is_finite() && seconds > 0.0 => Duration::from_secs_f64(
            (seconds * 0.9)
                .min(seconds - 1.0)
                .clamp(0.0, MAX_HOLD.as_secs_f64()),
        ),
        None if headers.contains_key(SDK_HEADER) => MAX_HOLD,
        _ => UNTOLD_HOLD,
    }
}

pub(super) fn counted(found: &[crate::detect::Finding]) -> Vec<Finding> {
    let named = found.iter();
    tally(named.map(|finding| (&*finding.detector, &*finding.class)))
}

/// Detectors and their classes, as the record has them: each once, with how often it is there.
pub(super) fn tally<'a>(named: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Finding> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for name in named {
        *counts.entry(name).or_default() += 1;
    }
    let finding = |((detector, class), count): ((&str, &str), u64)| Finding {
        detector: detector.to_owned(),
        class: class.to_owned(),
        count,
    };
    counts.into_iter().map(finding).collect()
}

pub(super) fn malformed(error: &dyn std::fmt::Display) -> Unfit {
    Unfit {
        why: Why::Malformed,
        reason: error.to_string(),
    }
}

const TOKENS: &str = "the numbers of tokens cannot be inspected: send the text itself (OpenAIEmbeddings of LangChain: check_embedding_ctx_length=False)";
const SDK_HEADER: &str = "x-stainless-lang";
const TIMEOUT_HEADERS: &[&str] = &["x-stainless-read-timeout", "x-stainless-timeout"];
/// A margin below the SDKs' own default of ten minutes, which not all of them tell.
const MAX_HOLD: Duration = Duration::from_secs(540);
/// Below the minute that most clients and load balancers wait.
const UNTOLD_HOLD: Duration = Duration::from_secs(50);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_held_request_is_answered_before_its_client_gives_up() {
        let held = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            hold(&map).as_secs()
        };
        assert_eq!(held(&[]), 50);
        assert_eq!(held(&[("x-stainless-lang", "js")]), 540);
        assert_eq!(
            held(&[
                ("x-stainless-lang", "python"),
                ("x-stainless-read-timeout", "20.0")
            ]),
            18
        );
        assert_eq!(held(&[("x-stainless-timeout", "600")]), 540);
        assert_eq!(held(&[("x-stainless-read-timeout", "1")]), 0);
        assert_eq!(held(&[("x-stainless-read-timeout", "5000")]), 540);
        for nonsense in ["-1", "nan", "x", ""] {
            assert_eq!(
                held(&[("x-stainless-read-timeout", nonsense)]),
                50,
                "{nonsense}"
            );
        }
    }
}
