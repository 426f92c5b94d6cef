//! What the proxy asks of the guard, and of the keeper: what is understood means the same when it is said again.

use gateway_user::{boundary, keeper};

pub(super) fn run(data: &[u8]) {
    if let Ok(ask) = boundary::parse(data) {
        let Ok(said) = serde_json::to_vec(&ask) else {
            panic!("{ask:?} cannot be said");
        };
        let again = boundary::parse(&said).map(|again| serde_json::to_vec(&again));
        assert!(matches!(&again, Ok(Ok(again)) if *again == said), "{ask:?}");
    }
    if let Some(again) = keeper::said_again(data) {
        assert_eq!(keeper::said_again(&again).as_deref(), Some(&*again));
    }
}
