//! Slicing: Cedar evaluates every policy it is given, so each action gets only those that can apply to it.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{ActionConstraint, EntityUid, Schema};

use super::error::PolicyError;
use super::vocabulary::Vocabulary;
use super::{Rule, Slice};

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
        if !vocabulary.0.contains_key(&name) {
            continue;
        }
        let admits = |group: &EntityUid| *group == action || actions.is_ancestor_of(group, &action);
        let mut set = cedar_policy::PolicySet::new();
        let mut needs_body = false;
        for policy in all.policies() {
            let applies = match policy.action_constraint() {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(only) => only == action,
                ActionConstraint::In(groups) => groups.iter().any(admits),
            };
            if !applies {
                continue;
            }
            let id: &str = policy.id().as_ref();
            needs_body |= rules.get(id).is_none_or(|rule| rule.needs_body);
            set.add(policy.clone()).map_err(|error| broken(&error))?;
        }
        let entity = entity.clone();
        slices.insert(
            name,
            Slice {
                action,
                entity,
                set,
                needs_body,
            },
        );
    }
    Ok(slices)
}
