//! What policies can speak of: the actions of the schema and the facts of each.
//!
//! Read out of `policies/schema.cedarschema`, so that there is one list.

use std::collections::BTreeMap;

use cedar_policy::Schema;
use serde_json::Value;

use super::error::PolicyError;

/// Facts by action.
#[derive(Debug)]
pub(super) struct Vocabulary(pub(super) BTreeMap<String, BTreeMap<String, FactType>>);

/// The type of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FactType {
    /// Its Cedar type.
    pub(super) kind: Kind,
    /// Whether requests exist that do not have it.
    pub(super) optional: bool,
}

/// The Cedar types that facts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Long,
    Text,
    Set,
}

impl Vocabulary {
    /// The actions that have that fact.
    pub(super) fn having(&self, fact: &str) -> Vec<&str> {
        let actions = self.0.iter();
        actions
            .filter(|(_, facts)| facts.contains_key(fact))
            .map(|(action, _)| action.as_str())
            .collect()
    }

    /// Whether some action has requests without that fact.
    pub(super) fn is_optional(&self, fact: &str) -> bool {
        self.0
            .values()
            .any(|facts| facts.get(fact).is_some_and(|fact| fact.optional))
    }
}

/// The built-in schema, for Cedar and as facts by action.
pub(super) fn schema() -> Result<(Schema, Vocabulary), PolicyError> {
    let broken = |error: &dyn std::fmt::Display| PolicyError::Schema(error.to_string());
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| broken(&error))?;
    let (json, _) = cedar_policy::schema_str_to_json_with_resolved_types(SCHEMA)
        .map_err(|error| broken(&error))?;
    let actions = read(&json[""]).ok_or_else(|| broken(&"a fact has a type that no fact has"))?;
    Ok((schema, Vocabulary(actions)))
}

fn read(namespace: &Value) -> Option<BTreeMap<String, BTreeMap<String, FactType>>> {
    let mut actions = BTreeMap::new();
    for (name, action) in namespace["actions"].as_object()? {
        // Actions without `appliesTo` are groups.
        let Some(context) = action["appliesTo"].get("context") else {
            continue;
        };
        let record = &namespace["commonTypes"][type_name(context)?];
        let facts = record["attributes"]
            .as_object()?
            .iter()
            .map(|(fact, of)| Some((fact.clone(), fact_type(of)?)))
            .collect::<Option<_>>()?;
        actions.insert(name.clone(), facts);
    }
    Some(actions)
}

fn fact_type(json: &Value) -> Option<FactType> {
    let kind = match type_name(json)? {
        "Bool" | "Boolean" => Kind::Bool,
        "Long" => Kind::Long,
        "String" => Kind::Text,
        "Set" if type_name(&json["element"])? == "String" => Kind::Set,
        _ => return None,
    };
    let optional = json["required"] == Value::Bool(false);
    Some(FactType { kind, optional })
}

/// Cedar writes `{"type": "Long"}`, or a reference such as `{"type": "EntityOrCommon", "name": "Long"}`.
fn type_name(json: &Value) -> Option<&str> {
    let name = json.get("name").or_else(|| json.get("type"))?.as_str()?;
    Some(name.trim_start_matches("__cedar::"))
}

/// The text of the schema.
pub(super) const SCHEMA: &str = include_str!("../../../policies/schema.cedarschema");
