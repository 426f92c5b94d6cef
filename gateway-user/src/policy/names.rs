//! Names of identities, services and their groups in policies, compared with what a configuration defines.
//!
//! A name that nobody has matches nothing, so a permit for it permits nothing and a forbid forbids nothing. Policies are also written ahead of
//! their configuration, so this is told and not refused.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

use super::error::{Fault, Problem};
use super::{Place, PolicySet};
use crate::nearest::nearest;

/// What a configuration defines.
#[derive(Debug, Default)]
pub struct Known {
    /// Identities.
    pub identities: BTreeSet<String>,
    /// Groups with an identity in them.
    pub groups: BTreeSet<String>,
    /// Services, the built-in ones too.
    pub services: BTreeSet<String>,
    /// Groups with a service in them, or with what no service lists.
    pub service_groups: BTreeSet<String>,
}

impl Known {
    fn of(&self, kind: Kind) -> &BTreeSet<String> {
        match kind {
            Kind::Identity => &self.identities,
            Kind::Group => &self.groups,
            Kind::Service => &self.services,
            Kind::ServiceGroup => &self.service_groups,
        }
    }
}

/// A name in a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    kind: Kind,
    name: String,
}

/// Whose name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Identity,
    Group,
    Service,
    ServiceGroup,
}

impl Kind {
    const ALL: [Self; 4] = [
        Self::Identity,
        Self::Group,
        Self::Service,
        Self::ServiceGroup,
    ];

    /// In the schema.
    fn entity(self) -> &'static str {
        match self {
            Self::Identity => "Identity",
            Self::Group => "Group",
            Self::Service => "Service",
            Self::ServiceGroup => "ServiceGroup",
        }
    }
}

impl PolicySet {
    /// Names that nobody has, each where it stands first.
    #[must_use]
    pub fn undefined_names(&self, known: &Known) -> Vec<Problem> {
        let mut places: Vec<(&Place, &String, &Named)> = Vec::new();
        for (id, rule) in &self.rules {
            places.extend(rule.names.iter().map(|named| (&rule.place, id, named)));
        }
        places.sort_unstable();
        let mut told = BTreeSet::new();
        places
            .into_iter()
            .filter(|(_, _, named)| !is_defined(named, known) && told.insert(*named))
            .map(|(place, id, named)| Problem {
                place: place.clone(),
                policy: Some(id.clone()),
                fault: Fault::Undefined {
                    kind: named.kind.entity(),
                    name: named.name.escape_debug().to_string(),
                    nearest: nearest(&named.name, known.of(named.kind).iter().map(String::as_str)),
                },
            })
            .collect()
    }
}

/// A destination that no service lists is its own name, `name:port`.
fn is_defined(named: &Named, known: &Known) -> bool {
    known.of(named.kind).contains(&named.name)
        || (named.kind == Kind::Service && named.name.contains(':'))
}

/// The names in a policy.
pub(super) fn of(policy: &Policy) -> BTreeSet<Named> {
    let mut found = BTreeSet::new();
    if let Ok(json) = policy.to_json() {
        walk(&json, &mut found);
    }
    found
}

fn walk(json: &Value, found: &mut BTreeSet<Named>) {
    match json {
        Value::Object(fields) => {
            let text = |field: &str| fields.get(field).and_then(Value::as_str);
            if let (Some(entity), Some(name)) = (text("type"), text("id")) {
                let kinds = Kind::ALL.into_iter();
                found.extend(
                    kinds
                        .filter(|kind| kind.entity() == entity)
                        .map(|kind| Named {
                            kind,
                            name: name.to_owned(),
                        }),
                );
            }
            fields.values().for_each(|value| walk(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}
