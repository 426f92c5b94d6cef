//! A thousand questions at once, and a flood that does not stop anybody else.

use super::*;
use crate::approve::book::{Book, MAX_ANSWERED, MAX_PENDING, MAX_PER_IDENTITY};
use crate::approve::question::{Binding, Grant, Question, State};

#[tokio::test(start_paused = true)]
async fn a_thousand_questions_are_each_answered_and_a_flood_stops_nobody_else() {
    let desk = Desk::open().await;
    let exchange = desk.exchange().await.id();
    let flood = |n: usize| Pending {
        exchange,
        ..numbered(n)
    };
    let mut held = Vec::new();
    for n in 0..MAX_PER_IDENTITY {
        let (approvals, pending) = (desk.approvals.clone(), flood(n));
        held.push(tokio::spawn(async move {
            approvals.hold(pending, HOLD, |_| ()).await
        }));
    }
    while desk.approvals.list().await.unwrap().len() < MAX_PER_IDENTITY {
        settle().await;
    }
    let refused = desk
        .approvals
        .hold(flood(MAX_PER_IDENTITY), HOLD, |_| ())
        .await;
    let why = "too many requests of research-agent wait for approval";
    assert_eq!(refused, denied(why.into()));
    let other = Pending {
        identity: "other".into(),
        ..request(1)
    };
    let (_exchange, other) = desk.hold(other).await;
    assert!(!other.is_finished());

    // Every third is denied, and each request gets its own answer.
    for waiting in desk.approvals.list().await.unwrap() {
        let id = waiting.id.to_string();
        let number = waiting.summary.parse::<usize>();
        let answered = match number.is_ok_and(|n| n % 3 == 0) {
            true => {
                desk.approvals
                    .deny(&id, admin(), Some(waiting.summary))
                    .await
            }
            false => desk.approvals.approve(&id, admin(), None).await,
        };
        assert_eq!(answered.unwrap(), waiting.id);
    }
    assert_eq!(other.await.unwrap(), granted());
    for (n, held) in held.into_iter().enumerate() {
        match held.await.unwrap() {
            Verdict::Denied { reason, .. } if n % 3 == 0 => assert_eq!(reason, n.to_string()),
            verdict => assert_eq!(verdict, granted(), "{n}"),
        }
    }
    assert!(desk.approvals.list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_questions_end_together_at_their_deadline() {
    let desk = Desk::open().await;
    let exchange = desk.exchange().await.id();
    let mut held = Vec::new();
    for n in 0..1000 {
        let approvals = desk.approvals.clone();
        let pending = Pending {
            exchange,
            ..numbered(n)
        };
        held.push(tokio::spawn(async move {
            approvals.hold(pending, MAX_WITHIN, |_| ()).await
        }));
    }
    while desk.approvals.list().await.unwrap().len() < 1000 {
        settle().await;
    }
    advance(Duration::from_secs(600)).await;
    for held in held {
        assert!(matches!(held.await.unwrap(), Verdict::Expired { .. }));
    }
    assert!(desk.approvals.list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_number_of_questions_and_of_answers_is_bounded() {
    let mut book = Book::default();
    let id = |n: usize| format!("{n:016}").parse::<Id>().unwrap();
    for n in 0..MAX_PENDING {
        let identity = format!("agent-{}", n / MAX_PER_IDENTITY);
        assert_eq!(book.room(&identity), Ok(()));
        let pending = Pending {
            identity,
            ..numbered(n)
        };
        book.add(Question::new(id(n), pending));
    }
    assert_eq!(
        book.room("another"),
        Err("too many requests wait for approval".into())
    );
    // What is answered makes room, and the oldest answers are forgotten.
    for n in 0..MAX_PENDING + 5 {
        if n >= MAX_PENDING {
            book.add(Question::new(id(n), numbered(n)));
        }
        book.answer(id(n), State::Granted(Grant::new("root".into())));
    }
    assert_eq!(book.room("agent-0"), Ok(()));
    let is_known = |book: &mut Book, n| book.serving(&Binding::of(&numbered(n))).is_some();
    assert!(is_known(&mut book, MAX_PENDING + 4));
    assert_eq!(MAX_PENDING, MAX_ANSWERED);
    let kept = book.over(Instant::now() + MAX_WITHIN);
    assert_eq!(kept.len(), MAX_ANSWERED);
    assert_eq!(kept[0].id, id(5));
    assert!(!is_known(&mut book, MAX_PENDING + 4) && book.next_deadline().is_none());
}

fn numbered(n: usize) -> Pending {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_be_bytes());
    Pending {
        digest,
        summary: n.to_string(),
        ..request(1)
    }
}
