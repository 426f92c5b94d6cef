//! Lists, and what the beginning of an id finds.

use super::*;

#[tokio::test]
async fn prefixes_find_one_session_or_say_why_not() {
    // Six characters stand for some minutes; entries of two such spans share fewer, and then others are made.
    while !prefixes_find_what_they_share().await {}
}

/// False if a span ended meanwhile.
async fn prefixes_find_what_they_share() -> bool {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let one = ledger.session(session_start()).await.unwrap();
    let first = one.exchange(exchange_start()).await.unwrap();
    let second = one.exchange(exchange_start()).await.unwrap();
    let reader = ledger.reader();

    // Session and exchanges share their beginning, but all of it leads to one session.
    let short = &one.id().to_string()[..6];
    if !second.id().to_string().starts_with(short) {
        return false;
    }
    let replay = reader.session_of(short).await.unwrap();
    assert_eq!((replay.session.id, replay.focus), (one.id(), None));
    let replay = reader.session_of(&first.id().to_string()).await.unwrap();
    assert_eq!(replay.focus, Some(first.id()));
    assert!(matches!(
        reader.explained(short).await,
        Err(LookupError::Ambiguous { .. })
    ));

    let two = ledger.session(session_start()).await.unwrap();
    if !two.id().to_string().starts_with(short) {
        return false;
    }
    match reader.session_of(short).await {
        Err(LookupError::Ambiguous { ids, .. }) => assert_eq!(ids, [one.id(), two.id()]),
        other => panic!("{other:?}"),
    }
    let absent = reader.session_of("ZZZZZZ").await;
    assert!(matches!(absent, Err(LookupError::NotFound(_))));
    let absent = reader.session_of("01").await;
    assert!(matches!(absent, Err(LookupError::Short(_))));
    true
}

#[tokio::test]
async fn lists_are_filtered() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let mut ids = Vec::new();
    for n in 0..6 {
        let start = SessionStart {
            identity: format!("agent-{}", n % 2),
            ..session_start()
        };
        let session = ledger.session(start).await.unwrap();
        let decision = if n == 3 {
            Decision::Deny
        } else {
            Decision::Permit
        };
        let start = ExchangeStart {
            decision,
            ..exchange_start()
        };
        session.exchange(start).await.unwrap();
        ids.push(session.id());
        if n == 5 {
            std::mem::forget(session);
        }
    }
    ledger.flush().await.unwrap();
    let list = async |filter: Filter| -> Vec<Id> {
        let sessions = ledger.reader().sessions(&filter).await.unwrap();
        sessions.iter().map(|session| session.id).collect()
    };
    assert_eq!(list(all()).await, ids);
    assert_eq!(list(Filter { limit: 2, ..all() }).await, ids[4..]);
    let of_one = Filter {
        identity: Some("agent-1".into()),
        ..all()
    };
    assert_eq!(list(of_one).await, [ids[1], ids[3], ids[5]]);
    assert_eq!(
        list(Filter {
            open: true,
            ..all()
        })
        .await,
        [ids[5]]
    );
    let denied = Filter {
        decision: Some(Decision::Deny),
        ..all()
    };
    assert_eq!(list(denied).await, [ids[3]]);
}
