//! Cedar policies: [`Query`] to [`Decision`]. The only place a [`Permit`] is made.
//!
//! In: policy files, then queries (who, what, where to, facts). Out: a permit with its obligations, a question for people, or a
//! denial with its reason. Invariants: what no policy permits is denied; any error is a denial; an obligation is a `forbid` that
//! only its fulfilment lifts, so no permit drops one; what people are asked is decided again when they have answered. Fails when a
//! set does not load (the caller keeps the one it has). Sources: the Cedar language reference (authorization, strict validation).

mod annotation;
mod call;
pub mod cases;
mod decide;
mod depth;
mod detectors;
mod earlier;
mod error;
mod evaluate;
mod live;
mod load;
mod lookup;
mod names;
mod patch;
mod question;
mod shape;
mod slice;
mod style;
mod vocabulary;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cedar_policy::{Effect, Entity, EntityUid, ResourceConstraint, Schema};

pub use annotation::LONGEST_TAINT;
pub use decide::{Decision, Denial, Permit, Query, taint};
pub use error::{Fault, Place, PolicyError, Problem};
pub use live::{Live, Standing};
pub use lookup::{Lookup, RESOLVE};
pub use names::Known;
pub use patch::Patch;
pub use question::{Ask, Question};
pub use style::{Masks, Style};

use annotation::Terms;

use crate::detect::Detectors;

/// The policies and cases that `tollgate init` writes: path below the policy folder, text.
pub const DEFAULTS: &[(&str, &str)] = &[
    ("base.cedar", include_str!("../../../policies/base.cedar")),
    (
        "langchain.cedar",
        include_str!("../../../policies/langchain.cedar"),
    ),
    (
        "detectors.toml",
        include_str!("../../../policies/detectors.toml"),
    ),
    (
        "cases/base.toml",
        include_str!("../../../policies/cases/base.toml"),
    ),
    (
        "cases/langchain.toml",
        include_str!("../../../policies/cases/langchain.toml"),
    ),
];

/// The action of a call of a tool by a model. Unlike others it is asked about only where a policy names it.
pub const TOOL_CALL: &str = "llm.tool_call";

/// The action of TLS that passes unopened. A permit for every action is none for it.
pub const SPLICE: &str = "tls.splice";

/// All policies, validated and sliced by action. Immutable: a change is a new set.
pub struct PolicySet {
    schema: Schema,
    types: evaluate::Types,
    slices: HashMap<String, Slice>,
    rules: BTreeMap<String, Rule>,
    warnings: Vec<Problem>,
    detectors: Arc<Detectors>,
    version: String,
    /// Unlisted destinations that permits name.
    places: BTreeSet<String>,
    /// Hosts that a permit is for, by their unlisted destination.
    vouched: BTreeSet<String>,
    needs_origins: bool,
    needs_spent: bool,
}

/// The policies that can apply to one action.
struct Slice {
    action: EntityUid,
    /// The action with its ancestors, for `action in`.
    entity: Entity,
    set: cedar_policy::PolicySet,
    /// Those of them that put something into a call.
    patching: cedar_policy::PolicySet,
    /// The facts of the action.
    facts: Vec<String>,
    /// The resources of those that need whole bodies.
    read_whole: Vec<ResourceConstraint>,
    /// The resources of those that restore.
    restore: Vec<ResourceConstraint>,
    /// The resources of those that read the risks of a call.
    read_risks: Vec<ResourceConstraint>,
    /// The resources of those that name the action itself.
    named: Vec<ResourceConstraint>,
    /// The permits that name the action itself.
    permits: BTreeSet<String>,
}

/// What is known of one policy beside its Cedar form.
#[derive(Clone, Debug)]
struct Rule {
    place: Place,
    effect: Effect,
    /// Whether it obliges, or reads `context.findings`.
    needs_body: bool,
    /// Whether it reads `context.risks`.
    needs_risks: bool,
    /// Whether it reads `context.moved`.
    needs_origins: bool,
    /// Whether it reads `context.spent_today_cents` or `context.spent_month_cents`.
    needs_spent: bool,
    /// The identities, services and groups that it names.
    names: BTreeSet<names::Named>,
    terms: Terms,
}

/// Policy files as they were read.
#[derive(Debug)]
pub struct Files(Vec<load::Source>);

impl Files {
    /// Reads every `*.cedar` directly in `dir`, and its detectors.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(dir: &Path) -> Result<Self, PolicyError> {
        Ok(Self(load::read(dir)?))
    }

    /// Files that somebody else has read: path and content.
    #[must_use]
    pub fn given(files: Vec<(PathBuf, String)>) -> Self {
        let files = files.into_iter();
        Self(
            files
                .map(|(file, text)| load::Source { file, text })
                .collect(),
        )
    }

    /// Path and content of each.
    #[must_use]
    pub fn into_texts(self) -> Vec<(PathBuf, String)> {
        let sources = self.0.into_iter();
        sources.map(|source| (source.file, source.text)).collect()
    }

    /// The version of the set that they would make, which need not load.
    #[must_use]
    pub fn version(&self) -> String {
        load::version(&self.0)
    }

    /// Checks them together.
    ///
    /// # Errors
    /// [`PolicyError`] with everything that is wrong, by file and line.
    pub fn compile(&self) -> Result<PolicySet, PolicyError> {
        load::compile(&self.0)
    }
}

impl PolicySet {
    /// Reads every `*.cedar` directly in `dir` and checks them together.
    ///
    /// # Errors
    /// [`PolicyError`] with everything that is wrong, by file and line.
    pub fn load(dir: &Path) -> Result<Self, PolicyError> {
        load::compile(&load::read(dir)?)
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none, so that everything is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// A short hash of the schema and of all policy texts.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether `action` at a service in these groups needs its whole body read before the decision: for its findings, to be masked, or
    /// because an approval is bound to it. Of an action nobody knows, everything is needed.
    #[must_use]
    pub fn needs_body(&self, action: &str, service: &str, service_groups: &[String]) -> bool {
        let reached = self.reaches(action, service, service_groups, |slice| &slice.read_whole);
        reached.unwrap_or(true)
    }

    /// Whether the texts of a call at a service in these groups are searched for [risks](crate::protocol::llm::risks).
    #[must_use]
    pub fn needs_risks(&self, action: &str, service: &str, service_groups: &[String]) -> bool {
        let reached = self.reaches(action, service, service_groups, |slice| &slice.read_risks);
        reached.unwrap_or(true)
    }

    /// Whether some policy asks what goes where it did not come from, so that answers are searched for values.
    #[must_use]
    pub fn asks_for_origins(&self) -> bool {
        self.needs_origins
    }

    /// Whether some policy asks what an identity has spent, so that it has to be known of each call.
    #[must_use]
    pub fn asks_for_spent(&self) -> bool {
        self.needs_spent
    }

    /// Whether a permit of `action` at a service in these groups may restore.
    #[must_use]
    pub fn restores(&self, action: &str, service: &str, service_groups: &[String]) -> bool {
        let reached = self.reaches(action, service, service_groups, |slice| &slice.restore);
        reached.unwrap_or(false)
    }

    /// Whether `action` needs whole bodies read at some service.
    #[must_use]
    pub fn may_need_body(&self, action: &str) -> bool {
        self.slices
            .get(action)
            .is_none_or(|slice| !slice.read_whole.is_empty())
    }

    /// Whether calls of tools in the answers of this service are decided on: where a policy for [`TOOL_CALL`] can apply.
    #[must_use]
    pub fn decides_calls(&self, service: &str, service_groups: &[String]) -> bool {
        let reached = self.reaches(TOOL_CALL, service, service_groups, |slice| &slice.named);
        reached.unwrap_or(true)
    }

    /// Whether some policy puts something into calls of tools.
    #[must_use]
    pub fn patches(&self) -> bool {
        let slice = self.slices.get(TOOL_CALL);
        slice.is_some_and(|slice| !slice.patching.is_empty())
    }

    /// Whether one of these scopes of an action has a service in these groups; `None` for an action nobody knows.
    fn reaches(
        &self,
        action: &str,
        service: &str,
        service_groups: &[String],
        scopes: fn(&Slice) -> &[ResourceConstraint],
    ) -> Option<bool> {
        let scopes = scopes(self.slices.get(action)?);
        if scopes.is_empty() {
            return Some(false);
        }
        let (service, groups) = evaluate::resource(self, service, service_groups);
        Some(slice::reaches(scopes, &service, &groups))
    }

    /// Whether some permit names [`SPLICE`].
    #[must_use]
    pub fn splices(&self) -> bool {
        let slice = self.slices.get(SPLICE);
        slice.is_some_and(|slice| !slice.permits.is_empty())
    }

    /// Whether this permits [`SPLICE`] without a policy that names it: what passes unopened is nobody's to mean by accident.
    fn is_unmeant(&self, permit: &Permit) -> bool {
        let named = |slice: &Slice| {
            let mut policies = permit.policies().iter();
            policies.any(|id| slice.permits.contains(id))
        };
        permit.query().action == SPLICE && !self.slices.get(SPLICE).is_some_and(named)
    }

    /// How many policies can apply to each action.
    #[must_use]
    pub fn slices(&self) -> BTreeMap<&str, usize> {
        self.slices
            .iter()
            .map(|(action, slice)| (action.as_str(), slice.set.num_of_policies()))
            .collect()
    }

    /// The detectors that belong to the set: what it calls findings, and what it masks.
    #[must_use]
    pub fn detectors(&self) -> &Arc<Detectors> {
        &self.detectors
    }

    /// What the validator finds odd without refusing it.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// One line on a policy: effect, place, annotations. `None` for an id that is not in this set.
    #[must_use]
    pub fn describe(&self, id: &str) -> Option<String> {
        let rule = self.rules.get(id)?;
        Some(format!("{} at {}{}", rule.effect, rule.place, rule.terms))
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PolicySet({} policies, version {})",
            self.len(),
            self.version
        )
    }
}

#[cfg(test)]
mod tests;
