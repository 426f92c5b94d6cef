//! What an earlier daemon left: questions, unused approvals, denials.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_open_question_keeps_its_id_and_takes_an_answer_after_a_restart() {
    let desk = Desk::open().await;
    let (first, _held) = desk.hold(request(1)).await;
    let before = desk.approvals.list().await.unwrap();
    let desk = desk.restarted().await;
    let after = desk.approvals.list().await.unwrap();
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].id, before[0].id);
    assert_eq!(after[0].asks, before[0].asks);
    assert!(!after[0].held);

    // The retry finds the question; a person names it by what the agent was told first.
    let (_retry, held) = desk.hold(request(1)).await;
    assert_eq!(desk.approvals.list().await.unwrap().len(), 1);
    let id = first.id().to_string();
    let answered = desk.approvals.approve(&id, admin(), None).await;
    assert_eq!(answered.unwrap(), before[0].id);
    assert_eq!(held.await.unwrap(), granted());
}

#[tokio::test(start_paused = true)]
async fn an_approval_counts_once_across_restarts() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    held.abort();
    drop(held.await);
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();

    let desk = desk.restarted().await;
    let (_exchange, held) = desk.hold(request(1)).await;
    assert_eq!(held.await.unwrap(), granted());
    assert_eq!(desk.used(&id).await, 1);

    let desk = desk.restarted().await;
    let (_exchange, again) = desk.hold(request(1)).await;
    assert!(!again.is_finished());
    let late = desk.approvals.approve(&id, admin(), None).await;
    assert!(matches!(late, Err(ApproveError::Answered { by, .. }) if by == "root"));
}

#[tokio::test(start_paused = true)]
async fn a_use_that_cannot_be_recorded_releases_nothing() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    held.abort();
    drop(held.await);
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    desk.sql("UPDATE approval SET used = uses").await;
    let (_exchange, held) = desk.hold(request(1)).await;
    assert!(matches!(held.await.unwrap(), Verdict::Denied { by, .. } if by == "tollgate"));
}

#[tokio::test(start_paused = true)]
async fn a_denial_stands_after_a_restart() {
    let desk = Desk::open().await;
    let (exchange, _held) = desk.hold(request(1)).await;
    let id = exchange.id().to_string();
    let reason = Some("not today".to_owned());
    let question = desk.approvals.deny(&id, admin(), reason).await.unwrap();
    let desk = desk.restarted().await;
    let (_exchange, held) = desk.hold(request(1)).await;
    let no = Verdict::Denied {
        by: "root".into(),
        reason: "not today".into(),
        id: Some(question),
    };
    assert_eq!(held.await.unwrap(), no);
    advance(Duration::from_secs(600)).await;
    let (_exchange, later) = desk.hold(request(1)).await;
    assert!(!later.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_ran_out_while_nothing_ran_is_expired() {
    let desk = Desk::open().await;
    let (exchange, _held) = desk.hold(request(1)).await;
    let (denied, _held) = desk.hold(request(2)).await;
    let id = denied.id().to_string();
    desk.approvals.deny(&id, admin(), None).await.unwrap();
    desk.sql("UPDATE approval SET expires = 1").await;
    let desk = desk.restarted().await;
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Expired);
    for n in [1, 2] {
        let (_exchange, again) = desk.hold(request(n)).await;
        assert!(!again.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_is_asked_about_anew() {
    let desk = Desk::open().await;
    let (exchange, _held) = desk.hold(request(1)).await;
    let id = exchange.id().to_string();
    desk.approvals.deny(&id, admin(), None).await.unwrap();
    desk.sql("UPDATE approval SET asks = '?'").await;
    let desk = desk.restarted().await;
    let (_exchange, again) = desk.hold(request(1)).await;
    assert!(!again.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_approval_from_before_uses_were_counted_is_used() {
    let desk = Desk::open().await;
    let (exchange, _held) = desk.hold(request(1)).await;
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    for statement in [
        "DROP INDEX approval_expires",
        "ALTER TABLE approval DROP COLUMN used",
        "DELETE FROM _sqlx_migrations WHERE version = 2",
    ] {
        desk.sql(statement).await;
    }
    let desk = desk.restarted().await;
    assert_eq!(desk.used(&id).await, 1);
    let (_exchange, again) = desk.hold(request(1)).await;
    assert!(!again.is_finished());
}
