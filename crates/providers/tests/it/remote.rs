//! Another Afterplan server, as its client sees it.

use providers::remote::error::RemoteError;

/// An upload that is sent again after a lost connection meets its own first sending, which the server has not given up yet.
#[test]
fn a_request_that_is_still_under_way_there_is_asked_again() {
    let refused = |status, code: &str| RemoteError::Problem {
        status,
        code: code.to_owned(),
        detail: "no".to_owned(),
    };
    assert!(refused(409, "idempotency-key-in-use").may_pass());
    assert!(refused(503, "unavailable").may_pass());
    assert!(refused(409, "idempotency-key-in-use").is_under_way());
    assert!(!refused(503, "unavailable").is_under_way());
    assert!(!refused(409, "conflict").may_pass());
    assert!(!refused(422, "idempotency-key-reused").may_pass());
}
