//! What an answer does, and for whom.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_approval_releases_the_request_after_it_is_recorded() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    let waiting = desk.approvals.list().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].held);
    assert_eq!(waiting[0].exchange, exchange.id());
    assert_eq!(waiting[0].left_ms, 600_000);
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Pending);

    // Named by the exchange's id, as the refusal shows it.
    let id = exchange.id().to_string();
    let reason = Some("change 42".to_owned());
    let question = desk.approvals.approve(&id, admin(), reason).await.unwrap();
    let recorded = desk.recorded(&exchange).await;
    assert_eq!(recorded.id, question);
    assert_eq!(recorded.state, ApprovalState::Approved);
    assert_eq!(recorded.by.as_deref(), Some("root"));
    assert_eq!(recorded.reason.as_deref(), Some("change 42"));
    assert_eq!(held.await.unwrap(), granted());
    assert!(desk.approvals.list().await.unwrap().is_empty());

    // The grant is used up.
    let (_exchange, again) = desk.hold(request(1)).await;
    assert!(!again.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_remembered_until_the_deadline() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    let id = exchange.id().to_string();
    let reason = Some("not today".to_owned());
    let question = desk.approvals.deny(&id, admin(), reason).await.unwrap();
    let verdict = held.await.unwrap();
    let no = Verdict::Denied {
        by: "root".into(),
        reason: "not today".into(),
        id: Some(question),
    };
    assert_eq!(verdict, no);
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Denied);

    let mut other_uid = request(1);
    other_uid.requester_uid = 1001;
    let (_exchange, again) = desk.hold(other_uid).await;
    assert_eq!(again.await.unwrap(), no);
    let (_exchange, other) = desk.hold(request(2)).await;
    assert!(!other.is_finished());

    advance(Duration::from_secs(600)).await;
    let (_exchange, later) = desk.hold(request(1)).await;
    assert!(!later.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_identical_retry_passes_once_after_a_late_approval() {
    let desk = Desk::open().await;
    let (first, held) = desk.hold(request(1)).await;
    advance(HOLD).await;
    let Verdict::StillPending { id } = held.await.unwrap() else {
        panic!("the hold is over")
    };
    assert!(!desk.approvals.list().await.unwrap()[0].held);

    let id = id.to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    assert_eq!(desk.recorded(&first).await.state, ApprovalState::Approved);
    for changed in [
        Pending {
            digest: [9; 32],
            ..request(1)
        },
        Pending {
            identity: "other".into(),
            ..request(1)
        },
        Pending {
            destination: "db.internal:443".into(),
            ..request(1)
        },
        Pending {
            action: "http.read".into(),
            ..request(1)
        },
        Pending {
            asks: vec![Ask {
                message: Some("Which ticket?".into()),
                ..request(1).asks[0].clone()
            }],
            ..request(1)
        },
        Pending {
            requester_uid: 1001,
            ..request(1)
        },
    ] {
        let (_exchange, held) = desk.hold(changed).await;
        assert!(!held.is_finished());
    }
    // Another version of the policy set that asks the same: whoever releases the request decides again.
    let reloaded = Pending {
        policy_version: "v2".into(),
        ..request(1)
    };
    let (retry, held) = desk.hold(reloaded).await;
    assert_eq!(held.await.unwrap(), granted());
    assert_eq!(desk.recorded(&retry).await.id.to_string(), id);
    let (_exchange, held) = desk.hold(request(1)).await;
    assert!(!held.is_finished());
}

#[tokio::test(start_paused = true)]
async fn the_requester_cannot_approve_but_may_withdraw() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    let requester = Approver {
        name: "agent".into(),
        uid: 1000,
    };
    let id = exchange.id().to_string();
    let own = desk.approvals.approve(&id, requester.clone(), None).await;
    assert!(matches!(own, Err(ApproveError::OwnRequest { uid: 1000 })));
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Pending);
    desk.approvals.deny(&id, requester, None).await.unwrap();
    assert!(matches!(held.await.unwrap(), Verdict::Denied { .. }));
}

#[tokio::test(start_paused = true)]
async fn two_identical_requests_are_two_questions() {
    let desk = Desk::open().await;
    let (one, held_one) = desk.hold(request(1)).await;
    let (_two, held_two) = desk.hold(request(1)).await;
    assert_eq!(desk.approvals.list().await.unwrap().len(), 2);
    let id = one.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    assert_eq!(held_one.await.unwrap(), granted());
    settle().await;
    assert!(!held_two.is_finished());
}

#[tokio::test(start_paused = true)]
async fn every_ask_is_granted_by_one_approval_of_the_admin() {
    let desk = Desk::open().await;
    let mut two = request(1);
    two.asks.push(Ask {
        policy: "cost".into(),
        approvers: vec!["finance".into(), "heads".into()],
        ..two.asks[0].clone()
    });
    let (exchange, held) = desk.hold(two).await;
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    let Verdict::Granted { approvals, .. } = held.await.unwrap() else {
        panic!("granted")
    };
    assert!(approvals.iter().eq(["dba", "finance", "heads"]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_recorded_does_not_count() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    // The row is gone, so the answer has nothing to be written to.
    desk.sql("UPDATE exchange SET approval = NULL").await;
    desk.sql("DELETE FROM approval").await;
    let id = exchange.id().to_string();
    let failed = desk.approvals.approve(&id, admin(), None).await;
    assert!(matches!(failed, Err(ApproveError::Ledger(_))));
    settle().await;
    assert!(!held.is_finished());
    assert_eq!(desk.approvals.list().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_typed_is_checked() {
    let desk = Desk::open().await;
    let (_one, _held_one) = desk.hold(request(1)).await;
    let (_two, _held_two) = desk.hold(request(2)).await;
    let whole = desk.approvals.list().await.unwrap()[0].id.to_string();
    let answer = async |id: &str| desk.approvals.approve(id, admin(), None).await;
    for typed in ["", "nonsense!", &whole[..6], &whole[..15]] {
        assert!(matches!(
            answer(typed).await,
            Err(ApproveError::NotWhole(_))
        ));
    }
    assert!(matches!(
        answer("ZZZZZZZZZZZZZZZZ").await,
        Err(ApproveError::NotWaiting(_))
    ));
    answer(&whole).await.unwrap();
    let again = answer(&whole).await.unwrap_err().to_string();
    let told = format!("{whole} is approved already, by root at ");
    assert!(again.starts_with(&told), "{again}");
}
