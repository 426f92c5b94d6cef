//! Deadlines, clients that go away, and what is denied without asking.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_grant_ends_with_its_deadline() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    advance(HOLD).await;
    assert!(matches!(held.await.unwrap(), Verdict::StillPending { .. }));
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    advance(Duration::from_secs(600) - HOLD).await;
    let (_exchange, late) = desk.hold(request(1)).await;
    assert!(!late.is_finished());
}

#[tokio::test(start_paused = true)]
async fn nobody_answering_is_a_refusal_on_record() {
    let desk = Desk::open().await;
    let mut short = request(1);
    short.asks[0].within = Duration::from_secs(5);
    let (exchange, held) = desk.hold(short).await;
    advance(Duration::from_millis(4999)).await;
    settle().await;
    assert!(!held.is_finished());
    advance(Duration::from_millis(1)).await;
    assert!(matches!(held.await.unwrap(), Verdict::Expired { .. }));
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Expired);
    let id = exchange.id().to_string();
    let late = desk.approvals.approve(&id, admin(), None).await;
    assert!(matches!(late, Err(ApproveError::Expired { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_leaves_its_question_to_the_retry() {
    let desk = Desk::open().await;
    let (_one, held) = desk.hold(request(1)).await;
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    let (two, held) = desk.hold(request(1)).await;
    let waiting = desk.approvals.list().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].exchange, two.id());
    let id = waiting[0].id.to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    assert_eq!(held.await.unwrap(), granted());
}

#[tokio::test(start_paused = true)]
async fn a_grant_lost_on_its_way_is_still_there() {
    let desk = Desk::open().await;
    let (exchange, _entry) = (desk.exchange().await, ());
    let pending = Pending {
        exchange: exchange.id(),
        ..request(1)
    };
    let mut hold = Box::pin(desk.approvals.hold(pending, HOLD, |_| ()));
    tokio::select! {
        biased;
        _ = &mut hold => panic!("nobody has answered"),
        () = desk.asked(&exchange) => {}
    }
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    // The verdict is in the channel, and the client is gone before it is read.
    drop(hold);
    let (_exchange, retry) = desk.hold(request(1)).await;
    assert_eq!(retry.await.unwrap(), granted());
}

#[tokio::test(start_paused = true)]
async fn what_one_admin_cannot_grant_is_denied_at_once() {
    let desk = Desk::open().await;
    let mut people = request(1);
    people.asks[0].people = 2;
    let mut nobody = request(1);
    nobody.asks[0].approvers.clear();
    let nothing = Pending {
        asks: Vec::new(),
        ..request(1)
    };
    for (impossible, why) in [
        (
            people,
            "policy \"writes\" wants 2 people, and the local admin is one",
        ),
        (nobody, "policy \"writes\" names no approver"),
        (nothing, "nothing says who may approve it"),
    ] {
        let (_exchange, held) = desk.hold(impossible).await;
        assert_eq!(held.await.unwrap(), denied(why.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_in_the_ledger_is_denied() {
    let desk = Desk::open().await;
    let absent: Id = "01JD7K00000000AA".parse().unwrap();
    let pending = Pending {
        exchange: absent,
        ..request(1)
    };
    let verdict = desk.approvals.hold(pending, HOLD, |_| ()).await;
    assert!(matches!(verdict, Verdict::Denied { by, .. } if by == "tollgate"));
}
