//! One evaluation by Cedar: a query's request and entities, and which policies determine the answer.
//!
//! In: a [`Query`] and the fulfilled obligations. Out: a [`Verdict`]. Cedar skips policies that fail to evaluate, so that a failing
//! `forbid` would vanish: here any such failure is the error of the whole evaluation.

use std::collections::{BTreeSet, HashSet};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression,
};

use super::shape::{FINDINGS, MOVED, RISKS};
use super::slice::reaches;
use super::{PolicyError, PolicySet, Query, Slice};
use crate::protocol::Fact;

/// The answer, with the ids of the policies that determine it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Permits apply, and no forbid does.
    Allow(BTreeSet<String>),
    /// These forbids apply; with none of them, no permit does.
    Deny(BTreeSet<String>),
}

/// Queries that cannot be answered. For logs; the client is told less.
#[derive(Debug, thiserror::Error)]
pub(super) enum EvaluateError {
    #[error("the schema has no action \"{0}\"")]
    Action(String),
    #[error("fact \"{0}\" is filled by policy alone")]
    Reserved(String),
    #[error("policies need the body of the request, which was not read")]
    Unread,
    #[error("entities: {0}")]
    Entities(String),
    #[error("the facts do not fit the schema: {0}")]
    Facts(String),
    #[error("{}", .0.join("; "))]
    Policies(Vec<String>),
}

/// The entity types of the schema.
pub(super) struct Types {
    pub(super) identity: EntityTypeName,
    pub(super) group: EntityTypeName,
    service: EntityTypeName,
    service_group: EntityTypeName,
}

impl Types {
    pub(super) fn new() -> Result<Self, PolicyError> {
        let kind = |name: &str| {
            name.parse::<EntityTypeName>()
                .map_err(|error| PolicyError::Schema(error.to_string()))
        };
        Ok(Self {
            identity: kind("Identity")?,
            group: kind("Group")?,
            service: kind("Service")?,
            service_group: kind("ServiceGroup")?,
        })
    }
}

/// A query in Cedar's terms, ready to be evaluated more than once.
pub(super) struct Prepared<'a> {
    set: &'a PolicySet,
    slice: &'a Slice,
    pub(super) policies: &'a cedar_policy::PolicySet,
    principal: EntityUid,
    resource: EntityUid,
    entities: Entities,
    facts: Vec<(String, RestrictedExpression)>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(set: &'a PolicySet, query: &Query) -> Result<Self, EvaluateError> {
        let unknown = || EvaluateError::Action(query.action.clone());
        let slice = set.slices.get(&query.action).ok_or_else(unknown)?;
        let mut facts = Vec::with_capacity(query.facts.0.len());
        for (name, fact) in &query.facts.0 {
            if FILLED.contains(&name.as_str()) {
                return Err(EvaluateError::Reserved(name.clone()));
            }
            facts.push((name.clone(), expression(fact)));
        }
        let (resource, service_groups) = resource(set, &query.service, &query.service_groups);
        // Whoever did not read the body leaves the findings out. That is right only while no policy needs it read: the set may be
        // a newer one than the one that said so.
        if !query.facts.0.contains_key(FINDINGS) {
            if reaches(&slice.read_whole, &resource, &service_groups) {
                return Err(EvaluateError::Unread);
            }
            facts.push((FINDINGS.to_owned(), texts(&BTreeSet::new())));
        }
        // Likewise, of actions that have it.
        let has_risks = slice.facts.iter().any(|fact| fact == RISKS);
        if has_risks && !query.facts.0.contains_key(RISKS) {
            if reaches(&slice.read_risks, &resource, &service_groups) {
                return Err(EvaluateError::Unread);
            }
            facts.push((RISKS.to_owned(), texts(&BTreeSet::new())));
        }
        // Whoever read the body for its findings knows; an earlier version did not.
        let has_origins = slice.facts.iter().any(|fact| fact == MOVED);
        if has_origins && !query.facts.0.contains_key(MOVED) {
            facts.push((MOVED.to_owned(), texts(&BTreeSet::new())));
        }
        let principal = uid(&set.types.identity, &query.identity);
        let groups = uids(&set.types.group, &query.groups);
        let entities = [
            slice.entity.clone(),
            Entity::new_no_attrs(principal.clone(), groups),
            Entity::new_no_attrs(resource.clone(), service_groups),
        ];
        let entities = Entities::from_entities(entities, None)
            .map_err(|error| EvaluateError::Entities(error.to_string()))?;
        let policies = &slice.set;
        Ok(Self {
            set,
            slice,
            policies,
            principal,
            resource,
            entities,
            facts,
        })
    }

    /// Evaluates with these masks applied and these approvals given.
    pub(super) fn evaluate(
        &self,
        masked: &BTreeSet<String>,
        approvals: &BTreeSet<String>,
    ) -> Result<Verdict, EvaluateError> {
        let filled = FILLED
            .into_iter()
            .zip([masked, approvals])
            .map(|(name, names)| (name.to_owned(), texts(names)));
        let context = Context::from_pairs(self.facts.iter().cloned().chain(filled))
            .map_err(|error| EvaluateError::Facts(error.to_string()))?;
        let request = Request::new(
            self.principal.clone(),
            self.slice.action.clone(),
            self.resource.clone(),
            context,
            Some(&self.set.schema),
        )
        .map_err(|error| EvaluateError::Facts(error.to_string()))?;
        let response = Authorizer::new().is_authorized(&request, self.policies, &self.entities);
        let errors: Vec<String> = response
            .diagnostics()
            .errors()
            .map(ToString::to_string)
            .collect();
        if !errors.is_empty() {
            return Err(EvaluateError::Policies(errors));
        }
        let determining = response
            .diagnostics()
            .reason()
            .map(ToString::to_string)
            .collect();
        Ok(match response.decision() {
            cedar_policy::Decision::Allow => Verdict::Allow(determining),
            cedar_policy::Decision::Deny => Verdict::Deny(determining),
        })
    }
}

/// A service as policies see it, and its groups.
pub(super) fn resource(
    set: &PolicySet,
    service: &str,
    service_groups: &[String],
) -> (EntityUid, HashSet<EntityUid>) {
    (
        uid(&set.types.service, service),
        uids(&set.types.service_group, service_groups),
    )
}

pub(super) fn uids(kind: &EntityTypeName, names: &[String]) -> HashSet<EntityUid> {
    names.iter().map(|name| uid(kind, name)).collect()
}

pub(super) fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}

fn expression(fact: &Fact) -> RestrictedExpression {
    match fact {
        Fact::Bool(value) => RestrictedExpression::new_bool(*value),
        Fact::Long(value) => RestrictedExpression::new_long(*value),
        Fact::Text(text) => RestrictedExpression::new_string(text.clone()),
        Fact::Set(names) => texts(names),
    }
}

fn texts(names: &BTreeSet<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(
        names
            .iter()
            .map(|name| RestrictedExpression::new_string(name.clone())),
    )
}

/// The facts that only this module fills.
pub(super) const FILLED: [&str; 2] = ["masked", "approvals"];
