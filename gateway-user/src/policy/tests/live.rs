//! A new set in force, and what stands under it.

use super::super::Live;
use super::*;

const CHAT: &str = r#"
@id("chat") permit (principal, action == Action::"llm.generate", resource);
"#;
const ASK: &str = r#"
@id("ask") @approvers("dba")
forbid (principal, action, resource) unless { context.approvals.contains("dba") };
"#;
const ASK_MORE: &str = r#"
@id("ask-more") @approvers("boss")
forbid (principal, action, resource) unless { context.approvals.contains("boss") };
"#;
const MASK: &str = r#"
@id("mask") @mask("email")
forbid (principal, action, resource) unless { context.masked.contains("email") };
"#;
const OTHER: &str = r#"
@id("other") permit (principal, action == Action::"connect", resource);
"#;

#[test]
fn what_was_granted_and_is_masked_stands_and_nothing_else() {
    let first = set(&[CHAT, ASK, MASK].concat());
    let question = ask(first.decide(generate("m")));
    let granted = names(&["dba"]);
    let permit = permit(question.grant(&first, &granted));
    let renewed = |sets: &[&str]| permit.standing().renew(&set(&sets.concat()));
    assert_eq!(renewed(&[CHAT, ASK, MASK, OTHER]), Ok(()));
    assert_eq!(renewed(&[CHAT, ASK, OTHER]), Ok(()), "one mask fewer");
    assert_eq!(
        renewed(&[CHAT, ASK, MASK, ASK_MORE]).unwrap_err(),
        "ask, ask-more, mask"
    );
    let pii = MASK.replace("email", "pii");
    assert_eq!(renewed(&[CHAT, ASK, &pii]).unwrap_err(), "mask");
    assert_eq!(
        renewed(&[OTHER]).unwrap_err(),
        "no policy permits model \"m\""
    );
}

#[test]
fn a_change_is_told_to_whoever_asked_before_it() {
    let live = Live::new(compile(CHAT).unwrap());
    let mut changes = live.changes();
    assert!(!changes.has_changed().unwrap());
    live.replace(compile(OTHER).unwrap());
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(!live.changes().has_changed().unwrap());
    deny(live.load_full().decide(generate("m")));
}
