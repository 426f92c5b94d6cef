//! Whether a name may be looked up: by a permit for `dns.resolve`, or because some permit could apply to what the name leads to.
//!
//! In: who asks, the name, the services that list it. Out: a [`Lookup`]. The second way is Cedar's own partial evaluation: the name is known,
//! every other fact is not, and what could still become a permit counts as one. It says nothing about the request that may follow, which is
//! decided with all its facts. Invariants: a forbid on `dns.resolve` wins; what cannot be evaluated is a denial.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, Policy, Request, ResourceConstraint,
    RestrictedExpression,
};
use serde_json::Value;

use super::decide::{Decision, NOTHING_PERMITS};
use super::evaluate::{resource, uid, uids};
use super::shape::FINDINGS;
use super::{PolicySet, Query, Slice, TOOL_CALL};
use crate::protocol::{Fact, Facts};

/// The action of a lookup.
pub const RESOLVE: &str = "dns.resolve";
/// The port of a lookup.
const PORT: i64 = 53;
/// The group of destinations that no service lists.
const UNLISTED: &str = "unlisted";
/// Actions that do not reach out to what a name leads to.
const NOT_OUT: [&str; 3] = [RESOLVE, "net.listen", TOOL_CALL];
/// The port an unlisted destination is tried with when no policy names one: policies cannot tell ports apart but by naming them.
const ANY_PORT: u16 = 443;

/// What policy says of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Whether the name may be asked for.
    pub permitted: bool,
    /// The policies that permit or could permit what it is for, or forbid it.
    pub policies: Vec<String>,
    /// Why not.
    pub reason: Option<String>,
    /// What was asked, for the record.
    pub query: Query,
}

impl Query {
    /// A lookup of `name` as `kind`, of a service or, with none, of an unlisted name.
    #[must_use]
    pub fn lookup(
        identity: &str,
        groups: &[String],
        name: &str,
        kind: &str,
        service: Option<(&str, &[String])>,
    ) -> Self {
        let mut facts = Facts::default();
        facts.set("host", name);
        facts.set("name", name);
        facts.set("type", kind);
        facts.set("port", PORT);
        facts.set("tls", false);
        facts.set("credential", "none");
        facts.set("findings", Fact::Set(BTreeSet::new()));
        let (service, service_groups) = match service {
            Some((service, groups)) => (service.to_owned(), groups.to_vec()),
            None => (format!("{name}:{PORT}"), vec![UNLISTED.to_owned()]),
        };
        Self {
            identity: identity.to_owned(),
            groups: groups.to_vec(),
            action: RESOLVE.to_owned(),
            service,
            service_groups,
            facts,
        }
    }
}

impl PolicySet {
    /// Decides a lookup: one query for each service that lists the name, or one for an unlisted name.
    #[must_use]
    pub fn look_up(self: &Arc<Self>, queries: Vec<Query>) -> Lookup {
        let (mut permitted, mut denied) = (None, None);
        for query in queries {
            let found = query.facts.0.get(FINDINGS) != Some(&Fact::Set(BTreeSet::new()));
            let (policies, reason, forbidden) = match self.decide(query.clone()) {
                Decision::Permit(permit) if permit.masks().is_empty() || !found => {
                    let policies = permit.policies().to_vec();
                    permitted.get_or_insert((query, policies));
                    continue;
                }
                Decision::Permit(permit) => {
                    (permit.policies().to_vec(), CANNOT_MASK.to_owned(), true)
                }
                Decision::Ask(question) => {
                    (question.policies().to_vec(), CANNOT_WAIT.to_owned(), true)
                }
                Decision::Deny(denial) => {
                    let forbidden = denial.error || !denial.policies.is_empty();
                    (denial.policies, denial.reason, forbidden)
                }
            };
            let lookup = Lookup {
                permitted: false,
                policies,
                reason: Some(reason),
                query,
            };
            if forbidden {
                return lookup;
            }
            denied.get_or_insert(lookup);
        }
        match (permitted, denied) {
            (Some((query, policies)), _) => Lookup {
                permitted: true,
                policies,
                reason: None,
                query,
            },
            (None, Some(denied)) => denied,
            (None, None) => Lookup {
                permitted: false,
                policies: Vec::new(),
                reason: Some(NOTHING_PERMITS.to_owned()),
                query: Query::lookup("", &[], "", "", None),
            },
        }
    }

    /// Whether a permit is for this host, at some port, and for nothing else.
    #[must_use]
    pub fn vouches(&self, host: &str) -> bool {
        self.vouched.contains(host)
    }

    /// The permits that could apply to something this identity does at the service of a lookup, or at its name where no service lists it.
    pub(super) fn could_permit(&self, query: &Query) -> BTreeSet<String> {
        let name = query.facts.text("name").unwrap_or_default();
        let listed = (query.service.clone(), query.service_groups.clone());
        // A name that some service lists at one port is an unlisted destination at every other.
        let mentioned = self
            .places
            .iter()
            .filter(|place| place.rsplit_once(':').is_some_and(|(host, _)| host == name));
        let unlisted = std::iter::once(format!("{name}:{ANY_PORT}")).chain(mentioned.cloned());
        let unlisted = unlisted.map(|place| (place, vec![UNLISTED.to_owned()]));
        let targets: Vec<_> = std::iter::once(listed).chain(unlisted).collect();
        let mut actions: Vec<_> = self
            .slices
            .iter()
            .filter(|(action, _)| !NOT_OUT.contains(&action.as_str()))
            .collect();
        actions.sort_unstable_by_key(|(action, _)| *action);
        for target in &targets {
            for (_, slice) in &actions {
                let policies = self.partial(slice, query, name, target);
                if !policies.is_empty() {
                    return policies;
                }
            }
        }
        BTreeSet::new()
    }

    /// The permits of one action that could still apply when only the name is known. None where a forbid applies for certain, or where
    /// the evaluation fails for certain.
    fn partial(
        &self,
        slice: &Slice,
        query: &Query,
        name: &str,
        (service, groups): &(String, Vec<String>),
    ) -> BTreeSet<String> {
        let principal = uid(&self.types.identity, &query.identity);
        let (resource, service_groups) = resource(self, service, groups);
        let entities = [
            slice.entity.clone(),
            Entity::new_no_attrs(principal.clone(), uids(&self.types.group, &query.groups)),
            Entity::new_no_attrs(resource.clone(), service_groups),
        ];
        let facts = slice.facts.iter().map(|fact| {
            let value = match fact.as_str() {
                "host" => RestrictedExpression::new_string(name.to_owned()),
                _ => RestrictedExpression::new_unknown(fact),
            };
            (fact.clone(), value)
        });
        let (Ok(entities), Ok(context)) = (
            Entities::from_entities(entities, None),
            Context::from_pairs(facts),
        ) else {
            return BTreeSet::new();
        };
        let request = Request::new(principal, slice.action.clone(), resource, context, None);
        let Ok(request) = request else {
            return BTreeSet::new();
        };
        let response = Authorizer::new().is_authorized_partial(&request, &slice.set, &entities);
        if response.definitely_errored().next().is_some()
            || response.decision() == Some(cedar_policy::Decision::Deny)
        {
            return BTreeSet::new();
        }
        let permits = response.may_be_determining();
        let permits = permits.filter(|policy| policy.effect() == cedar_policy::Effect::Permit);
        permits.map(|policy| policy.id().to_string()).collect()
    }
}

/// The unlisted destinations that a permit names.
pub(super) fn places(policy: &Policy) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if policy.effect() == cedar_policy::Effect::Permit
        && let Ok(json) = policy.to_json()
    {
        walk(&json, &mut found);
    }
    found
}

/// The host of the unlisted destination that a permit is for.
pub(super) fn vouched(policy: &Policy) -> Option<String> {
    match (policy.effect(), policy.resource_constraint()) {
        (cedar_policy::Effect::Permit, ResourceConstraint::Eq(service)) => {
            let service = service.id().unescaped();
            service.rsplit_once(':').map(|(host, _)| host.to_owned())
        }
        _ => None,
    }
}

fn walk(json: &Value, found: &mut BTreeSet<String>) {
    match json {
        Value::Object(fields) => {
            if let (Some("Service"), Some(Value::String(id))) =
                (fields.get("type").and_then(Value::as_str), fields.get("id"))
                && id.contains(':')
            {
                found.insert(id.clone());
            }
            fields.values().for_each(|value| walk(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}

const CANNOT_MASK: &str = "policy masks it, which a name cannot be";
const CANNOT_WAIT: &str = "policy wants it approved, which nobody waits for with a lookup";
