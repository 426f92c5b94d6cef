//! Load-time rules on the conditions of a policy, beyond types.
//!
//! In: a policy's syntax tree and its annotations. Out: nothing, or the [`Fault`]. Three things must hold for the decision
//! algorithm to be right: filling `masked` and `approvals` can only lift forbids that say so in their annotations; a missing
//! optional fact can only make the answer stricter; a name that policies compare with exists.

use std::collections::BTreeSet;

use cedar_policy::pst::{BinaryOp, Clause, Effect, Expr, Literal, Template, UnaryOp, Var};

use super::annotation::Terms;
use super::error::Fault;
use super::vocabulary::Vocabulary;
use crate::detect::Detectors;
use crate::protocol::llm::risks;

/// Checks the conditions of a policy.
pub(super) fn check(
    policy: &Template,
    terms: &Terms,
    vocabulary: &Vocabulary,
    detectors: &Detectors,
) -> Result<(), Fault> {
    let mut asked = Asked::default();
    for clause in policy.clauses() {
        let (Clause::When(condition) | Clause::Unless(condition)) = clause;
        if mentions_bare_context(condition) {
            return Err(Fault::BareContext);
        }
        names_exist(condition, detectors)?;
        let truth = match (policy.effect, clause) {
            (Effect::Forbid, Clause::Unless(_)) => {
                asked.read(condition)?;
                Truth::PermitsMore
            }
            (Effect::Permit, Clause::When(_)) => {
                no_obligation(condition)?;
                Truth::PermitsMore
            }
            (Effect::Permit, Clause::Unless(_)) | (Effect::Forbid, Clause::When(_)) => {
                no_obligation(condition)?;
                Truth::PermitsLess
            }
        };
        absence_is_stricter(condition, truth, vocabulary)?;
    }
    same_names(
        "mask",
        MASKED,
        terms.masks.iter().cloned().collect(),
        asked.masked,
    )?;
    same_names(
        "approvers",
        APPROVALS,
        terms.approvers.iter().cloned().collect(),
        asked.approvals,
    )
}

/// Whether a policy's conditions read that fact.
pub(super) fn reads(policy: &Template, fact: &str) -> bool {
    policy.clauses().iter().any(|clause| {
        let (Clause::When(condition) | Clause::Unless(condition)) = clause;
        mentions(condition, fact)
    })
}

/// What `unless` asks the two obligation facts for.
#[derive(Default)]
struct Asked {
    masked: BTreeSet<String>,
    approvals: BTreeSet<String>,
}

impl Asked {
    /// Reads an `unless` of a forbid: only `&&` and `||` may stand above an obligation fact, so that filling it can only lift.
    fn read(&mut self, condition: &Expr) -> Result<(), Fault> {
        let Expr::BinaryOp { op, left, right } = condition else {
            return no_obligation(condition);
        };
        match op {
            BinaryOp::And | BinaryOp::Or => {
                // The approvers of a policy are alternatives; with both sides needed, one grant would never do.
                if *op == BinaryOp::And && mentions(left, APPROVALS) && mentions(right, APPROVALS) {
                    return Err(Fault::TwoApprovals);
                }
                self.read(left)?;
                self.read(right)
            }
            _ if fact(left) == Some(MASKED) => {
                self.masked
                    .extend(test(*op, right, BinaryOp::ContainsAll, MASKED)?);
                Ok(())
            }
            _ if fact(left) == Some(APPROVALS) => {
                self.approvals
                    .extend(test(*op, right, BinaryOp::ContainsAny, APPROVALS)?);
                Ok(())
            }
            _ => no_obligation(condition),
        }
    }
}

/// Refuses obligation facts wherever they stand in `condition`.
fn no_obligation(condition: &Expr) -> Result<(), Fault> {
    match [MASKED, APPROVALS]
        .into_iter()
        .find(|fact| mentions(condition, fact))
    {
        Some(fact) => Err(Fault::Obligation { fact }),
        None => Ok(()),
    }
}

/// The names in `.contains("name")` or in `many` of a literal set.
fn test(
    op: BinaryOp,
    names: &Expr,
    many: BinaryOp,
    fact: &'static str,
) -> Result<BTreeSet<String>, Fault> {
    let literal = |expr: &Expr| match expr {
        Expr::Literal(Literal::String(name)) => Some(name.to_string()),
        _ => None,
    };
    let found: Option<BTreeSet<String>> = match names {
        Expr::Set(names) if op == many => names.iter().map(|name| literal(name)).collect(),
        name if op == BinaryOp::Contains => literal(name).map(|name| BTreeSet::from([name])),
        _ => None,
    };
    found
        .filter(|names| !names.is_empty())
        .ok_or(Fault::Obligation { fact })
}

fn same_names(
    annotation: &'static str,
    fact: &'static str,
    annotated: BTreeSet<String>,
    asked: BTreeSet<String>,
) -> Result<(), Fault> {
    if annotated == asked {
        return Ok(());
    }
    let list = |names: BTreeSet<String>| match names.is_empty() {
        true => "nothing".to_owned(),
        false => names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", "),
    };
    Err(Fault::Names {
        annotation,
        fact,
        annotated: list(annotated),
        asked: list(asked),
    })
}

/// What follows when an expression becomes true.
#[derive(Clone, Copy)]
enum Truth {
    PermitsMore,
    PermitsLess,
}

/// `has` on an optional fact may stand only where its falsehood permits less.
fn absence_is_stricter(expr: &Expr, truth: Truth, vocabulary: &Vocabulary) -> Result<(), Fault> {
    match expr {
        Expr::BinaryOp {
            op: BinaryOp::And | BinaryOp::Or,
            left,
            right,
        } => {
            absence_is_stricter(left, truth, vocabulary)?;
            absence_is_stricter(right, truth, vocabulary)
        }
        Expr::UnaryOp {
            op: UnaryOp::Not,
            expr,
        } => {
            let opposite = match truth {
                Truth::PermitsMore => Truth::PermitsLess,
                Truth::PermitsLess => Truth::PermitsMore,
            };
            absence_is_stricter(expr, opposite, vocabulary)
        }
        Expr::HasAttr { .. } if matches!(truth, Truth::PermitsMore) => Ok(()),
        // In any other expression falsehood below does not mean falsehood above.
        other => match find(other, &|expr| optional_presence(expr, vocabulary)).pop() {
            Some(fact) => Err(Fault::Absence { fact }),
            None => Ok(()),
        },
    }
}

fn optional_presence(expr: &Expr, vocabulary: &Vocabulary) -> Option<String> {
    match expr {
        Expr::HasAttr { expr, attrs }
            if is_context(expr) && vocabulary.is_optional(&attrs.head) =>
        {
            Some(attrs.head.to_string())
        }
        _ => None,
    }
}

/// Findings and credential kinds are closed lists: a name that is not on them would never match, and its forbid never apply.
fn names_exist(condition: &Expr, detectors: &Detectors) -> Result<(), Fault> {
    let compared = |with: &'static str| {
        find(condition, &move |expr| match expr {
            Expr::BinaryOp { op, left, right } if !matches!(op, BinaryOp::And | BinaryOp::Or) => {
                [(left, right), (right, left)]
                    .into_iter()
                    .find(|(side, _)| fact(side) == Some(with))
                    .map(|(_, other)| literals(other))
            }
            _ => None,
        })
    };
    let mut named = [FINDINGS, MOVED].into_iter().flat_map(compared).flatten();
    if let Some(name) = named.find(|name| !detectors.known(name)) {
        return Err(Fault::unknown_detector(&name, detectors));
    }
    let risks = compared(RISKS).concat();
    if let Some(name) = risks
        .into_iter()
        .find(|name| !risks::KNOWN.contains(&name.as_str()))
    {
        return Err(Fault::UnknownRisk { name });
    }
    let kinds = compared(CREDENTIAL).concat();
    match kinds
        .into_iter()
        .find(|kind| !CREDENTIAL_KINDS.contains(&kind.as_str()))
    {
        Some(value) => Err(Fault::UnknownCredential { value }),
        None => Ok(()),
    }
}

fn literals(expr: &Expr) -> Vec<String> {
    find(expr, &|expr| match expr {
        Expr::Literal(Literal::String(text)) => Some(text.to_string()),
        _ => None,
    })
}

/// Facts are looked for as `context.fact`; `context` by itself could carry them past that.
fn mentions_bare_context(condition: &Expr) -> bool {
    find(condition, &|expr| match expr {
        Expr::GetAttr { expr, .. } | Expr::HasAttr { expr, .. } if is_context(expr) => Some(false),
        expr if is_context(expr) => Some(true),
        _ => None,
    })
    .contains(&true)
}

fn mentions(condition: &Expr, name: &str) -> bool {
    !find(condition, &|expr| (fact(expr) == Some(name)).then_some(())).is_empty()
}

/// The name in `context.name` or `context has name`.
fn fact(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::GetAttr { expr, attr } if is_context(expr) => Some(attr),
        Expr::HasAttr { expr, attrs } if is_context(expr) => Some(&attrs.head),
        _ => None,
    }
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context))
}

/// What `look` finds in an expression; it does not look below a find.
fn find<T: Clone>(expr: &Expr, look: &dyn Fn(&Expr) -> Option<T>) -> Vec<T> {
    expr.reduce(
        &|expr| look(expr).map(|found| vec![found]),
        &|left, right| [left, right].concat(),
        Vec::new(),
    )
}

const MASKED: &str = "masked";
const APPROVALS: &str = "approvals";
/// The fact that needs whole bodies.
pub(super) const FINDINGS: &str = "findings";
/// What goes where it did not come from.
pub(super) const MOVED: &str = "moved";
/// What an identity has spent.
pub(super) const SPENT: [&str; 2] = ["spent_today_cents", "spent_month_cents"];
/// Whether untrusted content has reached the workload.
pub(super) const TAINTED: &str = "tainted";
/// What in a call is known from attacks on models.
pub(super) const RISKS: &str = "risks";
const CREDENTIAL: &str = "credential";
const CREDENTIAL_KINDS: &[&str] = &["none", "own", "foreign", "held"];
