//! Requests on the control socket: what is understood is one line that means the same when it is said again.

use gateway_user::control::Request;

pub(super) fn run(data: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Request>(data) else {
        return;
    };
    let Ok(said) = serde_json::to_string(&request) else {
        panic!("{request:?} cannot be said");
    };
    assert!(!said.contains('\n'), "{said}");
    let again = serde_json::from_str::<Request>(&said).map(|again| serde_json::to_string(&again));
    assert!(matches!(&again, Ok(Ok(again)) if *again == said), "{said}");
}
