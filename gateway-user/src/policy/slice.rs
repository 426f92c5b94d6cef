//! Slicing: Cedar evaluates every policy it is given, so each action gets only those that can apply to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{ActionConstraint, Effect, EntityUid, ResourceConstraint, Schema};

use super::error::PolicyError;
use super::vocabulary::Vocabulary;
use super::{Rule, Slice};

/// Whether one of these scopes has a service in these groups.
pub(super) fn reaches(
    scopes: &[ResourceConstraint],
    service: &EntityUid,
    groups: &HashSet<EntityUid>,
) -> bool {
    let is = |uid: &EntityUid| uid == service || groups.contains(uid);
    scopes.iter().any(|scope| match scope {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
        ResourceConstraint::Eq(uid) => uid == service,
        ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => is(uid),
    })
}

/// For each action the policies whose scope admits it, closed over the action hierarchy.
pub(super) fn by_action(
    schema: &Schema,
    vocabulary: &Vocabulary,
    all: &cedar_policy::PolicySet,
    rules: &BTreeMap<String, Rule>,
) -> Result<HashMap<String, Slice>, PolicyError> {
    let broken = |error: &dyn std::fmt::Display| PolicyError::Schema(error.to_string());
    let actions = schema.action_entities().map_err(|error| broken(&error))?;
    let mut slices = HashMap::new();
    for entity in actions.iter() {
        let action = entity.uid();
        let name = action.id().unescaped().to_owned();
        let Some(facts) = vocabulary.0.get(&name) else {
            continue;
        };
        let facts = facts.keys().cloned().collect();
        let admits = |group: &EntityUid| *group == action || actions.is_ancestor_of(group, &action);
        let mut set = cedar_policy::PolicySet::new();
        let (mut read_whole, mut read_risks, mut named) = (Vec::new(), Vec::new(), Vec::new());
        let (mut permits, mut restore) = (BTreeSet::new(), Vec::new());
        let mut patching = cedar_policy::PolicySet::new();
        for policy in all.policies() {
            let (applies, names) = match policy.action_constraint() {
                ActionConstraint::Any => (true, false),
                ActionConstraint::Eq(only) => (only == action, true),
                ActionConstraint::In(groups) => {
                    (groups.iter().any(admits), groups.contains(&action))
                }
            };
            if !applies {
                continue;
            }
            let id: &str = policy.id().as_ref();
            if names {
                named.push(policy.resource_constraint());
                if policy.effect() == Effect::Permit {
                    permits.insert(id.to_owned());
                }
            }
            if rules.get(id).is_none_or(|rule| rule.needs_body) {
                read_whole.push(policy.resource_constraint());
            }
            if rules
                .get(id)
                .is_some_and(|rule| !rule.terms.restores.is_empty())
            {
                restore.push(policy.resource_constraint());
            }
            if rules.get(id).is_none_or(|rule| rule.needs_risks) {
                read_risks.push(policy.resource_constraint());
            }
            if rules
                .get(id)
                .is_some_and(|rule| !rule.terms.patch.is_empty())
            {
                patching
                    .add(policy.clone())
                    .map_err(|error| broken(&error))?;
            }
            set.add(policy.clone()).map_err(|error| broken(&error))?;
        }
        let entity = entity.clone();
        slices.insert(
            name,
            Slice {
                action,
                entity,
                set,
                patching,
                facts,
                read_whole,
                restore,
                read_risks,
                named,
                permits,
            },
        );
    }
    Ok(slices)
}
