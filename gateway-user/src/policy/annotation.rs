//! What the annotations of a policy say.
//!
//! In: a parsed policy. Out: [`Terms`]. Every annotation is known, has a value that means something, and stands on the effect it
//! works on: an obligation on a `forbid`, an addition on a `permit`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use cedar_policy::{ActionConstraint, Effect, Policy};

use super::error::Fault;
use super::patch::Patch;
use super::{Style, TOOL_CALL};
use crate::detect::Detectors;
use crate::nearest::nearest;

/// The annotations of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// Detectors or classes to mask, all of them.
    pub(super) masks: BTreeSet<String>,
    /// What stands in their place.
    pub(super) style: Style,
    /// Detectors or classes whose surrogates are restored.
    pub(super) restores: BTreeSet<String>,
    /// Groups that may approve, any of them.
    pub(super) approvers: Vec<String>,
    /// How long an approval is waited for.
    pub(super) within: Duration,
    /// What to tell the agent or the approver.
    pub(super) message: Option<String>,
    /// For how long what it lets in counts as untrusted.
    pub(super) taints: Option<Duration>,
    /// What it puts into the arguments of a call.
    pub(super) patch: Patch,
    /// A label for the ledger.
    pub(super) record: Option<String>,
    /// The credential to send.
    pub(super) credential: Option<String>,
}

impl Terms {
    /// What is masked, each with its style.
    pub(super) fn masks(&self) -> impl Iterator<Item = (String, Style)> {
        self.masks.iter().map(|name| (name.clone(), self.style))
    }

    /// Whether something can lift this forbid.
    pub(super) fn is_obligation(&self) -> bool {
        !self.masks.is_empty() || !self.approvers.is_empty()
    }
}

/// Reads the annotations of a policy.
pub(super) fn read(policy: &Policy, detectors: &Detectors) -> Result<Terms, Fault> {
    if let Some((name, _)) = policy
        .annotations()
        .find(|(name, _)| !ANNOTATIONS.contains(name))
    {
        return Err(Fault::UnknownAnnotation {
            name: name.to_owned(),
            nearest: nearest(name, ANNOTATIONS.iter().copied()).map(|near| format!("@{near}")),
        });
    }
    let effect = policy.effect();
    let on = |annotation: &'static str, needed: Effect| match policy.annotation(annotation) {
        Some(_) if effect != needed => Err(Fault::WrongEffect {
            annotation,
            effect: match needed {
                Effect::Permit => "permit",
                Effect::Forbid => "forbid",
            },
        }),
        found => Ok(found),
    };
    let masks: BTreeSet<String> = on("mask", Effect::Forbid)?
        .map_or(Ok(Vec::new()), |value| names("mask", value))?
        .into_iter()
        .collect();
    let style = on("style", Effect::Forbid)?.map(style).transpose()?;
    if style.is_some() && masks.is_empty() {
        return Err(Fault::StyleAlone);
    }
    let restores: BTreeSet<String> = on("restore", Effect::Permit)?
        .map_or(Ok(Vec::new()), |value| names("restore", value))?
        .into_iter()
        .collect();
    let mut named = masks.iter().chain(&restores);
    if let Some(name) = named.find(|name| !detectors.known(name)) {
        return Err(Fault::unknown_detector(name, detectors));
    }
    let reversible = match style {
        Some(Style::Surrogate) => &masks,
        _ => &restores,
    };
    if let Some(name) = reversible.iter().find(|name| detectors.is_secret(name)) {
        return Err(Fault::Secret { name: name.clone() });
    }
    if !restores.is_empty() && !names_only(policy, RESTORED) {
        return Err(Fault::RestoreWhere);
    }
    let patch = on("patch", Effect::Permit)?.map(Patch::read).transpose()?;
    if patch.is_some() && !names_only(policy, &[TOOL_CALL]) {
        return Err(Fault::PatchWhere);
    }
    let approvers = on("approvers", Effect::Forbid)?
        .map_or(Ok(Vec::new()), |value| names("approvers", value))?;
    let time = |annotation, value: Option<&str>, longest| {
        value
            .map(|value| duration(annotation, value, longest))
            .transpose()
    };
    let within = time("within", on("within", Effect::Forbid)?, LONGEST)?;
    let taints = time("taints", on("taints", Effect::Permit)?, WITHIN_A_DAY)?;
    if within.is_some() && approvers.is_empty() {
        return Err(Fault::WithinAlone);
    }
    let text = |annotation, value: Option<&str>| value.map(|v| line(annotation, v)).transpose();
    Ok(Terms {
        masks,
        style: style.unwrap_or_default(),
        restores,
        approvers,
        within: within.unwrap_or(WITHIN),
        message: text("message", policy.annotation("message"))?,
        taints,
        patch: patch.unwrap_or_default(),
        record: text("record", on("record", Effect::Permit)?)?,
        credential: text("credential", on("credential", Effect::Permit)?)?,
    })
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &mut dyn Iterator<Item = &String>| {
            names.map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        if !self.masks.is_empty() {
            write!(f, " @mask(\"{}\")", list(&mut self.masks.iter()))?;
        }
        if self.style != Style::default() {
            write!(f, " @style(\"{}\")", self.style)?;
        }
        if !self.restores.is_empty() {
            write!(f, " @restore(\"{}\")", list(&mut self.restores.iter()))?;
        }
        if !self.approvers.is_empty() {
            let approvers = list(&mut self.approvers.iter());
            write!(
                f,
                " @approvers(\"{approvers}\") @within(\"{}\")",
                short(self.within)
            )?;
        }
        if let Some(taints) = self.taints {
            write!(f, " @taints(\"{}\")", short(taints))?;
        }
        if !self.patch.is_empty() {
            write!(f, " @patch(\"{}\")", self.patch)?;
        }
        for (name, value) in [
            ("record", &self.record),
            ("credential", &self.credential),
            ("message", &self.message),
        ] {
            if let Some(value) = value {
                write!(f, " @{name}(\"{value}\")")?;
            }
        }
        Ok(())
    }
}

/// Reads a list of names, separated by commas.
fn names(annotation: &'static str, value: &str) -> Result<Vec<String>, Fault> {
    let names: Vec<String> = value
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    if names.iter().any(String::is_empty) || distinct.len() != names.len() {
        return Err(Fault::Value {
            annotation,
            value: value.to_owned(),
            expected: "name one, or several different ones separated by commas",
        });
    }
    Ok(names)
}

/// Reads a style.
fn style(value: &str) -> Result<Style, Fault> {
    let named = Style::ALL.iter().find(|(name, _)| *name == value);
    named.map(|(_, style)| *style).ok_or_else(|| Fault::Value {
        annotation: "style",
        value: value.to_owned(),
        expected: "use replace, hash, last4 or surrogate",
    })
}

/// Whether a policy names none but these actions.
fn names_only(policy: &Policy, actions: &[&str]) -> bool {
    let is = |action: &cedar_policy::EntityUid| actions.contains(&action.id().unescaped());
    match policy.action_constraint() {
        ActionConstraint::Any => false,
        ActionConstraint::Eq(action) => is(&action),
        ActionConstraint::In(actions) => actions.iter().all(is),
    }
}

/// Reads `30s`, `10m` or `1h`.
fn duration(
    annotation: &'static str,
    value: &str,
    (longest, expected): (Duration, &'static str),
) -> Result<Duration, Fault> {
    let read = read_short(value).filter(|read| (Duration::from_secs(1)..=longest).contains(read));
    read.ok_or_else(|| Fault::Value {
        annotation,
        value: value.to_owned(),
        expected,
    })
}

/// Reads what [`short`] writes.
pub(super) fn read_short(value: &str) -> Option<Duration> {
    let unit = match value.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let digits = &value[..value.len() - 1];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(Duration::from_secs(seconds))
}

/// Writes a duration as [`read_short`] reads it.
pub(super) fn short(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// Reads a text that ends up in errors, logs and on terminals.
fn line(annotation: &'static str, value: &str) -> Result<String, Fault> {
    if value.trim().is_empty() || value.chars().any(char::is_control) {
        return Err(Fault::Value {
            annotation,
            value: value.escape_debug().to_string(),
            expected: "use one line of text",
        });
    }
    Ok(value.to_owned())
}

/// Long enough for a person to notice, short enough that nobody approves what they no longer remember.
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// A question older than this is asked again; also keeps deadlines far from overflow.
const LONGEST: (Duration, &str) = (
    Duration::from_secs(7 * 24 * 3600),
    "use a duration such as 30s, 10m or 1h, a week at most",
);

/// So far a start looks back in the record.
pub const LONGEST_TAINT: Duration = Duration::from_secs(24 * 3600);
const WITHIN_A_DAY: (Duration, &str) = (
    LONGEST_TAINT,
    "use a duration such as 30s, 10m or 1h, a day at most",
);

/// Where values may be restored: requests that are no calls of models. A WebSocket is in the group, and its messages keep their surrogates.
const RESTORED: &[&str] = &["http", "http.read", "http.write"];

/// Every annotation there is.
pub(super) const ANNOTATIONS: &[&str] = &[
    "id",
    "mask",
    "style",
    "restore",
    "taints",
    "patch",
    "approvers",
    "within",
    "message",
    "record",
    "credential",
];
